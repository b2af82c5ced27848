"""The same on PostgreSQL, where two at once are in each other's way differently."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from flask import Flask

from app.caller import command_line
from app.config import Settings
from app.extensions import db
from app.housekeeping import tidy_up
from app.models import Assistant, Call, OAuthClient
from app.operations import OPERATIONS
from tests.applications import at_once
from tests.conftest import PASSWORD, Cast, cheap_settings, needs_postgres, set_the_stage
from tests.mcp.client import done
from tests.oauth.program import Program
from tests.web.conftest import Browser

pytestmark = [pytest.mark.real, needs_postgres]


@pytest.fixture
def database() -> str:
    """PostgreSQL alone."""
    return "postgresql"


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """An empty panel there."""
    return cheap_settings(settings.instance, request.getfixturevalue("postgres_url"))


@pytest.fixture
def people(app: Flask) -> Cast:
    """The cast, and alice as a person."""
    cast = set_the_stage(app)
    with app.app_context():
        OPERATIONS["add-person"](
            command_line(), email="alice@people.example", password=PASSWORD, projects=[1]
        )
    return cast


def test_it_works(app: Flask, alice: Browser, program: Program) -> None:
    program.connect(alice)
    new = {"email": "info@example.nl", "password": PASSWORD}
    done(program.result("add-user", **new))
    assert program.refresh().status_code == 200
    assert program.is_connected
    assert "Helper" in alice.get("/account").text
    assert "add-user" in alice.get("/connect").text
    with app.app_context():
        tidy_up()
        assert db.session.scalars(db.select(Call)).all()
    assert program.is_connected
    stolen = replace(program)
    program.refresh()
    assert stolen.refresh().status_code == 400
    assert not program.is_connected


def test_two_at_once_get_one_between_them(app: Flask, alice: Browser, program: Program) -> None:
    for _ in range(3):
        code = program.ask(alice)["code"]
        together = Barrier(2)

        def bring(code: str = code, together: Barrier = together) -> int:
            one = replace(program, client=app.test_client())
            together.wait()
            return one.exchange(code).status_code

        with ThreadPoolExecutor(2) as pool:
            statuses = [done.result() for done in [pool.submit(bring) for _ in range(2)]]
        assert sorted(statuses) == [200, 400]
    with app.app_context():
        assert all(db.session.scalars(db.select(Assistant.revoked_at)))


def test_two_who_look_a_client_up_at_once_do_no_harm(app: Flask, alice: Browser) -> None:
    """Of one document one row: the second finds what the first has added."""
    from app.authorization import clients
    from app.authorization.description import Description

    def note() -> None:
        described = Description("Helper", ("http://127.0.0.1/callback",))
        clients.keep_document("https://example.com/client.json", described, 60)

    at_once(app, note, 2)
    with app.app_context():
        assert len(db.session.scalars(db.select(OAuthClient)).all()) == 1
