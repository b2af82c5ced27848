"""Bringing the panel's own database up to date, before anything else is done with it.

What a migration changes is kept first: it runs in one transaction, but one that does what it should
not, and commits, can be taken back by nothing else.
"""

from __future__ import annotations

import logging

from sqlalchemy.exc import SQLAlchemyError

from . import backup, schema
from .extensions import db, settings
from .schema import CannotUpgrade
from .turns import one_at_a_time

log = logging.getLogger(__name__)


def bring_up_to_date() -> None:
    """Run the migrations that are missing; harmless while others do the same. Raises CannotUpgrade.

    A database that has something in it is backed up first, into the instance folder; without
    that backup nothing is changed. Needs an application context.
    """
    if _is_up_to_date():
        return
    with one_at_a_time(settings.instance / "migrate.lock"):
        if not _is_up_to_date():  # nobody else was faster
            if settings.backup_before_upgrade == "yes" and schema.present() is not None:
                _back_up()
            schema.upgrade(settings.database)
    db.engine.dispose()  # connections made before know the old tables


def _is_up_to_date() -> bool:
    try:
        revision = schema.present()
    except SQLAlchemyError as error:
        raise CannotUpgrade(f"The database cannot be used: {schema.reason(error)}") from error
    if revision is not None and not schema.is_known(revision):
        raise CannotUpgrade("The database is of a newer version of Mailcote than this one.")
    return revision == schema.newest()


def _back_up() -> None:
    try:
        file = backup.keep_before("upgrade")
    except backup.CannotBackUp as error:
        raise CannotUpgrade(
            "The database was not brought up to date, and nothing was changed, since it could not "
            f"be backed up first: {_sentence(str(error))} Put that right; or make a backup by "
            "other means, and set MAILCOTE_BACKUP_BEFORE_UPGRADE=no for this once."
        ) from error
    log.info("backed up before the upgrade to %s", file)


def _sentence(text: str) -> str:
    """What a database's driver says has no full stop."""
    return text if text.endswith((".", "!", "?")) else f"{text}."
