"""The audit log: with what was done or not at all, never changed, and without a secret."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from app import sessions
from app.caller import Caller, command_line
from app.cli.audit import _json_lines
from app.database import write_transaction
from app.extensions import db
from app.models import AuditEntry
from app.operations import OFFERED, OPERATIONS, audit_log
from app.spreadsheets import csv_lines
from tests.conftest import PASSWORD, Cast
from tests.operations import ledger
from tests.operations.test_operation import INPUT, _in_its_project, root
from tests.rows import number_on

__all__ = ["root"]

# Credentials as `app.credentials` makes them, which answers hold once.
CREDENTIAL = re.compile(r"\b(?:wpa|mck|mcw|mcs|mch|wpo|wpr|wpg)_[0-9A-Za-z]{38}\b")
SECRET_FIELDS = {"password", "present", "code", "token"}


class CannotBeEntered(Exception):
    """What went wrong with the audit log."""


@contextmanager
def nothing_can_be_entered() -> Iterator[None]:
    """Let the audit log take in nothing."""

    def refuse(_connection: Any, _cursor: Any, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO audit_entries"):
            raise CannotBeEntered

    event.listen(db.engine, "before_cursor_execute", refuse)
    try:
        yield
    finally:
        event.remove(db.engine, "before_cursor_execute", refuse)


def test_nothing_is_done_that_cannot_be_entered(root: Caller) -> None:
    """One transaction: whatever an operation has changed by then is as it was."""
    for name, operation in OPERATIONS.items():
        if not operation.reads:
            before = ledger.everything()
            with nothing_can_be_entered(), pytest.raises(CannotBeEntered):
                operation(_in_its_project(root, name), **INPUT[name])
            assert ledger.everything() == before, name
            with db.engine.begin() as connection:
                number_on(connection)
        operation(_in_its_project(root, name), **INPUT[name])


def test_nobody_signs_in_or_out_without_an_entry(root: Caller) -> None:
    given: dict[str, Any] = {"email": "root@example.org", "address": "::1", "user_agent": ""}
    sessions.sign_in(password=PASSWORD, **given)
    before = ledger.everything()
    with nothing_can_be_entered():
        for password in (PASSWORD, "a wrong password"):
            with pytest.raises(CannotBeEntered):
                sessions.sign_in(password=password, **given)
        with pytest.raises(CannotBeEntered):
            sessions.sign_out(root, 1)
    assert ledger.everything() == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET actor = 'nobody'",
        "UPDATE audit_entries SET id = id + 1000",
        "DELETE FROM audit_entries",
        "DELETE FROM audit_entries WHERE id = 1",
    ],
)
def test_it_refuses_to_be_changed(core: Cast, statement: str) -> None:
    before = ledger.everything()
    with pytest.raises(DBAPIError, match="append-only"), write_transaction() as session:
        session.execute(db.text(statement))
    assert ledger.everything() == before


def test_it_cannot_be_emptied_by_truncating(core: Cast) -> None:
    if db.engine.dialect.name == "postgresql":  # SQLite has no such statement
        with pytest.raises(DBAPIError, match="append-only"), write_transaction() as session:
            session.execute(db.text("TRUNCATE audit_entries"))
    assert ledger.entries()


def test_it_refuses_to_be_changed_by_the_models(core: Cast) -> None:
    with pytest.raises(DBAPIError, match="append-only"), write_transaction() as session:
        session.delete(session.get_one(AuditEntry, 1))
    with pytest.raises(DBAPIError, match="append-only"), write_transaction() as session:
        session.get_one(AuditEntry, 1).actor = "nobody"


def _secrets_in(values: dict[str, Any]) -> set[str]:
    return {str(value) for field, value in values.items() if field in SECRET_FIELDS}


def _tables(but: set[str]) -> str:
    """Every row of every table, without the columns that have to hold a secret as it is."""
    told = []
    for table in db.metadata.sorted_tables:
        columns = [one for one in table.columns if f"{table.name}.{one.name}" not in but]
        told += [repr(tuple(row)) for row in db.session.execute(db.select(*columns))]
    return "\n".join(told)


def test_no_secret_of_any_operation_is_kept_or_told(
    app: Flask, root: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither what comes in nor what is answered; not in a table, the log or either file of it."""
    caplog.set_level(logging.DEBUG)
    secrets: set[str] = set()
    for name, operation in OPERATIONS.items():
        result = operation(_in_its_project(root, name), **INPUT[name])
        secrets |= _secrets_in(INPUT[name]) | set(CREDENTIAL.findall(repr(result)))
        secrets |= set(getattr(result, "codes", ()))  # of recovery
    assert len(secrets) > 15
    entries = list(audit_log.oldest_first(command_line()))
    kept = {
        "tables": _tables({"two_factors.secret"}),  # by which the codes are checked
        "log": caplog.text,
        "JSON": "".join(_json_lines(entries)),
        "CSV": "".join(csv_lines(audit_log.COLUMNS, entries)),
    }
    for where, text in kept.items():
        assert not {secret for secret in secrets if secret in text}, where
        assert not CREDENTIAL.findall(text), where
        assert where in ("log", "tables") or "$2" not in text, where


def test_the_log_of_requests_holds_none(
    app: Flask, root: Caller, core: Cast, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client, secrets = app.test_client(), set(core.tokens.values())
    for operation in OFFERED:
        project = 2 if "live@charlie.nl" in str(INPUT[operation.name]) else 1
        address = f"/iapi/project/{project}/email_account/{operation.name}"
        bearer = {"Authorization": f"Bearer {core.tokens['root']}"}
        answer = client.post(address, json=INPUT[operation.name], headers=bearer)
        assert answer.status_code in (200, 201), answer.text
        secrets |= _secrets_in(INPUT[operation.name]) | set(CREDENTIAL.findall(answer.text))
    assert len(secrets) > 6
    told = caplog.text + "".join(repr(vars(record)) for record in caplog.records)
    assert "/add-user" in told
    assert not {secret for secret in secrets if secret in told}
    assert not {secret for secret in secrets if secret in _tables(set())}


def test_each_entry_is_one_line_of_json(root: Caller) -> None:
    with write_transaction() as session:
        odd = "a\nb\r\u2028\u0085\"'é\U0001f600"
        session.add(AuditEntry(actor=odd, action="x", object=odd, given="", revision=1))
    lines = list(_json_lines(audit_log.oldest_first(command_line())))
    assert all(len(line.splitlines()) == 1 and line.isascii() for line in lines)
    last = json.loads(lines[-1])
    assert (last["actor"], last["object"]) == (odd, odd)
    assert list(last) == list(audit_log.COLUMNS)
    assert [json.loads(line)["id"] for line in lines] == [entry.id for entry in ledger.entries()]
