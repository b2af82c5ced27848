"""Backups that are consistent while the panel is in use, and restoring them.

SQLite: VACUUM INTO writes a consistent copy in one read transaction, and the backup interface puts
a copy back in one write transaction (https://www.sqlite.org/lang_vacuum.html, /backup.html).
PostgreSQL: pg_dump and psql do the same.

A restored panel begins a new epoch, so that nodes accept its lower revision; and should it hold far
fewer mailboxes than they do, they keep theirs until an admin confirms that this is meant. Sessions,
one-time links and what assistants hold, over since the backup, do not come back: all of them end.
Zones in the DNS are as they were left since then, so that all are written anew.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sqlite3
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.engine import URL, make_url

from . import clock, schema
from .extensions import Base, db, settings
from .turns import one_at_a_time

_PARTS = ("", "-wal", "-shm", "-journal", ".lock")  # of an SQLite database, by their endings
# A restore and those who write take locks, and may wait for each other; one of them then has to
# begin again (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_DEADLOCK, _ATTEMPTS = "40P01", 10
_LOCKED_LAST = ("feed", "audit_entries", "nodes")
_FUNCTIONS = ("refuse_to_change_the_audit_log",)
_NEWER = "{file} is a backup of a newer version of Mailcote than this one."
# In SQL, since a backup may be older than the models. Within the restoring transaction.
_BEGIN_ANEW = """
UPDATE {schema}feed SET epoch = '{epoch}', shrink_is_meant = false;
UPDATE {schema}people SET welcome_digest = NULL, welcome_expires_at = NULL;
INSERT INTO {schema}audit_entries (at, actor, action, object, given, revision)
SELECT '{now}', 'command line', 'restore', '', 'file', revision FROM {schema}feed;
"""
_ENDING = (
    "web_sessions",
    "half_sessions",
    "passkey_challenges",
    "password_links",
    "key_offers",
    "held_calls",
    "node_alerts",
    "notices",
    "oauth_codes",
    "oauth_tokens",
)
_UNDO = ("zone_jobs", "UPDATE {schema}zone_jobs SET done_at = NULL")
_STEPS = (*((name, f"DELETE FROM {{schema}}{name}") for name in _ENDING), _UNDO)  # noqa: S608
_END = "".join(f"{step.format(schema='')};\n" for _name, step in _STEPS)
_END_IF_ANY = "".join(
    f"DO $$ BEGIN IF to_regclass('public.{name}') IS NOT NULL "
    f"THEN {step.format(schema='public.')}; END IF; END $$;\n"
    for name, step in _STEPS
)


class CannotBackUp(Exception):
    """A backup cannot be made or used; the message says why."""


def back_up(file: Path) -> None:
    """Write a backup that was checked, readable by its owner only, replacing an older one.

    Raises CannotBackUp, and then leaves nothing behind. Needs an application context.
    """
    with _refusing_what_the_system_refuses():
        file = file.resolve()
        if not file.parent.is_dir():
            raise CannotBackUp(f"There is no folder {file.parent}.")
        _refuse_to_replace(file)
        with _new_file_beside(file) as new:
            _write(new)
            if _is_sqlite():
                _refuse_unsound(new)
            _flush(new)
            new.replace(file)
            _flush(file.parent)


def restore(file: Path) -> Path:
    """Replace everything by a backup, in one transaction, and begin a new epoch.

    What is there now is kept beside it; its path is returned. Raises CannotBackUp or CannotUpgrade,
    and then changed nothing. Needs an application context.
    """
    with _refusing_what_the_system_refuses("restore"):
        file = file.resolve()
        if not file.is_file():
            raise CannotBackUp(f"There is no file {file}.")
        _refuse_unreadable(file)
        with TemporaryDirectory(prefix="restore-", dir=settings.instance) as folder:
            if _is_sqlite():
                return _restore_sqlite(file, Path(folder))
            return _restore_postgres(file, Path(folder))


def keep_before(what: str) -> Path:
    """Save what is there now in the instance folder, before it is changed; the path of the copy.

    It may be unsound: who restores a backup may have reason to. Raises CannotBackUp, and then
    leaves nothing behind. Needs an application context.
    """
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    file = settings.instance / f"before-{what}-{moment}-{secrets.token_hex(2)}"
    with _refusing_what_the_system_refuses(), _new_file_beside(file) as new:
        _write(new)
        _flush(new)
        new.replace(file)
        _flush(file.parent)
    return file


def _restore_sqlite(file: Path, folder: Path) -> Path:
    """Everything is done on a copy first, which then takes the place of what is there."""
    _refuse_foreign(file)
    copy = folder / "copy.db"
    with closing(sqlite3.connect(copy)) as prepared, closing(_open_read_only(file)) as source:
        source.backup(prepared)
    schema.upgrade(f"sqlite:///{copy}")
    with closing(sqlite3.connect(copy)) as prepared:
        prepared.executescript(_begin_anew(schema="") + _END)
        path = _sqlite_path()
        # Every writing transaction takes this lock first: nobody writes in between.
        with one_at_a_time(Path(f"{path}.lock")), closing(sqlite3.connect(path)) as live:
            present = keep_before("restore")
            prepared.backup(live)
    return present


def _restore_postgres(file: Path, folder: Path) -> Path:
    """Writers that were in time are in the state that is kept; those in between are lost."""
    script = folder / "script.sql"
    revision = _revision_in_dump(file)
    if not schema.is_known(revision):
        raise CannotBackUp(_NEWER.format(file=file))
    _run("pg_restore", "--schema=public", "--no-owner", f"--file={script}", str(file))
    # All of ours go, also what the backup is too old to know of.
    tables = ", ".join(f"public.{name}" for name in _tables())
    functions = ", ".join(f"public.{name}()" for name in _FUNCTIONS)
    script.write_text(
        f"DROP TABLE IF EXISTS {tables} CASCADE;\nDROP FUNCTION IF EXISTS {functions};\n"
        f"{script.read_text()}\n{_begin_anew(schema='public.')}{_END_IF_ANY}"
    )
    present = keep_before("restore")
    _run_in_one_transaction(script)
    schema.upgrade(settings.database)  # the backup may be older
    db.engine.dispose()  # connections made before know the tables that went
    return present


def _run_in_one_transaction(script: Path) -> None:
    options = ("-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose")
    for attempt in range(_ATTEMPTS):
        try:
            _run("psql", *options, f"--file={script}", _without_password(), needs_password=True)
        except CannotBackUp as error:
            if _DEADLOCK not in str(error) or attempt == _ATTEMPTS - 1:
                raise
        else:
            return


def _write(new: Path) -> None:
    if _is_sqlite():
        with closing(sqlite3.connect(_sqlite_path())) as live:
            live.execute("VACUUM INTO ?", (str(new),))
    else:
        options = ("--format=custom", f"--file={new}")
        _run("pg_dump", *options, _without_password(), needs_password=True)


def _begin_anew(*, schema: str) -> str:
    return _BEGIN_ANEW.format(schema=schema, epoch=uuid.uuid4(), now=clock.now())


def _tables() -> list[str]:
    """All of ours, in the order in which those who write lock them."""
    names = [table.name for table in Base.metadata.sorted_tables if table.name not in _LOCKED_LAST]
    return [*names, *_LOCKED_LAST, "alembic_version"]


def _refuse_to_replace(file: Path) -> None:
    """A backup replaces an older one, but neither the database itself nor, say, a device."""
    if file.exists() and not file.is_file():
        raise CannotBackUp(f"{file} is not an ordinary file.")
    if _is_sqlite() and str(file) in [os.path.realpath(_sqlite_path()) + end for end in _PARTS]:
        raise CannotBackUp(f"{file} is the panel's own database; name another file.")


def _refuse_unreadable(file: Path) -> None:
    """SQLite says of it what it says of a file that is no database."""
    try:
        with file.open("rb") as backup:
            backup.read(1)
    except OSError as error:
        raise CannotBackUp(f"{file} cannot be read: {error.strerror or error}.") from error


def _refuse_foreign(file: Path) -> None:
    """Refuse what is not a sound backup of a panel of this or an older version."""
    _refuse_unsound(file)
    with closing(_open_read_only(file)) as backup:
        names = {row[0] for row in backup.execute("SELECT name FROM sqlite_master")}
        if not {"alembic_version", "feed", "mailboxes"} <= names:
            raise CannotBackUp(f"{file} is a database, but not one of Mailcote.")
        revision = backup.execute("SELECT version_num FROM alembic_version").fetchone()
    if revision is None or not schema.is_known(revision[0]):
        raise CannotBackUp(_NEWER.format(file=file))


def _revision_in_dump(file: Path) -> str:
    with file.open("rb") as dump:
        if dump.read(5) != b"PGDMP":
            raise CannotBackUp(f"{file} is not a backup of a panel on PostgreSQL.")
    rows = _run("pg_restore", "--data-only", "--table=alembic_version", "--file=-", str(file))
    match = re.search(r"^COPY public\.alembic_version .*\n(\w+)\n", rows, re.MULTILINE)
    if match is None:
        raise CannotBackUp(f"{file} is a database, but not one of Mailcote.")
    return match[1]


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


def _is_sqlite() -> bool:
    return settings.database.startswith("sqlite")


def _sqlite_path() -> str:
    return str(make_url(settings.database).database)


@contextmanager
def _new_file_beside(file: Path) -> Iterator[Path]:
    """An empty file, readable by its owner only from the start, gone again if it is not used."""
    new = file.with_name(f".{secrets.token_hex(6)}.backup")
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


def _without_password() -> str:
    """The `--dbname` for PostgreSQL's programs: others can see how a program was called."""
    url = make_url(settings.database).difference_update_query(["password"])
    url = URL.create("postgresql", url.username, None, url.host, url.port, url.database, url.query)
    return f"--dbname={url.render_as_string(hide_password=False)}"


