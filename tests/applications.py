"""Applications, each made once and lent to the tests that ask for its settings.

What an application takes long for is what it compiles: its templates, and the statements that
SQLAlchemy keeps with an engine. None of that is the panel's state, which is all in the instance
folder; and this begins anew with every test.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier

from flask import Flask
from sqlalchemy import text

from app import create_app
from app.config import Settings
from app.extensions import db
from app.sync.desk import NodeDesk


@dataclass
class Applications:
    """The applications of one process of tests, all on one instance folder."""

    folder: Path
    made: dict[Settings, Flask] = field(default_factory=dict)

    def begin_with(self, database: Path | None = None) -> None:
        """Empty the folder, and put a copy of this SQLite database into it."""
        shutil.rmtree(self.folder)
        self.folder.mkdir(mode=0o700)
        if database:
            shutil.copy(database, self.folder / "panel.db")

    @contextmanager
    def lent(self, settings: Settings) -> Iterator[Flask]:
        """The application with these settings, as new; one with a folder of its own is new."""
        app = self.made.get(settings) or create_app(settings)
        if settings.instance == self.folder:
            self.made[settings] = app
        try:
            yield app
        finally:
            let_go(app)
            app.extensions["node_desk"] = NodeDesk()


def let_go(app: Flask) -> None:
    """Close the connections of an application that is not needed now."""
    app.extensions["node_desk"].close()
    app.extensions["calls"].forget()
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def closed_file(app: Flask) -> Path:
    """The file of an SQLite panel that can be copied, since all of it is in there."""
    with app.app_context():
        db.session.remove()
        db.session.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    let_go(app)
    folder: Path = app.extensions["mailcote"].instance
    return folder / "panel.db"


def at_once(app: Flask, work: Callable[[], object], times: int) -> None:
    """Do it in so many threads that begin together, each in a context of its own."""
    together = Barrier(times)

    def one() -> None:
        with app.app_context():
            together.wait()
            work()

    with ThreadPoolExecutor(times) as pool:
        for done in [pool.submit(one) for _ in range(times)]:
            done.result()
