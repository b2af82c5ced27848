"""Programs that register themselves: what they may say, and how many of them there may be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, text

from app import clock, create_app
from app.authorization import clients
from app.config import Settings
from app.credentials import CLIENT, is_well_formed, make
from app.extensions import db
from app.housekeeping import tidy_up
from app.models import OAuthClient
from tests.api.answers import unchanged
from tests.applications import let_go
from tests.oauth.program import Program, assert_oauth_error
from tests.web.conftest import Browser

URI = "https://claude.ai/api/mcp/auth_callback"


def names(app: Flask) -> list[str]:
    """Who is registered."""
    with app.app_context():
        return list(
            db.session.execute(text("SELECT name FROM oauth_clients ORDER BY id")).scalars()
        )


def test_it_works(app: Flask, program: Program) -> None:
    answer = program.register(redirect_uris=[URI, "http://localhost:3000/cb", URI])
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.get_json()
    assert is_well_formed(told.pop("client_id"), CLIENT)
    assert isinstance(told.pop("client_id_issued_at"), int)
    assert told == {
        "client_name": "Helper",
        "redirect_uris": [URI, "http://localhost:3000/cb"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }


def test_what_it_asks_for_beyond_that_it_does_not_get(program: Program) -> None:
    """Clients that would have a secret, or more, are told what they get (RFC 7591, 3.2.1)."""
    answer = program.register(
        token_endpoint_auth_method="client_secret_basic",
        grant_types=["authorization_code", "client_credentials"],
        scope="admin",
        client_id="mine",
        application_type="native",
        jwks={"keys": [{"kty": "RSA", "x5c": ["x"]}]},
        software_statement="x.y.z",
        logo_uri="javascript:alert(1)",
    )
    told = answer.get_json()
    assert answer.status_code == 201
    assert told["token_endpoint_auth_method"] == "none"
    assert told["client_id"] != "mine"
    assert "client_secret" not in told
    assert "client_credentials" not in told["grant_types"]


def test_without_a_name_it_has_that_of_its_host(app: Flask, program: Program) -> None:
    for name in ("", " ", "\u202e", "\ud800"):
        program.client.post("/oauth/register", json={"redirect_uris": [URI], "client_name": name})
    program.client.post("/oauth/register", json={"redirect_uris": [URI]})
    assert names(app)[1:] == ["claude.ai"] * 5


BAD_URIS: list[object] = [
    *(None, "", URI, [], {}, [None], [1], [[URI]], [""], [URI] * 11),
    *(["http://claude.ai/cb"], ["javascript:alert(1)"], ["data:text/html,x"], ["file:///etc"]),
    *(["https://"], ["https:///cb"], ["//claude.ai/cb"], ["/cb"], ["claude.ai"], ["blob:x"]),
    *(["https://claude.ai/cb#x"], ["https://claude.ai/cb#"], ["https://a@claude.ai/cb"]),
    *(["https://claude.ai;script-src/cb"], ["https://claude.ai'x/cb"], ["https://a b/cb"]),
    *(["https://claude.ai/é"], ["https://claude.ai/\n"], ["https://claude.ai\\@evil.example"]),
    *(["https://claude.ai:99999/cb"], ["https://claude.ai:x/cb"], ["https://claude.ai:0/cb"]),
    *(["http://127.0.0.1.evil.example/cb"], ["http://10.0.0.1/cb"], ["mailto:a@b.nl"], ["x:y"]),
    *([f"https://claude.ai/{'x' * 1024}"], [URI, "http://claude.ai/cb"], ["https://[::1/cb"]),
]


def test_it_rejects_addresses_that_nobody_should_be_sent_to(app: Flask, program: Program) -> None:
    with unchanged(app):
        for uris in BAD_URIS:
            answer = program.register(redirect_uris=uris)
            sentence = assert_oauth_error(answer, "invalid_redirect_uri")
            assert "evil" not in sentence


@pytest.mark.parametrize(
    "values",
    [
        {"client_name": 5},
        {"client_name": ["x"]},
        {"grant_types": ["client_credentials"]},
        {"grant_types": "authorization_code"},
        {"grant_types": []},
        {"response_types": ["token"]},
        {"response_types": None},
    ],
)
def test_it_rejects_what_it_cannot_be(app: Flask, program: Program, values: dict[str, Any]) -> None:
    with unchanged(app):
        assert_oauth_error(program.register(**values), "invalid_client_metadata")


def test_it_rejects_what_cannot_be_read(app: Flask, program: Program) -> None:
    with unchanged(app):
        for body, status in (
            (b"", 400),
            (b"[]", 400),
            (b"nonsense", 400),
            (b"\xff", 400),
            (b'{"redirect_uris": [], "redirect_uris": []}', 400),
            (b"[" * 50_000, 400),
            (b"x" * 100_000, 413),
        ):
            answer = program.client.post(
                "/oauth/register", data=body, content_type="application/json"
            )
            assert answer.status_code == status, body[:20]
        answer = program.client.post("/oauth/register", data={"redirect_uris": URI})
        assert answer.status_code == 415


def test_only_so_many_of_those_that_nobody_lets_in_are_kept(
    app: Flask, alice: Browser, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "MAX_UNUSED", 3)
    program.connect(alice)
    for number in range(5):
        replace(program).register(client_name=f"{number}")
    assert names(app) == ["Helper", "2", "3", "4"]
    assert program.is_connected


@pytest.fixture
def strict(settings: Settings) -> Iterator[Flask]:
    """A panel on which three programs may register an hour from one address."""
    app = create_app(replace(settings, rate_registrations=3))
    yield app
    let_go(app)


def test_only_so_many_an_hour(strict: Flask) -> None:
    described = {"redirect_uris": [URI]}
    answers = [strict.test_client().post("/oauth/register", json=described) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [201, 201, 201, 429]
    assert_oauth_error(answers[-1], "temporarily_unavailable", 429)
    assert int(answers[-1].headers["Retry-After"]) == 1200
    other = {"REMOTE_ADDR": "192.0.2.9"}
    answer = strict.test_client().post("/oauth/register", json=described, environ_overrides=other)
    assert answer.status_code == 201


def test_what_is_over_is_forgotten(app: Flask, alice: Browser, program: Program) -> None:
    """Clients that nobody let in go after a day, the others some time after their last consent."""
    program.connect(alice)
    kept = program.client_id
    days = {"old": (2, None), "new": (0, None), "was": (200, 91), "is": (200, 89)}
    with app.app_context():
        db.session.execute(
            insert(OAuthClient),
            [
                {
                    "client_id": make(CLIENT),
                    "name": name,
                    "redirect_uris": URI,
                    "created_at": clock.from_now(days=-made),
                    "used_at": None if used is None else clock.from_now(days=-used),
                }
                for name, (made, used) in days.items()
            ],
        )
        db.session.commit()
        tidy_up()
    assert names(app) == ["Helper", "new", "is"]
    assert program.is_connected
    with app.app_context():
        for table in ("oauth_tokens", "oauth_codes"):
            db.session.execute(text(f"UPDATE {table} SET expires_at = '2020-01-01T00:00:00Z'"))
        db.session.execute(text("UPDATE assistants SET created_at = '2020-01-01T00:00:00Z'"))
        db.session.commit()
        tidy_up()
        for table in ("oauth_tokens", "oauth_codes", "assistants"):
            assert db.session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0
    assert names(app) == ["Helper", "new", "is"]
    program.client_id = kept
    assert program.connect(alice).is_connected
