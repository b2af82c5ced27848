"""A panel that is used: `python -m tests.power.panel FOLDER COUNT lasting|fleeting`, or `start`.

What it did is acknowledged in a file, a line each.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from app import backup, create_app
from app.caller import command_line
from app.config import Settings
from app.database import write_transaction
from app.extensions import db
from app.operations import OPERATIONS, operation
from tests.conftest import PASSWORD

ACKNOWLEDGED, COPY = "acknowledged", "copy.backup"
BACKED_UP = "backup\n"
REOPENED = 25  # after so many steps nobody has the database open for a moment

Step = tuple[str, dict[str, Any]]


def steps(count: int) -> list[Step]:
    """so many changes."""
    found: list[Step] = []
    for number in range(count):
        email = f"user{number}@example.nl"
        found.append(("add-user", {"email": email, "password": PASSWORD}))
        found.append(("update-user", {"email": email, "quota_mb": number + 1}))
        if number % 3 == 2:
            found.append(("remove-user", {"email": f"user{number - 1}@example.nl"}))
        if number % 7 == 6:
            found.append(("add-domain", {"domain": f"new{number}.nl", "project_id": 1}))
            found.append(("enable-email", {"domain": f"new{number}.nl"}))
            gone = {"email": f"user{number - 3}@example.nl", "hard_delete": True}
            found.append(("remove-user", gone))
    return found[:count]


def use(app: Any, folder: Path, count: int) -> None:
    """Do all of it, then make a backup."""
    log = os.open(folder / ACKNOWLEDGED, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    caller = command_line().in_project(1)
    for number, (name, values) in enumerate(steps(count)):
        OPERATIONS[name](caller, **values)
        os.write(log, f"{number}\n".encode())
        if number % REOPENED == REOPENED - 1:
            db.session.remove()
            db.engine.dispose()
    backup.back_up(folder / COPY)
    os.write(log, BACKED_UP.encode())


def main(folder: str, count: str, how: str) -> None:
    """The last word says whether changes wait for the disk, as they should."""
    if how == "fleeting":
        operation.write_transaction = partial(write_transaction, is_lasting=False)  # type: ignore[attr-defined]
    app = create_app(Settings(instance=Path(folder), mailbox_bcrypt_cost=4))
    with app.app_context():
        use(app, Path(folder), int(count))


if __name__ == "__main__":
    main(*sys.argv[1:])
