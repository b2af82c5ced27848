"""Operations are tested on both databases, on one panel each; every test finds the same rows.

A panel of its own for each test would take five times as long: what SQLAlchemy has compiled is kept
with the application.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, Integer, Table, func, insert, select, text

from app import create_app
from app.extensions import Base, db
from app.models import Feed
from tests.applications import let_go
from tests.conftest import ON_BOTH, Cast, cheap_settings, set_the_stage


@pytest.fixture(params=ON_BOTH)
def database(request: pytest.FixtureRequest) -> str:
    """SQLite, then PostgreSQL."""
    return str(request.param)


@dataclass
class Stage:
    """A panel with the cast in place, and its rows to begin every test with."""

    app: Flask
    cast: Cast
    rows: dict[str, list[dict[str, Any]]]

    def set_again(self) -> None:
        """Make every table what it was before the first test."""
        with self.app.app_context(), db.engine.begin() as connection:
            _empty(connection)
            for table in Base.metadata.sorted_tables:
                if rows := self.rows[table.name]:
                    connection.execute(table.insert(), rows)
                if connection.dialect.name == "postgresql" and "id" in table.columns:
                    _number_on(connection, table)


def _empty(connection: Connection) -> None:
    tables = [table.name for table in reversed(Base.metadata.sorted_tables)]
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY"))
    else:
        for table in (*tables, "sqlite_sequence"):
            connection.execute(text(f"DELETE FROM {table}"))


def _number_on(connection: Connection, table: Table) -> None:
    """Let PostgreSQL count on after the rows that came with their numbers, as SQLite does."""
    sequence = func.pg_get_serial_sequence(table.name, "id")
    if isinstance(table.c.id.type, Integer) and connection.scalar(select(sequence)):
        last = select(func.max(table.c.id)).scalar_subquery()
        is_called = last.is_not(None)
        connection.execute(select(func.setval(sequence, func.coalesce(last, 1), is_called)))


@pytest.fixture(scope="session")
def stage_on(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Stage]]:
    """The stage on a database, made when it is first asked for."""
    stages: dict[str, Stage] = {}

    def make(database: str) -> Stage:
        folder, url = tmp_path_factory.mktemp("panel"), ""
        if database == "sqlite":
            empty = request.getfixturevalue("migrated_file").read_bytes()
            (folder / "panel.db").write_bytes(empty)
        else:
            url = request.getfixturevalue("postgres_url")
        app = create_app(cheap_settings(folder, url))
        with app.app_context(), db.engine.begin() as connection:
            feed = [dict(row._mapping) for row in connection.execute(select(Feed.__table__))]
            _empty(connection)
            connection.execute(insert(Feed), {**feed[0], "revision": 1, "users": 0})
        cast = set_the_stage(app)
        with app.app_context(), db.engine.connect() as connection:
            rows = {
                table.name: [dict(row._mapping) for row in connection.execute(table.select())]
                for table in Base.metadata.sorted_tables
            }
        return Stage(app, cast, rows)

    def stage(database: str) -> Stage:
        if database not in stages:
            stages[database] = make(database)
        return stages[database]

    yield stage
    for made in stages.values():
        let_go(made.app)


@pytest.fixture
def app(database: str, stage_on: Callable[[str], Stage]) -> Flask:
    """The application, with the cast in place."""
    stage_on(database).set_again()
    return stage_on(database).app


@pytest.fixture
def cast(app: Flask, database: str, stage_on: Callable[[str], Stage]) -> Cast:
    """The cast, put into place once."""
    return stage_on(database).cast
