"""The panel's self-check: what an operator would want to know before trusting it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from . import export, schema
from .config import Settings
from .database import write_transaction
from .dns.lookup import Asking, Look, Run
from .dns.spf import is_spf
from .errors import OperationError
from .extensions import db, settings
from .models import Feed, Mailbox

Verdict = Literal["ok", "warn", "WRONG"]

ENOUGH_DISK = 200 * 2**20  # bytes
NEEDED_DISK = 32 * 2**20  # with less the next change may not find room
PROBE_SECONDS = 10
# Nothing is written while the last time is recent; a standby server refuses even that.
_PROBE = text(
    "INSERT INTO buckets (key, tokens, filled_at) VALUES ('readyz', 0, :now) "
    "ON CONFLICT (key) DO UPDATE SET filled_at = :now "
    "WHERE buckets.filled_at <= :before OR buckets.filled_at > :now"
)
# Of the code that runs: what is installed beside it is not there before a reload.
_NEWEST = schema.newest()


def run() -> Iterator[tuple[Verdict, str]]:
    """Each check's verdict and a sentence on it. Needs an application context."""
    for check in (_schema, _soundness, _account, _export, _disk, _secret):
        is_fine, sentence = check()
        yield "ok" if is_fine else "WRONG", sentence
    if db.engine.dialect.name == "postgresql":
        yield _lasting()
    if settings.public_url == Settings.public_url:
        yield "warn", f"links begin with {settings.public_url}: MAILCOTE_PUBLIC_URL is not set"
    else:
        yield "ok", f"links begin with {settings.public_url}"
    if settings.platform_spf:
        yield _platform_spf()


def _platform_spf() -> tuple[Verdict, str]:
    """Customers' SPF records include the platform's: where there is none, receivers ignore theirs
    as a whole (RFC 7208, section 5.2)."""
    name = settings.platform_spf
    found = Look.at_one_domain(Run(Asking.of(settings))).public(name, "TXT")
    if found.status == "failed":
        return "warn", f"nobody could be asked whether there is an SPF record {name}"
    if not any(is_spf(value) for value in found.values):
        return "warn", f"customers' SPF records include {name}, which is not in the DNS: publish it"
    return "ok", f"the SPF record {name}, which customers' records include, is there"


def readiness() -> dict[str, bool]:
    """Whether each thing is there that work needs, by its name. Needs an application context.

    It takes seconds at most, also where nothing answers.
    """
    is_there = _is_so(_answers)
    return {
        "database": is_there,
        "schema": is_there and _is_so(lambda: schema.present() == _NEWEST),
        "disk": _is_so(_has_room),
        "writing": is_there and _is_so(_can_write),
    }


def _is_so(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except (SQLAlchemyError, OperationError, OSError):
        return False
    finally:
        db.session.remove()


def _answers() -> bool:
    return bool(db.session.scalar(text("SELECT 1")) == 1)


def _has_room() -> bool:
    url = make_url(settings.database)
    folders = {settings.instance}
    if url.database and url.get_backend_name() == "sqlite":
        folders.add(Path(url.database).parent)
    return all(shutil.disk_usage(folder).free >= NEEDED_DISK for folder in folders)


def _can_write() -> bool:
    """Write something: on a full disk everybody still gets the lock of those who write.

    At most every 10 seconds, however often and whichever process is asked, so that asking wears
    out no disk; in between the lock has to do.
    """
    now = time.time()
    with write_transaction(is_lasting=False) as session:
        session.execute(_PROBE, {"now": now, "before": now - PROBE_SECONDS})
    return True


def _schema() -> tuple[bool, str]:
    return schema.present() == schema.newest(), "the database has the tables of this version"


def _soundness() -> tuple[bool, str]:
    if db.engine.dialect.name != "sqlite":
        return True, "the database answers"
    verdict = db.session.scalar(text("PRAGMA integrity_check"))
    broken = db.session.execute(text("PRAGMA foreign_key_check")).all()
    return verdict == "ok" and not broken, "the database file is sound"


def _lasting() -> tuple[Verdict, str]:
    """A server can be told not to wait for its disk; then it acknowledges what a power cut undoes
    (https://www.postgresql.org/docs/current/runtime-config-wal.html). On SQLite we say it."""
    names = ("fsync", "full_page_writes", "synchronous_commit")
    off = [name for name in names if db.session.scalar(text(f"SHOW {name}")) == "off"]
    if off:
        named = " and ".join(off)
        return "warn", f"a power cut can undo what was acknowledged: PostgreSQL has {named} off"
    return "ok", "PostgreSQL waits for its disk before it acknowledges anything"


def _account() -> tuple[bool, str]:
    feeds = db.session.scalars(db.select(Feed)).all()
    return len(feeds) == 1, f"the panel is at revision {feeds[0].revision if feeds else 'none'}"


def _export() -> tuple[bool, str]:
    """Damaged rows are left out of the export, which then holds fewer than are accounted for."""
    active = db.session.scalar(
        db.select(db.func.count()).select_from(Mailbox).where(Mailbox.purge_at.is_(None))
    )
    found = export.build()
    users = found.users + found.elsewhere
    return users == active, f"nodes are told {users} of {active} active mailboxes"


def _disk() -> tuple[bool, str]:
    free = shutil.disk_usage(settings.instance).free
    return free >= ENOUGH_DISK, f"{free // 2**20} MiB are free in the instance folder"


def _secret() -> tuple[bool, str]:
    path = settings.instance / "secret_key"
    is_private = not path.exists() or not path.stat().st_mode & 0o077
    return is_private, "the secret key can be read by its owner only"
