"""PostgreSQL tells processes of changes; where it does not, they find out all the same."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from flask import Flask
from sqlalchemy import text

from app.extensions import db
from app.sync import hearing, waiting
from tests.conftest import Api, cast, needs_postgres, settings
from tests.processes import eventually
from tests.sync.node import Node, checked, execute, fill
from tests.sync.test_waiting import Waiting, other

__all__ = ["cast", "other", "settings"]  # on an empty panel rather than on a copy
pytestmark = [pytest.mark.real, needs_postgres]
NEVER = 3600.0  # seconds
EARS = f"SELECT pid FROM pg_stat_activity WHERE application_name = '{hearing.NAME}'"


@pytest.fixture
def database() -> str:
    """SQLite tells nobody of anything; there it takes no query to look."""
    return "postgresql"


@pytest.fixture
def waits(app: Flask) -> Iterator[Waiting]:
    """Nodes that wait in the first process; whatever happens, their waits end with the test."""
    with ThreadPoolExecutor(4) as threads:
        yield Waiting(app, threads)
        app.extensions["node_desk"].room.close()


def test_it_works(
    api: Api, other: Flask, node: Node, waits: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody looks by itself any more once it hears: what comes then, was told."""
    monkeypatch.setattr(waiting, "TICK_WHEN_TOLD", NEVER)
    asked = waits.begin(node.key, node.ask().headers["ETag"])
    eventually(lambda: waits.room.is_told)
    there = Api(other.test_client(), api.cast)
    fill(there, "info")
    assert checked(asked.result())["counts"]["users"] == 1
    asked = waits.begin(node.key, node.ask().headers["ETag"])
    there("disable-email", domain="example.nl")  # refused, so there is nothing to tell
    there("remove-user", email="info@example.nl")
    assert checked(asked.result())["counts"]["users"] == 0
    assert len(ears(other)) == 1, "where nobody waits, nobody listens"


def test_a_connection_that_is_cut_is_made_anew(
    api: Api, other: Flask, node: Node, waits: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "TICK_WHEN_TOLD", NEVER)
    asked = waits.begin(node.key, node.ask().headers["ETag"])
    eventually(lambda: waits.room.is_told)
    [before] = ears(other)
    execute(other, f"SELECT pg_terminate_backend({before})")
    eventually(lambda: ears(other) not in ([], [before]) and waits.room.is_told)
    fill(Api(other.test_client(), api.cast), "info")
    assert checked(asked.result())["counts"]["users"] == 1


def test_a_connection_that_dies_without_a_word_delays_a_change_at_most(
    api: Api, other: Flask, node: Node, waits: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing, "PROOF_EVERY", 0.2)
    monkeypatch.setattr(hearing, "PROOF_HOLDS", 0.5)
    asked = waits.begin(node.key, node.ask().headers["ETag"])
    eventually(lambda: waits.room.is_told)
    with stopped(ears(other)[0]):
        fill(Api(other.test_client(), api.cast), "info")
        assert checked(asked.result())["counts"]["users"] == 1
        eventually(lambda: not waits.room.is_told)
        asked = waits.begin(node.key, node.ask().headers["ETag"])
        monkeypatch.setattr(waiting, "TICK_WHEN_TOLD", NEVER)  # it knows that it hears nothing
        fill(Api(other.test_client(), api.cast), "sales")
        assert checked(asked.result())["counts"]["users"] == 2


def ears(app: Flask) -> list[int]:
    """The servers' processes behind connections that listen."""
    with app.app_context():
        found = list(db.session.scalars(text(EARS)))
        db.session.rollback()
        return found


@contextmanager
def stopped(process: int) -> Iterator[None]:
    """A process that neither answers nor hangs up, like a computer that lost its network."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)
