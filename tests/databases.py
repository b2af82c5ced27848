"""Databases of a test's own, and what is in them."""

from __future__ import annotations

import resource
import secrets
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from sqlalchemy import Engine, create_engine, event, select
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from app import create_app, schema, upgrade
from app.config import Settings
from app.extensions import Base
from tests.applications import let_go
from tests.conftest import cheap_settings, just_migrated


@contextmanager
def postgres_database(server_url: str, like: str = "template0") -> Iterator[str]:
    """A database on the tests' PostgreSQL server, empty or like another; gone afterwards."""
    name = f"own_{secrets.token_hex(4)}"
    url = make_url(server_url)
    with psycopg.connect(libpq(server_url), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} TEMPLATE {like}")
        try:
            yield url.set(database=name).render_as_string(hide_password=False)
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def libpq(url: str) -> str:
    """A URL as PostgreSQL's own programs read it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def new_panel(folder: Path, database_url: str = "") -> Settings:
    """The settings of a panel that is up to date and empty."""
    settings = cheap_settings(folder, database_url)
    if not database_url:
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "panel.db").write_bytes(just_migrated())
        with closing(sqlite3.connect(folder / "panel.db")) as database, database:
            database.execute("UPDATE feed SET epoch = ?", (str(uuid.uuid4()),))
        return settings
    app = create_app(settings)
    with app.app_context():
        upgrade.bring_up_to_date()
    let_go(app)
    return settings


Rows = list[tuple[Any, ...]]


def contents(settings: Settings) -> dict[str, Rows]:
    """Every row of every table, read by a stranger to the application."""
    engine = create_engine(settings.database, poolclass=NullPool)
    with engine.connect() as connection:
        return {
            name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for name, table in Base.metadata.tables.items()
        }


def without_feed(rows: dict[str, Rows]) -> dict[str, Rows]:
    """All but the row that says which state this is, and what backing up and restoring note."""
    kept = {name: table for name, table in rows.items() if name != "feed"}
    action = Base.metadata.tables["audit_entries"].columns.keys().index("action")
    noted = ("record-backup", "restore")
    kept["audit_entries"] = [row for row in rows["audit_entries"] if row[action] not in noted]
    return kept


MIGRATIONS = Path(schema.__file__).with_name("migrations")
NEWEST = max(path.name for path in MIGRATIONS.glob("versions/[0-9]*.py"))[:4]  # of this version

NEWER = """
import sqlalchemy as sa
from alembic import op

revision = "9001"
down_revision = "{newest}"
PARENTS = ("feed", "projects", "domains", "mailboxes")


def upgrade() -> None:
    op.create_table(
        "notes",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("mailbox_id", sa.String(32), sa.ForeignKey("mailboxes.id"), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
    )
    for parent in PARENTS:
        motto = sa.Column("motto", sa.String(), nullable=False, server_default="none")
        with op.batch_alter_table(parent) as batch_op:
            batch_op.add_column(motto)
            batch_op.create_check_constraint("motto", "length(motto) > 0")


def downgrade() -> None:
    op.drop_table("notes")
    for parent in PARENTS:
        with op.batch_alter_table(parent) as batch_op:
            batch_op.drop_constraint("motto", type_="check")
            batch_op.drop_column("motto")
"""


@contextmanager
def newer_migrations(folder: Path) -> Iterator[Path]:
    """The migrations of a version to come, which adds a table and alters those others refer to.

    An application that is made from now on does not know of them until `schema.scripts` is set.
    """
    directory, now = folder / "migrations", schema.scripts
    shutil.copytree(MIGRATIONS, directory)
    (directory / "versions" / "9001_newer.py").write_text(NEWER.replace("{newest}", NEWEST))
    yield directory
    schema.scripts = now


def downgrade(revision: str) -> None:
    """Take the database of the application back to an older revision."""
    command.downgrade(schema.alembic_config(), revision)


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """What is asked of a database meanwhile; one statement with many rows counts once."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(engine, "before_cursor_execute", note)


@contextmanager
def no_room(most: int) -> Iterator[None]:
    """No file of this process, or of one it starts, can grow beyond so many bytes."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
