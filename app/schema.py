"""Bringing the database up to date, before anything else is done with it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from flask import current_app
from flask_migrate import upgrade

from .extensions import db, settings


class CannotUpgrade(Exception):
    """The database cannot be brought to what this version of the panel needs."""


def bring_up_to_date() -> None:
    """Run the migrations that are missing; harmless while others do the same. Raises CannotUpgrade.

    Needs an application context.
    """
    if present() == newest():
        return
    with _one_at_a_time(settings.instance / "migrate.lock"):
        try:
            upgrade()
        except CommandError as error:
            raise CannotUpgrade(
                f"The database is of another version of Mailcote than this one: {error}"
            ) from error
    db.engine.dispose()  # connections made before know the old tables


def present() -> str | None:
    """The revision the database is at; None when it is empty."""
    with db.engine.connect() as connection:
        revision: str | None = MigrationContext.configure(connection).get_current_revision()
        return revision


def newest() -> str | None:
    """The revision this version of the panel needs."""
    config = current_app.extensions["migrate"].migrate.get_config()
    head: str | None = ScriptDirectory.from_config(config).get_current_head()
    return head


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
