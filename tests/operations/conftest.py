"""Operations are tested on both databases, on one panel each; every test finds the same rows.

A panel of its own for each test would take five times as long: what SQLAlchemy has compiled is kept
with the application.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from flask import Flask
from sqlalchemy import insert, select

from app import create_app
from app.extensions import db
from app.models import Feed
from tests.applications import let_go
from tests.conftest import ON_BOTH, Cast, cheap_settings, set_the_stage
from tests.rows import Rows, empty, put, rows_in


@pytest.fixture(params=ON_BOTH)
def database(request: pytest.FixtureRequest) -> str:
    """SQLite, then PostgreSQL."""
    return str(request.param)


@dataclass
class Stage:
    """A panel with the cast in place, and its rows to begin every test with."""

    app: Flask
    cast: Cast
    rows: Rows

    def set_again(self) -> None:
        """Make every table what it was before the first test."""
        with self.app.app_context(), db.engine.begin() as connection:
            empty(connection)
            put(connection, self.rows)


@pytest.fixture(scope="session")
def stage_on(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Stage]]:
    """The stage on a database, made when it is first asked for."""
    stages: dict[str, Stage] = {}

    def make(database: str) -> Stage:
        folder, url = tmp_path_factory.mktemp("panel"), ""
        if database == "sqlite":
            file = request.getfixturevalue("migrated_file").read_bytes()
            (folder / "panel.db").write_bytes(file)
        else:
            url = request.getfixturevalue("postgres_url")
        app = create_app(cheap_settings(folder, url))
        with app.app_context(), db.engine.begin() as connection:
            feed = [dict(row._mapping) for row in connection.execute(select(Feed.__table__))]
            empty(connection)
            connection.execute(insert(Feed), {**feed[0], "revision": 1, "users": 0})
        cast = set_the_stage(app)
        with app.app_context(), db.engine.connect() as connection:
            return Stage(app, cast, rows_in(connection))

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