def _with_password() -> dict[str, str]:
    url = make_url(settings.database)
    password = url.password or url.query.get("password")
    return {**os.environ, **({"PGPASSWORD": str(password)} if password else {})}


def _run(*command: str, needs_password: bool = False) -> str:
    """Run a PostgreSQL program, with the database's password if it needs that; what it writes.

    Raises CannotBackUp.
    """
    if shutil.which(command[0]) is None:
        raise CannotBackUp(f"{command[0]} is missing: install Debian's postgresql-client.")
    environment = _with_password() if needs_password else dict(os.environ)
    done = subprocess.run(
        command, env=environment, check=False, capture_output=True, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise CannotBackUp(f"{command[0]} failed: {reason[0] if reason else 'no reason given'}")
    return done.stdout.decode(errors="replace")


@contextmanager
def _refusing_what_the_system_refuses(what: str = "backup") -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise CannotBackUp(f"The {what} failed: {_reason(error)}") from error


def _reason(error: OSError | sqlite3.Error) -> str:
    """What the system says, without its number; a file may be another user's."""
    if isinstance(error, sqlite3.Error) or not error.filename:
        return str(error)
    if isinstance(error, PermissionError):
        return f"the user who runs this may not use {error.filename}."
    return f"{error.filename}: {error.strerror}."
