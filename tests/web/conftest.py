"""The dashboard as people use it: signed in, following links, sending forms."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import clock, create_app, sign_in_notices
from app.caller import command_line
from app.config import Settings
from app.extensions import db
from app.models import AuditEntry, Notice, WebSession
from app.operations import OPERATIONS
from tests.applications import Applications, closed_file
from tests.conftest import Cast, cheap_settings
from tests.databases import statements
from tests.staged import cast

__all__ = ["cast"]

PEOPLES_PASSWORD = "people's password"
# A name that breaks out of an attribute and runs, wherever a page forgets to escape it.
MARKUP = '"><svg onload=1>'
MAX_QUERIES = 8

_TOKEN = re.compile(r'name="csrf[-_]token" (?:content|value)="([^"]+)"')
_PROJECT = re.compile(r'type="hidden" name="project" value="(\d+)"')


def without_tokens(page: str) -> str:
    """A page without its form tokens, which tell the second they were made in."""
    return _TOKEN.sub("", page)


@dataclass
class Browser:
    """Somebody's browser, without JavaScript: it keeps cookies and sends what forms hold."""

    app: Flask
    client: FlaskClient
    csrf_token: str = ""
    project: str = ""
    queries: list[str] = field(default_factory=list)

    def get(self, path: str, **options: Any) -> TestResponse:
        """Open a page; its token goes with the forms that are sent from it."""
        with self._counting():
            return self._note(self.client.get(path, **options))

    def part(self, path: str) -> TestResponse:
        """Ask for a page's part, as htmx does."""
        return self.get(path, headers={"HX-Request": "true", "HX-Request-Type": "partial"})

    def post(self, path: str, **fields: Any) -> TestResponse:
        """Send a form of a page that was opened before; a redirect is answered as it is."""
        data = {"csrf_token": self.csrf_token, "project": self.project, **fields}
        if not data["project"]:
            del data["project"]
        with self._counting():
            return self._note(self.client.post(path, data=data))

    def follow(self, response: TestResponse) -> TestResponse:
        """Go where a redirect points to."""
        assert response.status_code == 303, response.text
        return self.get(response.location)

    def sign_in(self, email: str, password: str = PEOPLES_PASSWORD) -> TestResponse:
        """Sign in from the sign-in page."""
        self.get("/sign-in")
        response = self.post("/sign-in", email=email, password=password, next="/")
        return self.follow(response)

    def _note(self, response: TestResponse) -> TestResponse:
        if response.mimetype == "text/html" and (found := _TOKEN.search(response.text)):
            self.csrf_token = html.unescape(found[1])
            if shown := _PROJECT.search(response.text):
                self.project = shown[1]
        return response

    @contextmanager
    def _counting(self) -> Iterator[None]:
        """Keep the SQL statements of the last request in `queries`."""
        with self.app.app_context():
            engine = db.engine
        with statements(engine) as asked:
            yield
        beside = ("BEGIN", "PRAGMA", "SAVEPOINT")
        self.queries = [one for one in asked if not one.upper().startswith(beside)]


@pytest.fixture(scope="session")
def peopled_panel(
    staged_panel: tuple[Path, Cast], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The panel with the cast and their people, made once and copied for each test."""
    folder = tmp_path_factory.mktemp("peopled")
    shutil.copy(staged_panel[0], folder / "panel.db")
    app = create_app(cheap_settings(folder))
    with app.app_context():
        for name, projects in (("alice", [1]), ("bob", [1]), ("charlie", [2]), ("nobody", [])):
            _add_person(name, projects=projects)
        _add_person("root", is_admin=True)
    return closed_file(app)


def _add_person(name: str, **values: Any) -> None:
    OPERATIONS["add-person"](
        command_line(), email=f"{name}@people.example", password=PEOPLES_PASSWORD, **values
    )


@pytest.fixture
def settings(applications: Applications, peopled_panel: Path) -> Settings:
    """Cheap hashes and no rate limits, on a copy of the panel with people."""
    applications.begin_with(peopled_panel)
    return cheap_settings(applications.folder)


def is_signed_in(browser: Browser) -> bool:
    """Whether a browser gets to the account page."""
    return browser.get("/account").status_code == 200


def age(app: Flask, seconds: int = 15 * 60 + 1) -> None:
    """Time passes since everybody's last proof."""
    with app.app_context():
        proven = clock.from_now(seconds=-seconds)
        db.session.execute(db.update(WebSession).values(proven_at=proven))
        db.session.commit()


def notices(app: Flask) -> list[Notice]:
    """The mails that are about to be sent, once what is new was looked for twice."""
    sending = {"smtp_url": "smtp://127.0.0.1:1", "mail_from": "panel@mailcote.example"}
    app.extensions["mailcote"] = replace(app.extensions["mailcote"], **sending)
    with app.app_context():
        for _ in range(2):
            sign_in_notices.write_what_is_new()
        return list(db.session.scalars(db.select(Notice).order_by(Notice.id)))


def entries(app: Flask, action: str) -> list[AuditEntry]:
    """What the audit log has of an action, the oldest first."""
    with app.app_context():
        query = db.select(AuditEntry).where(AuditEntry.action == action)
        return list(db.session.scalars(query.order_by(AuditEntry.id)))


@pytest.fixture
def people(cast: Cast) -> Cast:
    """The cast as people with passwords; nobody@people.example belongs to no project."""
    return cast


@pytest.fixture
def visitor(app: Flask, people: Cast) -> Browser:
    """A browser in which nobody is signed in."""
    return Browser(app, app.test_client())


def _signed_in(app: Flask, name: str) -> Browser:
    browser = Browser(app, app.test_client())
    browser.sign_in(f"{name}@people.example")
    return browser


@pytest.fixture
def alice(app: Flask, people: Cast) -> Browser:
    """Alice, customer of project 1."""
    return _signed_in(app, "alice")


@pytest.fixture
def bob(app: Flask, people: Cast) -> Browser:
    """Bob, Alice's colleague in project 1."""
    return _signed_in(app, "bob")


@pytest.fixture
def charlie(app: Flask, people: Cast) -> Browser:
    """Charlie, customer of project 2, who must see nothing of project 1."""
    return _signed_in(app, "charlie")


@pytest.fixture
def root(app: Flask, people: Cast) -> Browser:
    """Root, the admin."""
    return _signed_in(app, "root")


@pytest.fixture
def nobody(app: Flask, people: Cast) -> Browser:
    """Somebody who belongs to no project."""
    return _signed_in(app, "nobody")
