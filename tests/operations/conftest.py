"""Operations are tested on both databases, on one panel each that is emptied for every test.

An application of its own for each test would take ten times as long: what SQLAlchemy has compiled
is kept with the application.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import text

from app import create_app
from app.extensions import Base, db
from tests.conftest import ON_BOTH, cheap_settings


@pytest.fixture(params=ON_BOTH)
def database(request: pytest.FixtureRequest) -> str:
    """SQLite, then PostgreSQL."""
    return str(request.param)


@pytest.fixture(scope="session")
def panel_on(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Flask]]:
    """The panel on a database, made when it is first asked for."""
    panels: dict[str, Flask] = {}

    def panel(database: str) -> Flask:
        if database not in panels:
            folder, url = tmp_path_factory.mktemp("panel"), ""
            if database == "sqlite":
                empty = request.getfixturevalue("migrated_file").read_bytes()
                (folder / "panel.db").write_bytes(empty)
            else:
                url = request.getfixturevalue("postgres_url")
            panels[database] = create_app(cheap_settings(folder, url))
        return panels[database]

    yield panel
    for app in panels.values():
        with app.app_context():
            db.engine.dispose()
        app.extensions["node_desk"].watch.close()


@pytest.fixture
def app(database: str, panel_on: Callable[[str], Flask]) -> Flask:
    """The application on an empty panel."""
    app = panel_on(database)
    with app.app_context():
        _empty()
    return app


def _empty() -> None:
    tables = [table.name for table in reversed(Base.metadata.sorted_tables) if table.name != "feed"]
    with db.engine.begin() as connection:
        if db.engine.dialect.name == "postgresql":
            connection.execute(text(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY"))
        else:
            for table in (*tables, "sqlite_sequence"):
                connection.execute(text(f"DELETE FROM {table}"))
        connection.execute(text("UPDATE feed SET revision = 1, users = 0, shrink_is_meant = true"))
