"""Whether the panel lives and can work, and who is told more than that."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from app import checks
from app.checks import PROBE_SECONDS
from app.config import Settings
from app.extensions import db
from app.models import Bucket
from tests.applications import Applications
from tests.conftest import Cast
from tests.databases import no_room
from tests.web.conftest import MAX_QUERIES, Browser

TOKEN = "a-token-of-prometheus-0123456789abcdef"
HERE = {"Host": "127.0.0.1:8000"}
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def ask(app: Flask, path: str, address: str = "127.0.0.1", **headers: str) -> tuple[int, str]:
    """Status and text of the answer to somebody at an address."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    answer = app.test_client().get(
        path, headers={**HERE, **named}, environ_base={"REMOTE_ADDR": address}
    )
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.status_code, answer.text


@pytest.fixture
def guarded(settings: Settings, applications: Applications) -> Iterator[Flask]:
    """A panel whose figures are for who has the token."""
    with applications.lent(replace(settings, metrics_token=TOKEN)) as app:
        yield app


@pytest.fixture
def lost(settings: Settings, applications: Applications) -> Iterator[Flask]:
    """A panel whose database is out of reach."""
    nowhere = "postgresql+psycopg://nobody:secret@127.0.0.1:1/nothing"
    with applications.lent(replace(settings, database_url=nowhere)) as app:
        yield app


def test_everybody_may_know_that_it_lives(app: Flask) -> None:
    assert ask(app, "/healthz", "192.0.2.1") == (200, "ok\n")


def test_it_lives_without_a_database(lost: Flask) -> None:
    assert ask(lost, "/healthz") == (200, "ok\n")
    status, text = ask(lost, "/readyz")
    assert status == 503
    assert '"checks":{"database":false,"schema":false,"disk":true,"writing":false}' in text
    status, text = ask(lost, "/metrics")
    assert status == 200
    assert "mailcote_database_up 0.0\n" in text
    assert "mailcote_revision" not in text
    assert "mailcote_requests_total" in text


def test_it_is_not_ready_while_nobody_can_write(app: Flask, settings: Settings) -> None:
    with (settings.instance / "panel.db.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        status, text = ask(app, "/readyz")
    assert (status, '"writing":false' in text) == (503, True)
    assert ask(app, "/readyz")[0] == 200


def test_it_is_not_ready_with_a_full_disk(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "NEEDED_DISK", 2**70)
    status, text = ask(app, "/readyz")
    assert (status, '"disk":false' in text) == (503, True)


def test_it_is_not_ready_where_nothing_more_can_be_written(app: Flask, settings: Settings) -> None:
    """The lock of those who write is still to be had, and the system tells of room enough."""
    assert ask(app, "/readyz")[0] == 200
    with app.app_context():  # as the last time was a while ago
        db.session.execute(db.update(Bucket).values(filled_at=Bucket.filled_at - PROBE_SECONDS))
        db.session.commit()
    with no_room((settings.instance / "panel.db-wal").stat().st_size):
        status, text = ask(app, "/readyz")
    found = {"database": True, "schema": True, "disk": True, "writing": False}
    assert (status, json.loads(text)) == (503, {"ready": False, "checks": found, "late": []})
    assert ask(app, "/readyz")[0] == 200


@pytest.mark.parametrize("ahead", [0, 86400])
def test_asking_wears_out_no_disk(app: Flask, ahead: int) -> None:
    """Also when the clock was set back, which writes once more."""

    def written() -> float:
        with app.app_context():
            at: float = db.session.scalars(db.select(Bucket.filled_at)).one()
            return at

    ask(app, "/readyz")
    with app.app_context():
        db.session.execute(db.update(Bucket).values(filled_at=Bucket.filled_at + ahead))
        db.session.commit()
    ask(app, "/readyz")
    first = written()
    for _ in range(20):
        assert ask(app, "/readyz")[0] == 200
    assert written() == first


@pytest.mark.parametrize("path", ["/readyz", "/metrics"])
@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("192.0.2.1", {}),
        ("2001:db8::1", {}),
        ("", {}),
        ("127.0.0.1", {"X_Forwarded_For": "127.0.0.1"}),
        ("127.0.0.1", {"X_Real_IP": "127.0.0.1"}),
        ("127.0.0.1", {"Forwarded": "for=127.0.0.1"}),
        ("127.0.0.1", {"Via": "1.1 proxy"}),
        ("127.0.0.1", {"X_Forwarded_Proto": "https"}),
        ("127.0.0.1", {"X_Forwarded_Host": "localhost"}),
        ("192.0.2.1", {"Authorization": "Bearer "}),
        ("192.0.2.1", {"Authorization": "Bearer"}),
    ],
)
def test_it_refuses_strangers(app: Flask, path: str, address: str, headers: dict[str, str]) -> None:
    status, text = ask(app, path, address, **headers)
    assert status == 401
    assert "MAILCOTE_METRICS_TOKEN" in text
    assert "checks" not in text


