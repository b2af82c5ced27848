"""What is in the tables of one panel, put into another in no time, on whichever database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Integer, create_engine, text
from sqlalchemy.pool import NullPool

from app.extensions import Base

Rows = dict[str, list[dict[str, Any]]]

_TABLES = {table.name: table for table in Base.metadata.sorted_tables}
_NUMBERED = [
    name
    for name, table in _TABLES.items()
    if "id" in table.columns and isinstance(table.c.id.type, Integer)
]


def rows_in(connection: Connection) -> Rows:
    """Every row of every table, by the names of its columns."""
    return {
        name: [dict(row._mapping) for row in connection.execute(table.select())]
        for name, table in _TABLES.items()
    }


@cache
def rows_of(file: Path) -> Rows:
    """The same of an SQLite panel that stays as it is."""
    with create_engine(f"sqlite:///{file}", poolclass=NullPool).connect() as connection:
        return rows_in(connection)


def put(connection: Connection, rows: Rows) -> None:
    """Add rows to empty tables; what is added afterwards has the numbers after theirs."""
    for name, added in rows.items():
        if added:
            connection.execute(_TABLES[name].insert(), added)
    number_on(connection)


def number_on(connection: Connection) -> None:
    """Let PostgreSQL count on after the rows that are there, as SQLite does.

    It would count those that came without their numbers, or were undone again.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_numbering())


@cache
def _numbering() -> str:
    """A table whose numbers are not counted has no sequence; what is asked of none is not done."""
    return " UNION ALL ".join(
        f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), coalesce(max(id), 1), count(*) > 0)"
        f" FROM {name}"
        for name in _NUMBERED
    )


def empty(connection: Connection, but: tuple[str, ...] = ()) -> None:
    """Remove every row, and count from 1 again.

    PostgreSQL's TRUNCATE makes new files for each table and takes as long as a test. A replica
    does not look at foreign keys, so that any order will do:
    https://www.postgresql.org/docs/current/runtime-config-client.html
    """
    names = [name for name in reversed(_TABLES) if name not in but]
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql(";".join(f"DELETE FROM {name}" for name in names))
        connection.exec_driver_sql("SET LOCAL session_replication_role = origin")
        number_on(connection)
    else:
        with _without_triggers(connection):
            for name in (*names, "sqlite_sequence"):
                connection.execute(text(f"DELETE FROM {name}"))


@contextmanager
def _without_triggers(connection: Connection) -> Iterator[None]:
    """The audit log lets nobody empty it; SQLite cannot be told to leave a trigger out."""
    query = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    triggers = connection.execute(query).all()
    for name, _ in triggers:
        connection.execute(text(f"DROP TRIGGER {name}"))
    yield
    for _, statement in triggers:
        connection.execute(text(statement))
