"""When the panel itself fails: an assistant is told a reference, and its client can go on."""

from __future__ import annotations

import logging
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask

from app import database
from tests.api.answers import assert_failure, unchanged
from tests.api.test_faults import boom
from tests.conftest import PASSWORD
from tests.mcp.client import Assistant, done, refused

NEW = {"email": "info@example.nl", "password": PASSWORD}


@pytest.mark.parametrize(
    "where",
    [
        "app.mcp.tools.refuse_unusable_texts",
        "app.operations.operation.raise_revision",
        "app.operations.operation.sync_of",
        "app.passwords.bcrypt.hashpw",
    ],
)
def test_it_works(
    app: Flask,
    mcp: Assistant,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    where: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    with unchanged(app), monkeypatch.context() as faulty:
        faulty.setattr(where, boom)
        if where == "app.mcp.tools.error_object":
            assert_failure(
                mcp.ask("tools/call", name="email_account_add_user"), 500, "SERVER_ERROR"
            )
            return
        error = refused(mcp("add-user", **NEW), "SERVER_ERROR")
    match = re.fullmatch(r"Something went wrong; reference ([0-9a-f]{12})\.", error["message"])
    assert match
    assert match[1] in caplog.text
    assert PASSWORD not in caplog.text
    assert mcp.cast.tokens["alice"] not in caplog.text
    done(mcp("add-user", **NEW))


@pytest.mark.parametrize(
    "where", ["app.mcp.caller_with_token", "app.mcp.read_message", "app.mcp.result_of"]
)
def test_a_fault_outside_of_tools_is_one_of_http(
    app: Flask, mcp: Assistant, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(where, boom)
    with unchanged(app):
        answer = mcp.ask("tools/list")
    assert_failure(answer, 500, "SERVER_ERROR")
    assert "boom" not in answer.text


def test_a_database_that_cannot_be_written_is_a_reason_to_come_back(
    app: Flask, mcp: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(mcp("list-users"))  # the token's last use is noted
    monkeypatch.setattr(database, "BUSY_SECONDS", 0)
    file = Path(app.instance_path) / "panel.db"
    with closing(sqlite3.connect(file)) as other:
        other.execute("PRAGMA busy_timeout=0")
        other.execute("BEGIN IMMEDIATE")
        error = refused(mcp("enable-email", domain="example.nl"), "TRY_LATER")
        assert error["recovery"].startswith("Try again in ")
        other.rollback()
    done(mcp("enable-email", domain="example.nl"))
