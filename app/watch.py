"""What a process knows of the panel's state, and for how long that is true.

A node asks again and again, and nearly always nothing has changed. On SQLite `PRAGMA data_version`
says whether any other connection has changed the database (https://www.sqlite.org/pragma.html); as
long as it has not, what was read before is still so, and a poll costs no query at all. PostgreSQL
has no such thing: there every poll asks.
"""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass, field

from sqlalchemy import bindparam

from .extensions import db
from .models import Feed, Node, SyncKey


@dataclass(frozen=True)
class KnownKey:
    """A sync key, and what is to be known of its node."""

    node_id: int
    node: str
    network: str | None
    expires_at: str | None
    is_paused: bool


@dataclass
class Known:
    """What was read at one version of the database."""

    epoch: str
    revision: int
    shrink_is_meant: bool
    keys: dict[str, KnownKey] = field(default_factory=dict)

    @property
    def state(self) -> tuple[str, int, bool]:
        """What nodes are told of: when it is another, there is something new for them."""
        return self.epoch, self.revision, self.shrink_is_meant

    def key(self, digest: str) -> KnownKey | None:
        """The sync key of this digest, None when there is none."""
        if digest in self.keys:
            return self.keys[digest]
        key = _read_key(digest)
        if key:  # wrong keys are not remembered: there is no end to them
            self.keys[digest] = key
        return key


class Watch:
    """Hands out what is known, read anew when the database has changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._version: int | None = None
        self._known: Known | None = None

    def now(self) -> Known:
        """What is true at this moment."""
        # With a connection of its own it is SQLite; finding the engine takes longer than asking it.
        if self._connection is None and db.engine.dialect.name != "sqlite":
            return _read()
        with self._lock:
            # The version is read before the state: a change in between is then noticed next time.
            version = self._data_version()
            if self._known is None or version != self._version:
                self._known, self._version = _read(), version
            return self._known

    def close(self) -> None:
        """Let go of the database."""
        with self._lock:
            if self._connection:
                self._connection.close()
            self._connection = None

    def _data_version(self) -> int:
        if self._connection is None:
            self._connection = sqlite3.connect(
                str(db.engine.url.database), check_same_thread=False, isolation_level=None
            )
        version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        return version


def _read() -> Known:
    db.session.rollback()  # an older snapshot would not show what has changed
    row = db.session.execute(db.select(Feed.epoch, Feed.revision, Feed.shrink_is_meant)).one()
    db.session.rollback()
    return Known(*row)


_KEYS = db.select(
    SyncKey.digest, Node.id, Node.name, Node.ip_address, SyncKey.expires_at, Node.is_paused
).join(Node, SyncKey.node_id == Node.id)
_KEY = _KEYS.where(SyncKey.digest == bindparam("digest"))  # made once, and asked again and again


def _read_key(digest: str) -> KnownKey | None:
    row = db.session.execute(_KEY, {"digest": digest}).first()
    db.session.rollback()
    return KnownKey(*row[1:]) if row else None


def all_keys() -> dict[str, KnownKey]:
    """The sync keys of all nodes, by their digests."""
    rows = db.session.execute(_KEYS).all()
    db.session.rollback()
    return {row[0]: KnownKey(*row[1:]) for row in rows}
