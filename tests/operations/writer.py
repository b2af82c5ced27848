"""Processes that change a panel: `python -m tests.operations.writer FOLDER COUNT NAME…`, one each.

They begin together; each makes so many mailboxes and changes each of them once.
"""

from __future__ import annotations

import multiprocessing
import sys
from multiprocessing.synchronize import Barrier
from pathlib import Path

from app import create_app
from app.caller import command_line
from app.config import Settings
from app.operations.mailboxes import add_user, update_user

PATIENCE = 60  # seconds; only who never comes to the start takes so long


def main(folder: str, count: str, *names: str) -> int:
    """How many of the processes ended with an error."""
    fork = multiprocessing.get_context("fork")  # what they all import is imported once
    start = fork.Barrier(len(names))
    writers = [fork.Process(target=write, args=(folder, int(count), name, start)) for name in names]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    return sum(writer.exitcode != 0 for writer in writers)


def write(folder: str, count: int, name: str, start: Barrier) -> None:
    """Write; every change that is not acknowledged ends the process with an error."""
    app = create_app(Settings(instance=Path(folder), mailbox_bcrypt_cost=4))
    with app.app_context():
        caller = command_line().in_project(1)
        start.wait(PATIENCE)
        for number in range(count):
            email = f"{name}{number}@example.nl"
            add_user(caller, email=email, password="correct horse battery")
            update_user(caller, email=email, quota_mb=number + 1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
