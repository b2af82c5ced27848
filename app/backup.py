"""Backups that are consistent while the panel is in use, and restoring them.

SQLite: VACUUM INTO writes a consistent copy in one read transaction, and the backup interface puts
a copy back in one write transaction (https://www.sqlite.org/lang_vacuum.html, /backup.html).
PostgreSQL: pg_dump and psql do the same.

A restored panel begins a new epoch, so that nodes accept its lower revision; and should it hold far
fewer mailboxes than they do, they keep theirs until an admin confirms that this is meant.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import sqlite3
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url

from .extensions import settings

# In SQL, since a backup may be older than the models. Within the restoring transaction.
_NEW_EPOCH = "UPDATE {schema}feed SET epoch = '{epoch}', shrink_is_meant = {no}"


class CannotBackUp(Exception):
    """A backup cannot be made or used; the message says why."""


def back_up(file: Path) -> None:
    """Write a backup that was checked, readable by its owner only, replacing an older one.

    Raises CannotBackUp, and then leaves nothing behind. Needs an application context.
    """
    with _refusing_what_the_system_refuses(), _new_file_beside(file) as new:
        if settings.database.startswith("sqlite"):
            with closing(sqlite3.connect(_sqlite_path())) as live:
                live.execute("VACUUM INTO ?", (str(new),))
            _refuse_unsound(new)
        else:
            _postgres("pg_dump", "--format=custom", f"--file={new}")
        _flush(new)
        new.replace(file)
        _flush(file.parent)


def restore(file: Path) -> Path:
    """Replace everything by a backup, in one transaction, and begin a new epoch.

    What is there now is backed up first; its path is returned. Raises CannotBackUp, and then
    changed nothing. Needs an application context.
    """
    present = settings.instance / f"before-restore-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    with _refusing_what_the_system_refuses():
        if not file.is_file():
            raise CannotBackUp(f"There is no file {file}.")
        _refuse_foreign(file)
        back_up(present)
        if settings.database.startswith("sqlite"):
            _restore_sqlite(file)
        else:
            _restore_postgres(file)
    return present


def _restore_sqlite(file: Path) -> None:
    copy = settings.instance / f"restore-{secrets.token_hex(6)}"
    try:
        with closing(sqlite3.connect(copy)) as prepared:
            with closing(_open_read_only(file)) as source:
                source.backup(prepared)
            prepared.execute(_new_epoch(schema="", no="0"))
            prepared.commit()
            with _writers_shut_out(), closing(sqlite3.connect(_sqlite_path())) as live:
                prepared.backup(live)
    finally:
        copy.unlink(missing_ok=True)


def _restore_postgres(file: Path) -> None:
    script = settings.instance / f"restore-{secrets.token_hex(6)}.sql"
    try:
        with os.fdopen(os.open(script, os.O_CREAT | os.O_EXCL, 0o600)):
            pass
        _run(
            ["pg_restore", "--clean", "--if-exists", "--no-owner", f"--file={script}", str(file)],
            os.environ,
        )
        with script.open("a") as text:
            text.write(f"\n{_new_epoch(schema='public.', no='false')};\n")
        _postgres("psql", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", str(script))
    finally:
        script.unlink(missing_ok=True)


def _new_epoch(*, schema: str, no: str) -> str:
    return _NEW_EPOCH.format(schema=schema, epoch=uuid.uuid4(), no=no)


def _refuse_foreign(file: Path) -> None:
    """Refuse what is not a sound backup of a panel on this kind of database."""
    if not settings.database.startswith("sqlite"):
        if not file.read_bytes()[:5] == b"PGDMP":
            raise CannotBackUp(f"{file} is not a backup of a panel on PostgreSQL.")
        return
    _refuse_unsound(file)
    with closing(_open_read_only(file)) as backup:
        names = {row[0] for row in backup.execute("SELECT name FROM sqlite_master")}
    if not {"alembic_version", "feed", "mailboxes"} <= names:
        raise CannotBackUp(f"{file} is a database, but not one of Mailcote.")


def _refuse_unsound(file: Path) -> None:
    try:
        with closing(_open_read_only(file)) as backup:
            verdict = backup.execute("PRAGMA integrity_check").fetchone()[0]
            broken = backup.execute("PRAGMA foreign_key_check").fetchall()
    except sqlite3.DatabaseError:
        raise CannotBackUp(f"{file} is not a backup of a panel on SQLite.") from None
    if verdict != "ok" or broken:
        raise CannotBackUp(f"{file} is damaged.")


def _open_read_only(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)


def _sqlite_path() -> str:
    return str(make_url(settings.database).database)


@contextmanager
def _writers_shut_out() -> Iterator[None]:
    """Hold the lock that every writing transaction takes first."""
    with Path(f"{_sqlite_path()}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _new_file_beside(file: Path) -> Iterator[Path]:
    """An empty file, readable by its owner only from the start, gone again if it is not used."""
    new = file.with_name(f".{file.name}.{secrets.token_hex(6)}")
    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        yield new
    finally:
        new.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _postgres(*command: str) -> None:
    """Run a PostgreSQL program on our database; the password goes by the environment."""
    url = make_url(settings.database)
    host = url.host or url.query.get("host")
    known = {
        "PGHOST": host,
        "PGPORT": url.port,
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGDATABASE": url.database,
        "PGSSLMODE": url.query.get("sslmode"),
    }
    _run(list(command), {**os.environ, **{k: str(v) for k, v in known.items() if v}})


def _run(command: list[str], environment: os._Environ[str] | dict[str, str]) -> None:
    if shutil.which(command[0]) is None:
        raise CannotBackUp(f"{command[0]} is missing: install Debian's postgresql-client.")
    done = subprocess.run(
        command, env=environment, check=False, capture_output=True, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise CannotBackUp(f"{command[0]} failed: {reason[-1] if reason else 'no reason given'}")


@contextmanager
def _refusing_what_the_system_refuses() -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise CannotBackUp(f"The backup failed: {error}") from error
