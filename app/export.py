"""What nodes are told: the whole state at one revision, as the same bytes for everyone who asks.

Rows go from the database straight into JSON, without objects in between: building it for 100 000
mailboxes then costs about as much as reading them. Every row is checked once more against what the
agents accept, so that no bug of the panel can make a node refuse everything.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import orjson

from .database import snapshot
from .extensions import db
from .models import Domain, Feed, Mailbox, PurgeOrder

log = logging.getLogger(__name__)

ROWS_AT_A_TIME = 2000
_ID = re.compile("[0-9a-f]{32}")
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?!.{{254}})(?:{_LABEL}\.)+(?![0-9]+\Z){_LABEL}")
_USER = re.compile(
    r"[0-9a-f]{32} "
    r"[a-z0-9][a-z0-9._-]{0,63}(?<=[a-z0-9])@[a-z0-9.-]+ "
    r"\{BLF-CRYPT\}\$2[aby]\$(?:0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}"
)
_USERS = """
SELECT id, email, password_hash, quota_mb, can_login, can_receive FROM mailboxes
WHERE purge_at IS NULL AND domain_id IN (SELECT id FROM domains WHERE email_enabled)
ORDER BY id
"""


@dataclass(frozen=True)
class Export:
    """The state at one revision. `chunks` are the JSON text in pieces, in order."""

    epoch: str
    revision: int
    users: int
    chunks: list[bytes] = field(repr=False)

    @cached_property
    def size(self) -> int:
        """Bytes of the JSON text."""
        return sum(map(len, self.chunks))

    @cached_property
    def compressed(self) -> bytes:
        """The same text in gzip; without a time in it, so that it always is the same bytes."""
        # Level 1: hashes hardly compress, and the higher levels take four times as long.
        return gzip.compress(b"".join(self.chunks), compresslevel=1, mtime=0)


class ExportCache:
    """The newest export of this process, built once however many nodes ask for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: Export | None = None

    def at_least(self, epoch: str, revision: int) -> Export:
        """The export at this revision, or at a later one when that is what there is."""
        with self._lock:
            newest = self._newest
            if newest is None or newest.epoch != epoch or newest.revision < revision:
                newest = self._newest = build()
            return newest


def build() -> Export:
    """Read the present state in one snapshot: the revision first, then the rows."""
    with snapshot() as session:
        feed = session.scalars(db.select(Feed)).one()
        domains = _domains()
        purge = _purge()
        chunks = [b""]  # room for the head, which tells what came out
        digest = hashlib.sha256(b"[" + orjson.dumps(domains) + b",[")
        count = 0
        for users in _users(frozenset(domains)):
            text = orjson.dumps(users)[1:-1]
            text = b"," + text if count else text
            digest.update(text)
            chunks.append(text)
            count += len(users)
        digest.update(b"],[]]")
        chunks.append(b'],"aliases":[],"purge":' + orjson.dumps(purge) + b"}")
        head = {
            "format": 1,
            "epoch": feed.epoch,
            "revision": feed.revision,
            "full": True,
            "counts": {"domains": len(domains), "users": count, "aliases": 0},
            "sha256": digest.hexdigest(),
            "allow_shrink": feed.shrink_is_meant and feed.users == count,
            "domains": domains,
        }
        chunks[0] = orjson.dumps(head)[:-1] + b',"users":['
        return Export(feed.epoch, feed.revision, count, chunks)


def _domains() -> list[str]:
    names = db.session.scalars(
        db.select(Domain.name).where(Domain.email_enabled).order_by(Domain.name)
    )
    return [name for name in names if _DOMAIN.fullmatch(name) or _leave_out("domain", name)]


def _purge() -> list[str]:
    """Whose stored mail is to be removed; never that of a mailbox which is still there."""
    orders = db.session.execute(
        db.select(PurgeOrder.mailbox_id, Mailbox.id)
        .outerjoin(Mailbox, Mailbox.id == PurgeOrder.mailbox_id)
        .where(PurgeOrder.is_released)
        .order_by(PurgeOrder.mailbox_id)
    )
    return [
        key
        for key, mailbox in orders
        if (_ID.fullmatch(key) and mailbox is None) or _leave_out("purge order", key)
    ]


def _users(domains: frozenset[str]) -> Iterator[list[dict[str, Any]]]:
    """The users in pieces, sorted by id, each with its fields in alphabetical order.

    In that order the pieces are at once the body and what its digest is taken over.
    """
    connection: Any = db.session.connection().connection.driver_connection
    cursor = connection.cursor()  # the driver's own: SQLAlchemy's rows take twice the time
    cursor.execute(_USERS)
    while rows := cursor.fetchmany(ROWS_AT_A_TIME):
        yield [
            {
                "deliver": receive == 1,
                "email": email,
                "id": key,
                "login": login == 1,
                "password": password,
                "quota_mb": quota_mb,
            }
            for key, email, password, quota_mb, login, receive in rows
            if (
                _USER.fullmatch(f"{key} {email} {password}")
                and len(email) <= 254
                and ".." not in email
                and type(quota_mb) is int
                and 1 <= quota_mb <= 1048576
                and email.partition("@")[2] in domains
            )
            or _leave_out("mailbox", key)
        ]
    cursor.close()


def _leave_out(noun: str, name: str) -> Literal[False]:
    """Say that a row is damaged. Only such rows come here: a call for each would cost a tenth."""
    log.critical("a %s is kept from the nodes, its row is damaged: %r", noun, name)
    return False
