"""What mail programs are told before they sign in."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.web.client_settings import PATHS
from tests.conftest import Cast
from tests.web.conftest import Browser

OWN = "autoconfig.example.nl"


def asked(app: Flask, host: str, path: str = PATHS[0], address: str = "") -> TestResponse:
    """The answer to a mail program that knows nothing but an e-mail address."""
    query = f"?emailaddress={address}" if address else ""
    return app.test_client().get(f"{path}{query}", headers={"Host": host})


@pytest.mark.parametrize("path", PATHS)
def test_it_works(app: Flask, cast: Cast, path: str) -> None:
    answer = asked(app, OWN, path, "info@example.nl")
    assert (answer.status_code, answer.mimetype) == (200, "text/xml")
    provider = ElementTree.fromstring(answer.text).find("emailProvider")
    assert provider is not None
    servers = [*provider.findall("incomingServer"), *provider.findall("outgoingServer")]
    told = [[server.get("type"), *(part.text for part in server)] for server in servers]
    rest = ["SSL", "password-cleartext", "%EMAILADDRESS%"]
    assert told == [
        ["imap", "mail.example.nl", "993", *rest],
        ["smtp", "mail.example.nl", "465", *rest],
    ]


def test_the_panel_itself_answers_for_an_address(app: Flask, cast: Cast) -> None:
    assert asked(app, "127.0.0.1", address="info@example.nl").status_code == 200
    assert asked(app, "127.0.0.1").status_code == 404


@pytest.mark.parametrize("path", PATHS)
def test_what_a_cache_may_keep_holds_no_session(alice: Browser, path: str) -> None:
    answer = alice.get(f"{path}?emailaddress=info@example.nl&project=1")
    assert answer.headers["Cache-Control"].startswith("public")
    assert "Set-Cookie" not in answer.headers
    assert alice.get(f"{path}?emailaddress=x@nowhere.nl&project=1").status_code == 404
    assert alice.get("/mailboxes").status_code == 200


def test_it_tells_nobody_which_mailboxes_there_are(app: Flask, cast: Cast) -> None:
    there, not_there = (asked(app, OWN, address=f"{name}@example.nl") for name in ("a", "b"))
    assert there.text == not_there.text


@pytest.mark.parametrize("host", ["autoconfig.parked.nl", "autoconfig.nowhere.nl", "autoconfig.x"])
def test_it_hides_what_is_off_or_not_ours(app: Flask, cast: Cast, host: str) -> None:
    assert asked(app, host).status_code == 404


@pytest.mark.parametrize("host", ["autoconfig.", "autoconfig.a..b", "a.example.nl", "example.nl"])
def test_other_hosts_get_nothing(app: Flask, cast: Cast, host: str) -> None:
    assert asked(app, host).status_code in (400, 404)


def test_nothing_else_answers_by_that_name(app: Flask, cast: Cast) -> None:
    for path in ("/", "/sign-in", "/mailboxes", "/iapi/openapi.json"):
        assert asked(app, OWN, path).status_code == 400
