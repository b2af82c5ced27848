"""When the panel itself fails: a reference and nothing else for the client, all but values in the
log; and a database that cannot be written now is a reason to come back, not an error.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask

from app import create_app, database
from app.config import Settings
from app.extensions import db
from tests.api.answers import assert_failure, assert_success, unchanged
from tests.applications import let_go
from tests.conftest import PASSWORD, Api, Cast

NEW = {"email": "info@example.nl", "password": PASSWORD}


def boom(*_arguments: object, **_values: object) -> None:
    """A fault of the panel."""
    raise RuntimeError("boom")


def test_it_works(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("app.operations.operation.sync_of", boom)
    with unchanged(app):
        answer = api("add-user", **NEW)
    error = assert_failure(answer, 500, "SERVER_ERROR")
    match = re.fullmatch(r"Something went wrong; reference ([0-9a-f]{12})\.", error["message"])
    assert match
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert match[1] in record.getMessage()
    assert "RuntimeError: boom" in record.getMessage()
    assert "boom" not in answer.text
    assert PASSWORD not in caplog.text
    assert api.cast.tokens["alice"] not in caplog.text


@pytest.mark.parametrize(
    "where",
    [
        "app.api.caller_with_token",
        "app.api.read_object",
        "app.api.success",
        "app.operations.operation.raise_revision",
        "app.operations.mailboxes.Mailbox",
        "app.passwords.bcrypt.hashpw",
    ],
)
def test_a_fault_anywhere_changes_nothing_and_tells_nothing(
    app: Flask,
    api: Api,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    where: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    with unchanged(app), monkeypatch.context() as faulty:
        faulty.setattr(where, boom)
        answer = api("list-users") if where == "app.api.success" else api("add-user", **NEW)
    assert_failure(answer, 500, "SERVER_ERROR")
    assert "boom" not in answer.text
    assert PASSWORD not in caplog.text
    assert_success(api("add-user", **NEW), 201)


def test_what_the_database_refuses_is_logged_without_values(
    app: Flask, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with app.app_context():
        db.session.execute(
            db.text(
                "CREATE TRIGGER fault BEFORE INSERT ON mailboxes "
                "BEGIN SELECT RAISE(ABORT, 'a fault of the test'); END"
            )
        )
        db.session.commit()
    with unchanged(app):
        assert_failure(api("add-user", **NEW), 500, "SERVER_ERROR")
    assert "a fault of the test" in caplog.text
    assert "$2y$" not in caplog.text
    assert PASSWORD not in caplog.text
    assert "info@example.nl" not in caplog.text


def test_a_fault_elsewhere_is_in_the_envelope_too(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.api.openapi.encoded", boom)
    assert_failure(api.client.get("/iapi/openapi.json"), 500, "SERVER_ERROR")
    monkeypatch.setattr("app.export.cache.ExportCache.at_least", boom)
    headers = {"Authorization": f"Bearer {api.cast.sync_key}"}
    assert_failure(api.client.get("/sync/v1/export", headers=headers), 500, "SERVER_ERROR")


@pytest.fixture
def pragmas() -> tuple[str, ...]:
    """What a test sets on every connection of its panel, besides the panel's own."""
    return ()


@pytest.fixture
def hampered(
    cast: Cast, settings: Settings, pragmas: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Api]:
    """A panel whose database is not what it should be."""
    monkeypatch.setattr(database, "_PRAGMAS", (*database._PRAGMAS, *pragmas))
    app = create_app(settings)
    yield Api(app.test_client(), cast)
    let_go(app)


def assert_only_reads(hampered: Api) -> None:
    """Changes are put off, reads and the export go on."""
    with unchanged(hampered.client.application):
        for endpoint, who, body in (
            ("add-user", "alice", NEW),
            ("disable-email", "alice", {"domain": "parked.nl"}),
            ("enable-email", "alice", {"domain": "parked.nl"}),
            ("add-domain", "root", {"domain": "new.nl"}),
            ("add-node", "root", {"name": "mpi09"}),
        ):
            assert_failure(hampered(endpoint, who, **body), 503, "TRY_LATER")
        for endpoint in ("list-users", "list-domains", "list-nodes"):
            assert_success(hampered(endpoint, "root"))
        assert hampered.client.get("/iapi/openapi.json").status_code == 200
        headers = {"Authorization": f"Bearer {hampered.cast.sync_key}"}
        assert hampered.client.get("/sync/v1/export", headers=headers).status_code == 200
        wrong = {"Authorization": "Bearer x"}
        assert hampered.client.get("/sync/v1/export", headers=wrong).status_code == 401


@pytest.mark.parametrize("pragmas", [("query_only=ON",)])
def test_a_database_that_is_read_only_still_answers_reads(hampered: Api) -> None:
    assert_only_reads(hampered)


@pytest.mark.parametrize("pragmas", [("max_page_count=1",)])
def test_a_full_disk_puts_changes_off(hampered: Api) -> None:
    """SQLite never goes below the pages there are, so only what needs another page is put off."""
    domains = iter(range(10_000))
    while True:
        answer = hampered("add-domain", "root", domain=f"{'x' * 60}{next(domains)}.nl")
        if answer.status_code != 201:
            break
    assert_failure(answer, 503, "TRY_LATER")
    assert_success(hampered("list-domains"))


def test_a_locked_database_puts_changes_off_until_it_is_free(
    hampered: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        closing(sqlite3.connect(_file(settings), isolation_level=None)) as other,
        monkeypatch.context() as impatient,
    ):
        impatient.setattr(database, "BUSY_SECONDS", 0)
        impatient.setattr(database, "NOTE_SECONDS", 0)
        other.execute("BEGIN IMMEDIATE")
        assert_only_reads(hampered)
        other.execute("ROLLBACK")
    assert_success(hampered("add-user", **NEW), 201)


def test_a_database_that_cannot_be_read_is_a_reason_to_come_back(
    cast: Cast, settings: Settings, tmp_path: Path
) -> None:
    api = Api(create_app(settings).test_client(), cast)
    _file(settings).rename(tmp_path / "away.db")
    _file(settings).mkdir()
    assert_failure(api("list-users"), 503, "TRY_LATER")
    assert_failure(api("add-user", **NEW), 503, "TRY_LATER")


def _file(settings: Settings) -> Path:
    return settings.instance / "panel.db"
