"""These tests begin with a panel on which the cast is signed in, and a program that wants in."""

from __future__ import annotations

import pytest
from flask import Flask

from app import sessions
from app.extensions import db
from app.models import Person
from tests.conftest import Cast
from tests.oauth.program import Program
from tests.web.conftest import Browser, people, peopled_panel, settings, visitor

__all__ = ["people", "peopled_panel", "settings", "visitor"]


@pytest.fixture
def cast(staged_panel: tuple[object, Cast]) -> Cast:
    """The cast, which is on the panel already."""
    return staged_panel[1]


@pytest.fixture
def program(app: Flask, people: Cast) -> Program:
    """A program that has registered, on somebody's computer."""
    program = Program(app.test_client())
    program.register()
    return program


def signed_in(app: Flask, name: str) -> Browser:
    """Somebody's browser with a session, which costs less than signing in by the page."""
    with app.app_context():
        email = f"{name}@people.example"
        person = db.session.scalars(db.select(Person).where(Person.email == email)).one()
        credential = sessions.begin_for(person, address="192.0.2.1", user_agent="").credential
    browser = Browser(app, app.test_client())
    with browser.client.session_transaction() as kept:
        kept["_user_id"] = credential
    return browser


@pytest.fixture
def alice(app: Flask, people: Cast) -> Browser:
    """Alice, customer of project 1."""
    return signed_in(app, "alice")


@pytest.fixture
def charlie(app: Flask, people: Cast) -> Browser:
    """Charlie, customer of project 2."""
    return signed_in(app, "charlie")


@pytest.fixture
def root(app: Flask, people: Cast) -> Browser:
    """Root, the admin."""
    return signed_in(app, "root")


@pytest.fixture
def nobody(app: Flask, people: Cast) -> Browser:
    """Somebody who belongs to no project."""
    return signed_in(app, "nobody")