def test_a_proxy_that_names_the_panel_is_not_this_machine(
    settings: Settings, applications: Applications
) -> None:
    public = replace(settings, public_url="https://panel.example.nl")
    with applications.lent(public) as app:
        assert ask(app, "/metrics", Host="panel.example.nl")[0] == 401
        assert ask(app, "/metrics", Host="localhost")[0] == 200


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_may_ask_while_there_is_no_token(app: Flask, address: str) -> None:
    assert ask(app, "/readyz", address)[0] == 200
    assert ask(app, "/metrics", address)[0] == 200


def test_the_token_opens_from_everywhere(guarded: Flask) -> None:
    for path in ("/readyz", "/metrics"):
        assert ask(guarded, path, "192.0.2.1", **BEARER)[0] == 200
        assert ask(guarded, path, Authorization=f"bearer {TOKEN}", Via="1.1 x")[0] == 200


@pytest.mark.parametrize(
    "credential",
    ["", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", "Bearer é", "Bearer"],
)
def test_with_a_token_nothing_else_opens_the_figures(guarded: Flask, credential: str) -> None:
    status, text = ask(guarded, "/metrics", Authorization=credential)
    assert status == 401
    assert TOKEN not in text
    assert ask(guarded, "/readyz", "192.0.2.1", Authorization=credential)[0] == 401
    assert ask(guarded, "/readyz")[0] == 200  # of this machine, which needs none for this


def test_other_credentials_open_nothing_here(guarded: Flask, cast: Cast) -> None:
    for credential in (cast.tokens["root"], cast.sync_key):
        assert ask(guarded, "/metrics", Authorization=f"Bearer {credential}")[0] == 401


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_it_answers_no_other_method_and_no_other_host(app: Flask, path: str) -> None:
    client = app.test_client()
    assert client.post(path).status_code == 405
    assert client.get(path, headers={"Host": "evil.example"}).status_code == 400
    answer = client.get(path, headers=HERE, environ_base={"REMOTE_ADDR": "192.0.2.1"})
    assert "Set-Cookie" not in answer.headers


def test_answers_are_counted_by_face_and_status(app: Flask) -> None:
    def counted() -> dict[tuple[str, str], float]:
        return {
            (sample.labels["face"], sample.labels["status"]): sample.value
            for family in text_string_to_metric_families(ask(app, "/metrics")[1])
            for sample in family.samples
            if sample.name == "mailcote_requests_total"
        }

    before, client = counted(), app.test_client()
    client.get("/iapi/openapi.json")
    client.get("/sign-in")
    client.get("/no/such/page")
    client.get("/sync/v1/export")
    client.get("/sync/v1/export?wait=1")
    client.get("/static/favicon.svg").close()
    client.post("/mcp")
    after = counted()
    assert {key for key in after if after[key] > before.get(key, 0)} == {
        ("api", "200"),
        ("pages", "200"),
        ("none", "404"),
        ("sync", "401"),
        ("waiting", "401"),
        ("static", "200"),
        ("mcp", "401"),
        ("health", "200"),
    }


def test_a_scrape_asks_the_database_a_few_times_only(app: Flask) -> None:
    browser = Browser(app, app.test_client())
    browser.get("/metrics")
    assert len(browser.queries) <= MAX_QUERIES
