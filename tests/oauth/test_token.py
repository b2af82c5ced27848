"""Exchanging codes and refresh tokens: each works once, for its own client, and in time."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from threading import Barrier

import pytest
from flask import Flask
from sqlalchemy import text

from app import create_app, database
from app.config import Settings
from app.credentials import ACCESS, CODE, REFRESH, make
from app.extensions import db
from tests.api.answers import state, unchanged
from tests.applications import let_go
from tests.oauth.conftest import signed_in
from tests.oauth.program import CALLBACK, Program, assert_oauth_error, offered
from tests.web.conftest import Browser


@pytest.fixture
def code(alice: Browser, program: Program) -> str:
    """A code that alice has just allowed."""
    return program.ask(alice)["code"]


def set_back(app: Flask, table: str) -> None:
    """Let what was given out be over."""
    with app.app_context():
        db.session.execute(text(f"UPDATE {table} SET expires_at = '2020-01-01T00:00:00Z'"))
        db.session.commit()


def test_it_works(program: Program, code: str) -> None:
    assert program.exchange(code).status_code == 200
    assert program.is_connected
    assert program.refresh().status_code == 200
    assert program.is_connected


# What is wrong with an exchange, and what it is told. None leaves a parameter out.
WRONG: dict[str, tuple[dict[str, str | None], str, int]] = {
    "no verifier": ({"code_verifier": None}, "invalid_request", 400),
    "an empty verifier": ({"code_verifier": ""}, "invalid_request", 400),
    "a wrong verifier": ({"code_verifier": "x" * 43}, "invalid_grant", 400),
    "a short verifier": ({"code_verifier": "x" * 42}, "invalid_request", 400),
    "an odd verifier": ({"code_verifier": "é" * 43}, "invalid_request", 400),
    "no address": ({"redirect_uri": None}, "invalid_grant", 400),
    "another address": ({"redirect_uri": "http://127.0.0.1:1/callback"}, "invalid_grant", 400),
    "no client": ({"client_id": None}, "invalid_client", 401),
    "an unknown client": ({"client_id": "wpc_nobody"}, "invalid_client", 401),
    "an odd client": ({"client_id": "\0é"}, "invalid_client", 401),
    "a secret": ({"client_secret": "x"}, "invalid_client", 401),
    "another resource": ({"resource": "https://evil.example/mcp"}, "invalid_target", 400),
    "no code": ({"code": None}, "invalid_request", 400),
    "an empty code": ({"code": ""}, "invalid_grant", 400),
    "another code": ({"code": make(CODE)}, "invalid_grant", 400),
    "an odd code": ({"code": "\0é\u202e"}, "invalid_grant", 400),
    "no kind": ({"grant_type": None}, "unsupported_grant_type", 400),
    "a password": ({"grant_type": "password"}, "unsupported_grant_type", 400),
    "by itself": ({"grant_type": "client_credentials"}, "unsupported_grant_type", 400),
}


def test_a_wrong_exchange_is_refused(app: Flask, program: Program, code: str) -> None:
    for wrong, (changes, error, status) in WRONG.items():
        with unchanged(app):
            answer = program.exchange(code, **changes)
            sentence = assert_oauth_error(answer, error, status)
        assert code not in sentence, wrong
        assert ("WWW-Authenticate" in answer.headers) == (status == 401), wrong
    assert program.exchange(code).status_code == 200


def test_a_parameter_that_is_there_twice_is_refused(
    app: Flask, program: Program, code: str
) -> None:
    once = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    for name in ("code", "client_id", "code_verifier", "grant_type", "resource"):
        form = {**once, "client_id": program.client_id}
        twice = {**form, name: [form.get(name, "x"), "x"]}
        with unchanged(app):
            answer = program.client.post("/oauth/token", data=twice)
            assert_oauth_error(answer, "invalid_request")


def test_nothing_is_read_from_the_address_or_as_json(
    app: Flask, program: Program, code: str
) -> None:
    """What stands in an address is logged on the way."""
    form = {"grant_type": "authorization_code", "code": code, "client_id": program.client_id}
    client = program.client
    with unchanged(app):
        for answer in (
            client.post("/oauth/token", query_string=form),
            client.post("/oauth/token", json=form),
            client.post("/oauth/token", data=form, content_type="multipart/form-data"),
            client.post("/oauth/revoke", query_string={"token": code}),
        ):
            assert answer.status_code in (400, 401)
        assert client.get("/oauth/token", query_string=form).status_code == 405


def test_a_code_is_over_after_a_minute(app: Flask, program: Program, code: str) -> None:
    set_back(app, "oauth_codes")
    with unchanged(app):
        assert_oauth_error(program.exchange(code), "invalid_grant")


def test_a_code_used_twice_ends_what_came_of_it(app: Flask, program: Program, code: str) -> None:
    program.exchange(code)
    program.refresh()
    kept = replace(program)
    assert_oauth_error(program.exchange(code), "invalid_grant")
    assert not kept.is_connected
    assert_oauth_error(kept.refresh(), "invalid_grant")
    assert "assistant-used-twice" in str(state(app)["audit_entries"][-1])


def test_another_client_gets_nothing_for_it(app: Flask, program: Program, code: str) -> None:
    thief = replace(program)
    thief.register(client_name="Thief")
    with unchanged(app):
        assert_oauth_error(thief.exchange(code), "invalid_grant")
    program.exchange(code)
    thief.refresh_token = program.refresh_token
    with unchanged(app):
        assert_oauth_error(thief.refresh(), "invalid_grant")
        answer = thief.client.post(
            "/oauth/revoke", data={"token": program.access, "client_id": thief.client_id}
        )
        assert_oauth_error(answer, "invalid_grant")
    assert program.is_connected


class TestRefresh:
    """A refresh token works once; used twice, it ends the family."""

    @pytest.fixture(autouse=True)
    def _connected(self, program: Program, code: str) -> None:
        program.exchange(code)

    def test_it_changes_with_each_use(self, program: Program) -> None:
        seen = set()
        for _ in range(4):
            assert program.refresh().status_code == 200
            seen |= {program.access, program.refresh_token}
        assert len(seen) == 8

    @pytest.mark.parametrize("generations", [1, 3])
    def test_used_twice_it_ends_the_family(self, program: Program, generations: int) -> None:
        stolen = replace(program)
        for _ in range(generations):
            program.refresh()
        assert_oauth_error(stolen.refresh(), "invalid_grant")
        assert not program.is_connected
        assert not stolen.is_connected
        assert_oauth_error(program.refresh(), "invalid_grant")

    def test_another_consent_lives_on(self, alice: Browser, program: Program) -> None:
        other = replace(program).connect(alice)
        first = replace(program)
        program.refresh()
        first.refresh()
        assert other.is_connected
        assert other.refresh().status_code == 200

    def test_it_can_ask_for_less(self, program: Program) -> None:
        for scope, status in (("read", 403), ("read write", 200), ("read", 403), (None, 200)):
            program.refresh(scope=scope)
            assert program.granted["scope"] == (scope or "read write")
            assert program.call("enable-email", domain="parked.nl").status_code == status

    def test_it_cannot_ask_for_more(self, app: Flask, alice: Browser, program: Program) -> None:
        program.connect(alice, may="read")
        with unchanged(app):
            for scope in ("read write", "write", "admin", "read admin"):
                assert_oauth_error(program.refresh(scope=scope), "invalid_scope")
        assert program.refresh().status_code == 200

    def test_it_is_over_after_a_month(self, app: Flask, program: Program) -> None:
        set_back(app, "oauth_tokens")
        with unchanged(app):
            assert_oauth_error(program.refresh(), "invalid_grant")

    def test_nothing_else_is_one(self, app: Flask, program: Program) -> None:
        with unchanged(app):
            made = [make(kind) for kind in (ACCESS, REFRESH, CODE, "wpa_", "mcs_")]
            for other in (*made, program.access):
                answer = program.refresh(refresh_token=other)
                assert_oauth_error(answer, "invalid_grant")

    def test_who_may_no_longer_gets_nothing(self, app: Flask, program: Program) -> None:
        with app.app_context():
            db.session.execute(text("DELETE FROM memberships"))
            db.session.commit()
        with unchanged(app):
            assert_oauth_error(program.refresh(), "invalid_grant")


class TestRevocation:
    """A program that is done says so."""

    @pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
    def test_it_works(self, app: Flask, alice: Browser, program: Program, kind: str) -> None:
        program.connect(alice)
        form = {"token": program.granted[kind], "client_id": program.client_id}
        answer = program.client.post("/oauth/revoke", data={**form, "token_type_hint": kind})
        assert (answer.status_code, answer.get_json()) == (200, {})
        assert not program.is_connected
        assert_oauth_error(program.refresh(), "invalid_grant")
        entry = str(state(app)["audit_entries"][-1])
        assert "disconnect-assistant" in entry
        assert "alice@people.example through Helper" in entry

    def test_strangers_hold_up_nobody(
        self, program: Program, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is nobody's is refused without a turn at writing."""
        monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
        panel = settings.instance / "panel.db"
        with closing(sqlite3.connect(panel, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert program.client.post("/oauth/revoke").status_code == 401
            assert_oauth_error(program.exchange(make(CODE)), "invalid_grant")
            assert_oauth_error(program.token(grant_type="x"), "unsupported_grant_type")
            answer = program.register()
            assert_oauth_error(answer, "temporarily_unavailable", 503)
            assert int(answer.headers["Retry-After"]) > 0

    def test_of_what_is_nothing_it_tells_nothing(self, app: Flask, program: Program) -> None:
        with unchanged(app):
            for nothing in (make(ACCESS), make(REFRESH), "x", "\0"):
                form = {"token": nothing, "client_id": program.client_id}
                answer = program.client.post("/oauth/revoke", data=form)
                assert (answer.status_code, answer.get_json()) == (200, {})
            answer = program.client.post("/oauth/revoke", data={"client_id": program.client_id})
            assert_oauth_error(answer, "invalid_request")


@pytest.mark.parametrize("what", ["code", "refresh token"])
def test_of_two_who_bring_it_at_once_at_most_one_gets_something(
    app: Flask, program: Program, code: str, what: str
) -> None:
    if what == "refresh token":
        program.exchange(code)
    together = Barrier(2)

    def bring() -> int:
        one = replace(program, client=app.test_client())
        together.wait()
        return (one.exchange(code) if what == "code" else one.refresh()).status_code

    with ThreadPoolExecutor(2) as pool:
        statuses = [done.result() for done in [pool.submit(bring) for _ in range(2)]]
    assert sorted(statuses) == [200, 400]
    (row,) = state(app)["assistants"]
    assert row[-1], "it is revoked, since two had it"


def test_only_so_many_an_hour(settings: Settings) -> None:
    app = create_app(replace(settings, rate_registrations=3))
    program = Program(app.test_client())
    program.register()
    program.connect(signed_in(app, "alice"))
    assert [program.refresh().status_code for _ in range(3)] == [200, 200, 429]
    assert program.is_connected
    let_go(app)


def test_over_http_from_afar_there_is_none(settings: Settings) -> None:
    """Codes and tokens could be read on the way (RFC 6749, section 1.6)."""
    app = create_app(replace(settings, public_url="http://panel.example.nl"))
    program = Program(app.test_client())
    program.register()
    alice = signed_in(app, "alice")
    back = offered(alice.get(program.address(resource=None)))
    assert back["error"] == "insecure_transport"
    assert_oauth_error(program.exchange("x", resource=None), "invalid_request")
    form = {"token": "x", "client_id": program.client_id}
    assert_oauth_error(program.client.post("/oauth/revoke", data=form), "invalid_request")
    let_go(app)
