"""The tables: which revision a database is at, and bringing it to the newest.

Alembic is loaded where a migration runs, and nowhere else: it would be a sixth of what every
command and every process of the server loads, and nearly all of them find nothing to do.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flask import Flask
from sqlalchemy import inspect, text
from sqlalchemy.exc import SQLAlchemyError

from .extensions import db

if TYPE_CHECKING:
    from alembic.config import Config

# A folder with `versions`, whose files are named after their revisions: 0001_the_first_tables.py.
scripts = Path(__file__).parent / "migrations"


class CannotUpgrade(Exception):
    """The database cannot be brought to what this version of the panel needs."""


def upgrade(url: str) -> None:
    """Run the migrations that this database is missing, all of them or none. Raises CannotUpgrade.

    Needs an application context; the database need not be the application's own.
    """
    from alembic import command
    from alembic.util import CommandError

    config = alembic_config()
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
        if not inspect(connection).has_table("alembic_version"):
            return None
        revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return revision


def newest() -> str:
    """The revision this version of the panel needs."""
    return max(_revisions())


def is_known(revision: str) -> bool:
    """Whether a database at this revision can be brought to the newest one."""
    return revision in _revisions()


def _revisions() -> set[str]:
    return {file.name.partition("_")[0] for file in (scripts / "versions").glob("[0-9]*_*.py")}


def alembic_config() -> Config:
    """What Alembic is called with; its env.py takes the rest from the application."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts))
    return config


def offer_commands(app: Flask) -> None:
    """Make `flask db` work, with which migrations are written and checked."""
    from flask_migrate import Migrate

    Migrate(app, db, directory=str(scripts), render_as_batch=True)


def reason(error: Exception) -> str:
    """What the database says of it, in one line: the lines after it may show values."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
