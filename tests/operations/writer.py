"""One process that changes the panel: `python -m tests.operations.writer FOLDER NAME COUNT`.

It says when it is ready, waits for a line, makes so many mailboxes and changes each of them once.
"""

from __future__ import annotations

import sys
from pathlib import Path

from app import create_app
from app.caller import command_line
from app.config import Settings
from app.operations.mailboxes import add_user, update_user


def main(folder: str, name: str, count: str) -> None:
    """Write; every change that is not acknowledged ends the process with an error."""
    app = create_app(Settings(instance=Path(folder), mailbox_bcrypt_cost=4))
    with app.app_context():
        caller = command_line().in_project(1)
        print("ready", flush=True)
        sys.stdin.readline()
        for number in range(int(count)):
            email = f"{name}{number}@example.nl"
            add_user(caller, email=email, password="correct horse battery")
            update_user(caller, email=email, quota_mb=number + 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
