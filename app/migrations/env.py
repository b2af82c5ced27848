"""How migrations run: in one transaction, foreign keys not enforced until it is done.

SQLite alters a table by copying it; with foreign keys on, dropping the old copy would take every
row that refers to it along. So they are off before the transaction begins (inside it the pragma
does nothing), and checked before it commits.
"""

from __future__ import annotations

from alembic import context
from alembic.util import CommandError
from flask import current_app
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.pool import NullPool

from app.database import engine_options
from app.extensions import Base

MIGRATION_LOCK = 7_203_441  # any number, the same for all panels on one PostgreSQL


def run_migrations() -> None:
    """Bring the database to the revision asked for, or change nothing."""
    url = context.config.attributes.get("url", current_app.config["SQLALCHEMY_DATABASE_URI"])
    options = {
        name: value
        for name, value in engine_options(url).items()
        if name in ("connect_args", "hide_parameters")
    }
    engine = create_engine(url, poolclass=NullPool, **options)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _leave_transactions_to_us)
        event.listen(engine, "begin", lambda connection: _begin_immediately(connection))
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=True,
            transaction_per_migration=False,
            transactional_ddl=True,
            compare_type=True,
        )
        with connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
            context.run_migrations()
            _refuse_broken_references(connection)


def _leave_transactions_to_us(connection, _record) -> None:  # type: ignore[no-untyped-def]
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute("PRAGMA busy_timeout=60000")
    connection.execute("PRAGMA journal_mode=WAL")


def _begin_immediately(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _refuse_broken_references(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        broken = connection.execute(text("PRAGMA foreign_key_check")).all()
        if broken:
            raise CommandError(f"{len(broken)} rows would be left without their parent")


run_migrations()
