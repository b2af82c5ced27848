"""What a request leaves in the log: its id and its route, and nothing that was sent."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from app.config import Settings
from app.envelope import log_unforeseen
from app.log_lines import JsonLines, request_id
from tests.applications import Applications
from tests.conftest import PASSWORD, Api

MADE = re.compile("[0-9a-f]{16}")
FROM_PROXY = {"X-Forwarded-For": "192.0.2.7"}
CANARY = "canary-that-must-not-sing"


@pytest.fixture
def behind_a_proxy(settings: Settings, applications: Applications) -> Iterator[Flask]:
    """A panel with a proxy of its own in front."""
    with applications.lent(replace(settings, trusted_proxies=1)) as app:
        yield app


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The log as it is written, down to what nobody reads."""
    caplog.set_level(logging.DEBUG)
    caplog.handler.setFormatter(JsonLines())
    return caplog


def test_it_works(app: Flask, log: pytest.LogCaptureFixture) -> None:
    answer = app.test_client().get("/iapi/openapi.json?a=b")
    named = answer.headers["X-Request-Id"]
    assert MADE.fullmatch(named)
    (record,) = [record for record in log.records if record.name == "app.request_log"]
    fields = vars(record)["fields"]
    assert fields.pop("ms") >= 0
    assert fields == {
        "method": "GET",
        "route": "/iapi/openapi.json",
        "status": 200,
        "client": "127.0.0.1",
    }
    assert f'"request": "{named}"' in log.text
    assert request_id.get() is None


def test_every_request_has_an_id_of_its_own(app: Flask) -> None:
    client = app.test_client()
    paths = ["/healthz", "/sign-in", "/no/such/page", "/iapi/x", "/static/favicon.svg", "/mcp"] * 2
    answers = [client.get(path) for path in paths]
    named = {answer.headers["X-Request-Id"] for answer in answers}
    assert len(named) == len(paths)
    for answer in answers:
        answer.close()


def test_a_fault_is_logged_with_the_id_its_answer_has(
    app: Flask, api: Api, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_values: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("app.api.success", fail)
    answer = api("list-users")
    assert answer.status_code == 500
    faults = [line for line in log.text.splitlines() if "unforeseen error" in line]
    assert len(faults) == 1
    assert f'"request": "{answer.headers["X-Request-Id"]}"' in faults[0]


@pytest.mark.parametrize("named", ["0123456789abcdef" * 2, "5f0c9e7a-8d1b-4c2e-9f3a-1b2c3d4e5f60"])
def test_the_id_of_a_proxy_is_taken_over(behind_a_proxy: Flask, named: str) -> None:
    headers = {**FROM_PROXY, "X-Request-Id": named}
    answer = behind_a_proxy.test_client().get("/healthz", headers=headers)
    assert answer.headers["X-Request-Id"] == named


@pytest.mark.parametrize(
    "named", ["", "x", "x" * 65, "a b c d e f", "wpa_0123456789", '"><svg>', "é" * 10, "1234567;8"]
)
def test_it_rejects_an_id_that_is_none(behind_a_proxy: Flask, named: str) -> None:
    headers = {**FROM_PROXY, "X-Request-Id": named}
    answer = behind_a_proxy.test_client().get("/healthz", headers=headers)
    assert MADE.fullmatch(answer.headers["X-Request-Id"])


def test_it_rejects_an_id_that_no_proxy_gave(app: Flask, behind_a_proxy: Flask) -> None:
    for panel, headers in ((app, FROM_PROXY), (app, {}), (behind_a_proxy, {})):
        named = {**headers, "X-Request-Id": "0123456789abcdefg"}
        answer = panel.test_client().get("/healthz", headers=named)
        assert MADE.fullmatch(answer.headers["X-Request-Id"])


def test_nothing_that_was_sent_is_in_the_log(
    app: Flask, api: Api, log: pytest.LogCaptureFixture
) -> None:
    client, json = app.test_client(), {"email": f"{CANARY}@example.nl", "password": PASSWORD}
    client.set_cookie("mailcote", CANARY)
    headers = {
        "Authorization": f"Bearer {CANARY}",
        "User-Agent": CANARY,
        "Referer": f"http://localhost/{CANARY}",
        "X-Request-Id": CANARY,
        "If-None-Match": f'"{CANARY}"',
    }
    for path in (
        f"/{CANARY}",
        f"/welcome/{CANARY}",
        f"/mailboxes/{CANARY}@example.nl?q={CANARY}",
        f"/domains/{CANARY}.nl",
        f"/sign-in?next={CANARY}",
        f"/iapi/project/1/email_account/list-users?domain={CANARY}",
        f"/sync/v1/export?wait={CANARY}",
        f"/oauth/authorize?client_id={CANARY}",
        f"/metrics?{CANARY}",
    ):
        client.get(path, headers=headers)
        client.post(path, headers=headers, json=json)
        client.post(path, headers=headers, data=json)
        client.open(path, headers=headers, method=CANARY.upper())
    assert api("add-user", **json).status_code == 201
    log_unforeseen(RuntimeError("the log is read"))
    assert log.text.count("answered") >= 28
    assert "the log is read" in log.text
    for secret in (CANARY, PASSWORD, api.cast.tokens["alice"], "$2y$"):
        assert secret.lower() not in log.text.lower(), secret


def test_polls_without_news_and_probes_are_not_logged(
    app: Flask, api: Api, log: pytest.LogCaptureFixture
) -> None:
    client, key = app.test_client(), {"Authorization": f"Bearer {api.cast.sync_key}"}
    tag = client.get("/sync/v1/export", headers=key).headers["ETag"]
    assert log.text.count("answered") == 1
    assert client.get("/sync/v1/export", headers={**key, "If-None-Match": tag}).status_code == 304
    assert client.get("/healthz").status_code == 200
    assert log.text.count("answered") == 1
    assert client.post("/healthz").status_code == 405
    assert log.text.count("answered") == 2
