"""How transactions run on SQLite and PostgreSQL, so that no acknowledged change is ever lost.

SQLite: sqlite3's own transaction handling loses updates silently, and a read that turns into a
write is refused without waiting. So every transaction is begun here, a writing one with BEGIN
IMMEDIATE behind a file lock (SQLite's busy handler is no queue: under load it starves writers).
WAL with synchronous=FULL survives a power cut (https://www.sqlite.org/wal.html, section 2.2).

PostgreSQL: READ COMMITTED; writers lock the domain's row, readers of the export ask for a
snapshot.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from .errors import Busy
from .extensions import db

BUSY_SECONDS, NOTE_SECONDS = 10, 1
# The last from a connection beside SQLAlchemy's, such as that of `watch`.
_UNAVAILABLE = (PoolTimeout, OperationalError, InterfaceError, sqlite3.OperationalError)
_READ_ONLY = "25006"  # PostgreSQL's read_only_sql_transaction, as a standby server answers
# A server that has gone without a word is noticed after half a minute, not a quarter of an hour.
# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-KEEPALIVES
_ALIVE = {
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_PRAGMAS = (
    f"busy_timeout={BUSY_SECONDS * 1000}",
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "trusted_schema=OFF",
)


def engine_options(url: str) -> dict[str, Any]:
    """What SQLAlchemy's engine is made with: no statement's values ever reach a log."""
    if url.startswith("sqlite"):
        return {"hide_parameters": True, "pool_size": 16, "max_overflow": 120}
    timeouts = f"-c lock_timeout={BUSY_SECONDS}s -c idle_in_transaction_session_timeout=60s"
    return {
        "hide_parameters": True,
        "pool_size": 8,
        "max_overflow": 12,
        "pool_timeout": BUSY_SECONDS,
        "pool_pre_ping": True,
        "connect_args": {"options": timeouts, "connect_timeout": 5, **_ALIVE},
    }


@contextmanager
def write_transaction(*, is_lasting: bool = True) -> Iterator[Session]:
    """A transaction that may write: committed at the end, rolled back on any error.

    Not lasting is what nobody is told of, such as when a credential was last used: a power cut may
    undo it, and on SQLite its commit does not wait for the disk.

    What the session read before is dropped, since a snapshot cannot be turned into a write; look
    rows up again inside. Raises Busy when the database cannot be written now.
    """
    session = db.session()
    if is_writing():
        raise RuntimeError("a write transaction cannot be begun inside another one")
    session.rollback()
    session.expire_all()  # a rollback with no transaction open leaves what earlier ones read
    session.info["is_writing"] = True
    try:
        session.connection(execution_options={"may_write": True, "is_lasting": is_lasting})
        yield session
        session.commit()
    except BaseException as error:
        session.rollback()
        if is_unavailable(error):
            raise _busy() from error
        raise
    finally:
        session.info.pop("is_writing", None)


def is_writing() -> bool:
    """Whether the session is in a write transaction."""
    return bool(db.session().info.get("is_writing"))


@contextmanager
def snapshot() -> Iterator[Session]:
    """A reading transaction in which every statement sees the same moment."""
    session = db.session()
    session.rollback()
    session.expire_all()
    # On SQLite a transaction already is a snapshot from its first read on.
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    session.connection(
        execution_options={} if is_sqlite else {"isolation_level": "REPEATABLE READ"}
    )
    try:
        yield session
    finally:
        session.rollback()


def is_unavailable(error: BaseException) -> bool:
    """Whether an error means that the database is locked, full, read-only or out of reach."""
    if isinstance(error, _UNAVAILABLE):
        return True
    if not isinstance(error, DBAPIError):
        return False
    is_read_only = getattr(error.orig, "sqlstate", None) == _READ_ONLY
    return error.connection_invalidated or is_read_only


def _busy() -> Busy:
    return Busy("The panel cannot save changes at this moment. Nothing was changed; try again.")


def prepare(engine: Engine) -> None:
    """Give an SQLite engine the transaction handling above; PostgreSQL needs none."""
    if engine.dialect.name != "sqlite":
        return
    # Made here, so that only its owner can ever read it; its journals take over the mode.
    os.close(os.open(str(engine.url.database), os.O_CREAT | os.O_RDONLY, 0o600))
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    # The "commit" event fires before the commit, which is too early to let the next writer in.
    event.listen(engine, "checkin", lambda _dbapi, record: _unlock(record.info))
    event.listen(engine, "invalidate", lambda _dbapi, record, _error: _unlock(record.info))
    event.listen(engine, "close", lambda _dbapi, record: _forget_lock(record.info))


def _set_pragmas(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # sqlite3 begins nothing by itself
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Any) -> None:
    info, driver = connection.connection.info, connection.connection.driver_connection
    if not connection.get_execution_options().get("may_write"):
        # By the driver itself, as it touches no file and cannot fail: SQLAlchemy would make a
        # cursor and a result for it each time.
        driver.execute("BEGIN")
        return
    is_lasting = connection.get_execution_options()["is_lasting"]
    # A note that nobody is told of is not worth keeping its request waiting.
    seconds = BUSY_SECONDS if is_lasting else NOTE_SECONDS
    if info.get("is_lasting") is not is_lasting:  # the connection was used for the other kind
        driver.execute(f"PRAGMA synchronous={'FULL' if is_lasting else 'NORMAL'}")
        driver.execute(f"PRAGMA busy_timeout={seconds * 1000}")
        info["is_lasting"] = is_lasting
    _lock(info, connection.engine.url.database, seconds)
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    except BaseException:
        _unlock(info)
        raise


def _lock(info: dict[str, Any], database: str, seconds: float) -> None:
    """Wait for one's turn to write, but not for ever: who holds the lock may have been stopped."""
    deadline, pause = time.monotonic() + seconds, 0.0005
    try:
        if "lock" not in info:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            info["lock"] = os.open(f"{database}.lock", flags, 0o600)
        while not _is_our_turn(info["lock"]):
            if time.monotonic() >= deadline:
                raise _busy()
            time.sleep(pause)
            pause = min(2 * pause, 0.01)
    except OSError as error:  # a read-only or full disk, no descriptors left
        raise _busy() from error
    info["is_locked"] = True


def _is_our_turn(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unlock(info: dict[str, Any]) -> None:
    if info.pop("is_locked", False):
        fcntl.flock(info["lock"], fcntl.LOCK_UN)


def _forget_lock(info: dict[str, Any]) -> None:
    _unlock(info)
    if "lock" in info:
        os.close(info.pop("lock"))
