"""Bringing the database up to date, before anything else is done with it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from .extensions import db, settings


class CannotUpgrade(Exception):
    """The database cannot be brought to what this version of the panel needs."""


def bring_up_to_date() -> None:
    """Run the migrations that are missing; harmless while others do the same. Raises CannotUpgrade.

    Needs an application context.
    """
    try:
        revision = present()
    except SQLAlchemyError as error:
        raise CannotUpgrade(f"The database cannot be used: {reason(error)}") from error
    if revision == newest():
        return
    if revision is not None and not is_known(revision):
        raise CannotUpgrade("The database is of a newer version of Mailcote than this one.")
    with _one_at_a_time(settings.instance / "migrate.lock"):
        upgrade(settings.database)
    db.engine.dispose()  # connections made before know the old tables


def upgrade(url: str) -> None:
    """Run the migrations that this database is missing, all of them or none. Raises CannotUpgrade.

    Needs an application context; the database need not be the application's own.
    """
    config = _config()
    config.attributes["url"] = url
    try:
        command.upgrade(config, "head")
    except (CommandError, SQLAlchemyError) as error:
        raise CannotUpgrade(
            f"The database cannot be brought up to date: {reason(error)}"
        ) from error


def present() -> str | None:
    """The revision the database is at; None when it is empty."""
    with db.engine.connect() as connection:
        revision: str | None = MigrationContext.configure(connection).get_current_revision()
        return revision


def newest() -> str | None:
    """The revision this version of the panel needs."""
    head: str | None = ScriptDirectory.from_config(_config()).get_current_head()
    return head


def is_known(revision: str) -> bool:
    """Whether a database at this revision can be brought to the newest one."""
    try:
        return ScriptDirectory.from_config(_config()).get_revision(revision) is not None
    except CommandError:
        return False


def reason(error: Exception) -> str:
    """What the database says of it, in one line: the lines after it may show values."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _config() -> Config:
    config: Config = current_app.extensions["migrate"].migrate.get_config()
    return config


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
