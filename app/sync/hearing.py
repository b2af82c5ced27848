"""Being told of changes by PostgreSQL as they are committed, rather than asking all the time.

It is a hint and nothing more: who waits asks the database in any case, only less often while this
works. A connection may die without a word, and what stands between may not pass notifications on;
so this process also tells something to itself every few seconds, through the same connection, and
counts as hearing only for as long as that has come back lately.
https://www.postgresql.org/docs/current/sql-notify.html
"""

from __future__ import annotations

import logging
import secrets
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from ..extensions import db
from ..heartbeats import beat, rest
from ..models.feed import CHANNEL

log = logging.getLogger(__name__)

PROOF_EVERY, PROOF_HOLDS = 5.0, 11.0  # seconds
PAUSE_AFTER_ERROR = 1.0
PATIENCE = 2.0  # seconds for which its end is awaited: it may hang on a server that is gone
NAME = "mailcote: told of changes"  # in pg_stat_activity


class Ear:
    """The one connection of this process that listens, from the first wait to the end."""

    def __init__(self, heard: Callable[[], None]) -> None:
        self._heard = heard
        self._own = f"mailcote_{secrets.token_hex(8)}"
        self._proven_until = float("-inf")
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._end: socket.socket | None = None  # what is closed to wake the thread up

    @property
    def hears(self) -> bool:
        """Whether what was told lately has arrived."""
        return time.monotonic() < self._proven_until

    def listen(self, app: Flask) -> None:
        """Listen from now on, in a thread of its own."""
        if self._thread or self._is_closed:
            return
        self._end, end = socket.socketpair()
        self._thread = threading.Thread(
            target=self._keep_listening, args=(app, end), name="ear", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening, for good."""
        self._is_closed = True
        if self._thread and self._end:
            self._end.close()
            self._thread.join(PATIENCE)

    def _keep_listening(self, app: Flask, end: socket.socket) -> None:
        with end, app.app_context():
            errors = SQLAlchemyError, OSError, db.engine.dialect.loaded_dbapi.Error
            while not self._is_closed:
                beat("ear")
                try:
                    self._listen(end)
                except errors as error:
                    log.warning("not told of changes for a while: %s", type(error).__name__)
                except Exception:
                    log.exception("not told of changes for a while")
                self._proven_until = float("-inf")
                with selectors.DefaultSelector() as selector:
                    selector.register(end, selectors.EVENT_READ)
                    selector.select(PAUSE_AFTER_ERROR)
            rest("ear")

    def _listen(self, end: socket.socket) -> None:
        with _connection() as connection, selectors.DefaultSelector() as selector:
            selector.register(connection.fileno(), selectors.EVENT_READ)
            selector.register(end, selectors.EVENT_READ)
            connection.execute(f"LISTEN {CHANNEL}")
            connection.execute(f"LISTEN {self._own}")
            while not self._is_closed:
                beat("ear")
                connection.execute(f"NOTIFY {self._own}")
                proof_at = time.monotonic() + PROOF_EVERY
                self._take(connection)
                while (left := proof_at - time.monotonic()) > 0 and not self._is_closed:
                    if selector.select(left) and not self._is_closed:
                        self._take(connection)

    def _take(self, connection: Any) -> None:
        for told in connection.notifies(timeout=0):
            if told.channel == self._own:
                self._proven_until = time.monotonic() + PROOF_HOLDS
            else:
                self._heard()


@contextmanager
def _connection() -> Iterator[Any]:
    """One of the driver's own, made as the pool makes them but no part of it."""
    pooled = db.engine.raw_connection()
    connection: Any = pooled.driver_connection
    pooled.detach()
    try:
        connection.autocommit = True
        connection.execute(f"SET application_name = '{NAME}'")
        yield connection
    finally:
        connection.close()
