"""`mailcote audit-log`: who did what, as lines of JSON or a file for spreadsheets."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.pool import Pool

from app.caller import Caller
from app.extensions import db
from app.models import AuditEntry
from app.operations import OPERATIONS, audit_log
from tests.conftest import Cast

from .mailcote import Mailcote

DAYS = ["2020-01-01T00:00:00Z", "2020-01-31T23:59:59Z", "2020-02-01T00:00:00Z"]


@pytest.fixture
def three(app: Flask) -> None:
    """One entry each of three moments, and nothing else."""
    with app.app_context():
        for at in DAYS:
            db.session.add(
                AuditEntry(at=at, actor="=x", action="add-user", object=at, given="", revision=1)
            )
        db.session.commit()


def told(mailcote: Mailcote, *arguments: str) -> list[str]:
    """The objects of the entries, in the order in which they come."""
    lines = mailcote.done("audit-log", *arguments).out.splitlines()
    return [json.loads(line)["object"] for line in lines]


def test_it_works(mailcote: Mailcote, three: None) -> None:
    assert told(mailcote) == DAYS
    assert told(mailcote, "--since", "2020-01-31") == DAYS[1:]
    assert told(mailcote, "--since", DAYS[2]) == DAYS[2:]
    assert told(mailcote, "--since", "2021-01-01") == []


def test_it_is_empty_on_a_new_panel(new_mailcote: Mailcote) -> None:
    assert new_mailcote.done("audit-log").out == ""
    head = new_mailcote.done("audit-log", "--format", "csv").out
    assert head.splitlines() == [",".join(audit_log.COLUMNS)]


def test_no_cell_is_a_formula(mailcote: Mailcote, three: None) -> None:
    text = mailcote.done("audit-log", "--format", "csv").out
    head, *rows = csv.reader(io.StringIO(text))
    assert head == list(audit_log.COLUMNS)
    assert [row[head.index("actor")] for row in rows] == ["'=x"] * 3
    assert [row[head.index("object")] for row in rows] == DAYS


def test_a_long_log_is_read_as_it_is_written(
    mailcote: Mailcote, three: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "CHUNK", 2)
    assert told(mailcote) == DAYS


@pytest.mark.parametrize("since", ["yesterday", "2020-13-01", "2020", "", "2020-01-01 00:00"])
def test_it_rejects_what_is_no_moment(mailcote: Mailcote, since: str) -> None:
    assert "--since" in mailcote.used_wrongly("audit-log", "--since", since)


def test_it_rejects_another_format(mailcote: Mailcote) -> None:
    assert "--format" in mailcote.used_wrongly("audit-log", "--format", "xml")


def test_a_backup_is_noted_by_its_name(mailcote: Mailcote, tmp_path: Path) -> None:
    for name in ("Mon", " a\nb ", "é" * 120):
        mailcote.done("backup", f"{tmp_path}/{name}")
    assert told(mailcote) == ["Mon", "a?b", "é" * 100]
    with_action = mailcote.done("audit-log").out
    assert re.findall(r'"action": "([^"]+)"', with_action) == ["record-backup"] * 3


def test_it_is_not_for_customers(app: Flask, cast: Cast) -> None:
    with app.app_context():
        alice: Caller = cast.alice
        for read in (audit_log.oldest_first, audit_log.actions):
            with pytest.raises(Exception, match="Only an admin"):
                list(read(alice))
        assert "record-backup" in OPERATIONS


def test_a_backup_of_a_database_that_cannot_be_written_is_made(
    mailcote: Mailcote, tmp_path: Path
) -> None:
    """It may be needed most then; that it is not in the log is said."""

    def refuse_writing(connection: Any, *_: object) -> None:
        connection.cursor().execute("PRAGMA query_only = ON")

    event.listen(Pool, "checkout", refuse_writing)
    try:
        said = mailcote.done("backup", str(tmp_path / "backup"))
    finally:
        event.remove(Pool, "checkout", refuse_writing)
    assert said.err.startswith("It is not in the audit log: ")
    assert told(mailcote) == []
    mailcote.done("restore", str(tmp_path / "backup"))
