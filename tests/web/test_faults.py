"""When something fails below a page: the page says so, and the log tells no values."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from flask import Flask
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError

from app import database
from app.config import Settings
from app.envelope import log_unforeseen
from app.extensions import db
from app.models import Person
from tests.conftest import ON_BOTH, PASSWORD, cheap_settings
from tests.web.conftest import Browser


@contextmanager
def failing(app: Flask, table: str, error: Exception) -> Iterator[None]:
    """Every statement that reads this table fails."""

    def fail(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if f"FROM {table}" in statement:
            raise error

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", fail)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", fail)


UNAVAILABLE = sqlite3.OperationalError("unable to open database file")


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ("domains", "/domains"),
        ("web_sessions", "/domains"),
        ("web_sessions", "/sign-in"),
        # what the frame shows
        ("projects", "/docs"),
        ("nodes", "/docs"),
        # the frame of a page that says that there is nothing
        ("nodes", "/domains/absent.nl"),
        ("nodes", "/admin/projects/99"),
    ],
)
@pytest.mark.parametrize(
    ("error", "status"), [(sqlite3.DatabaseError("malformed"), 500), (UNAVAILABLE, 503)]
)
def test_a_fault_below_a_page_or_its_frame_is_a_page(
    app: Flask, root: Browser, table: str, path: str, error: Exception, status: int
) -> None:
    with failing(app, table, error):
        answer = root.get(path)
    assert answer.status_code == status
    assert "<h1>" in answer.text
    assert str(error) not in answer.text
    assert ("The reference is" in answer.text) == (status == 500)
    assert ("Retry-After" in answer.headers) == (status == 503)
    assert root.get("/docs").status_code == 200


def test_a_change_that_has_to_wait_says_for_how_long(
    app: Flask, alice: Browser, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    alice.get("/mailboxes/new")
    fields = {"local_part": "info", "domain": "example.nl", "password": PASSWORD}
    with closing(sqlite3.connect(settings.instance / "panel.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for path in ("/mailboxes/new", "/domains/parked.nl/enable", "/sign-out"):
            answer = alice.post(path, **fields, quota_mb="1")
            assert answer.status_code == 503, path
            assert int(answer.headers["Retry-After"]) > 0, path


def test_a_method_that_a_page_does_not_know_is_answered_with_those_it_does(alice: Browser) -> None:
    answer = alice.client.delete("/mailboxes", headers={"X-CSRFToken": alice.csrf_token})
    assert answer.status_code in (400, 405)  # the token is asked for first
    answer = alice.get("/sign-out")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "OPTIONS, POST"


@pytest.mark.parametrize("body", ["false", "1", '"x"', "[1]", '{"domain": "new.nl"}', "{"])
def test_json_is_no_form(root: Browser, body: str) -> None:
    """Flask-WTF by itself would take an object for one, and fail at anything else."""
    root.get("/admin/domains")
    answer = root.client.post(
        "/admin/domains/new",
        data=body,
        content_type="application/json",
        headers={"X-CSRFToken": root.csrf_token},
    )
    assert answer.status_code in (200, 422)
    assert "new.nl" not in root.get("/admin/domains").text


def test_a_line_of_a_page_never_becomes_an_error_page(alice: Browser) -> None:
    answer = alice.get("/mailboxes/gone@example.nl/live", headers={"X-Poll": "true"})
    assert answer.status_code == 404
    assert answer.headers["HX-Reswap"] == "none"


class TestLog:
    """What PostgreSQL shows of a row it refused holds its values."""

    @pytest.fixture(params=ON_BOTH)
    def database(self, request: pytest.FixtureRequest) -> str:
        """SQLite, then PostgreSQL."""
        return str(request.param)

    @pytest.fixture
    def settings(
        self, settings: Settings, database: str, request: pytest.FixtureRequest
    ) -> Settings:
        """The folder's panel on SQLite, an empty one on PostgreSQL."""
        is_sqlite = database == "sqlite"
        url = settings.database_url if is_sqlite else request.getfixturevalue("postgres_url")
        return cheap_settings(settings.instance, url)

    def test_it_shows_no_values(
        self,
        app: Flask,
        visitor: Browser,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def refused() -> str:
            """As a page whose view does what the database refuses."""
            db.session.add(Person(email="secret\nvalue@people.example", password_hash="$2y$"))
            db.session.flush()
            db.session.execute(text("UPDATE people SET email = NULL"))
            return ""

        refused.access = "everyone"  # type: ignore[attr-defined]
        monkeypatch.setitem(app.view_functions, "auth.sign_in", refused)
        caplog.clear()
        answer = visitor.get("/sign-in")
        assert answer.status_code == 500
        assert "The reference is" in answer.text
        (record,) = caplog.records
        assert "IntegrityError" in record.getMessage()
        for value in ("secret", "value@", "$2y$", "DETAIL"):
            assert value not in caplog.text

    def test_what_follows_a_row_is_kept(self, caplog: pytest.LogCaptureFixture) -> None:
        shown = "null value\nDETAIL:  Failing row contains (1, line\nend, $2y$x).\n"
        log_unforeseen(IntegrityError("UPDATE people", {}, Exception(shown)))
        assert "UPDATE people" in caplog.text
        assert "$2y$" not in caplog.text
        assert "line\nend" not in caplog.text
