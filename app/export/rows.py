"""The rows that nodes are told of, read within a snapshot.

Every row is checked once more against what the agents accept, so that no bug of the panel can make
a node refuse everything.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Literal

import orjson
from sqlalchemy import text

from ..extensions import db
from ..models import Domain, Mailbox, PurgeAck, PurgeOrder

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
_COLUMNS = "id, email, password_hash, quota_mb, can_login, can_receive"
_LIVE = "purge_at IS NULL AND domain_id IN (SELECT id FROM domains WHERE email_enabled)"
# None of these has a value in it that comes from anywhere else.
ALL_USERS = f"SELECT {_COLUMNS} FROM mailboxes WHERE {_LIVE} ORDER BY id"  # noqa: S608
# Written so that a planner can only go by the ids, or by the revision: by its own lights SQLite's
# would read all mailboxes of the domains, or all in the order of their ids.
_IN_BUCKET = text(
    f"SELECT {_COLUMNS} FROM mailboxes "  # noqa: S608
    "WHERE coalesce(purge_at, '') = '' AND id >= :first AND id < :beyond "
    "AND +domain_id IN (SELECT id FROM domains WHERE email_enabled) ORDER BY id"
)
_CHANGED_USERS = text(
    f"SELECT {_COLUMNS}, {_LIVE} AS is_live FROM mailboxes "  # noqa: S608
    "WHERE revision > :since"
)
_GONE = text("SELECT kind, key FROM gone WHERE revision > :since ORDER BY key")
_CHANGES = text(
    "SELECT id, revision FROM mailboxes WHERE revision > :since UNION ALL "
    "SELECT key, revision FROM gone WHERE revision > :since AND kind = 'user' UNION ALL "
    "SELECT '', revision FROM gone WHERE revision > :since AND kind <> 'user' UNION ALL "
    "SELECT '', revision FROM domains WHERE revision > :since UNION ALL "
    "SELECT '', revision FROM purge_orders WHERE revision > :since UNION ALL "
    "SELECT '', revision FROM purge_acks WHERE revision > :since"
)
# The users whose ids begin alike: their objects as JSON, each after a comma, and how many they are.
Bucket = tuple[bytes, int]
_BEGINNING = 2


def domains() -> list[str]:
    """The domains with e-mail on, sorted."""
    names = db.session.scalars(
        db.select(Domain.name).where(Domain.email_enabled).order_by(Domain.name)
    )
    return [name for name in names if _DOMAIN.fullmatch(name) or _leave_out("domain", name)]


def purges() -> dict[str, frozenset[int]]:
    """Whose stored mail is to be removed, with the ids of the nodes that have done so.

    Never that of a mailbox which is still there.
    """
    done: dict[str, set[int]] = {}
    for key, node_id in db.session.execute(db.select(PurgeAck.mailbox_id, PurgeAck.node_id)):
        done.setdefault(key, set()).add(node_id)
    orders = db.session.execute(
        db.select(PurgeOrder.mailbox_id, Mailbox.id)
        .outerjoin(Mailbox, Mailbox.id == PurgeOrder.mailbox_id)
        .where(PurgeOrder.is_released)
        .order_by(PurgeOrder.mailbox_id)
    )
    return {
        key: frozenset(done.get(key, ()))
        for key, mailbox in orders
        if (_ID.fullmatch(key) and mailbox is None) or _leave_out("purge order", key)
    }


def buckets(known: frozenset[str]) -> dict[str, Bucket]:
    """All users on these domains by the beginnings of their ids, in order."""
    found: dict[str, Bucket] = {}
    connection: Any = db.session.connection().connection.driver_connection
    cursor = connection.cursor()  # the driver's own: SQLAlchemy's rows take twice the time
    cursor.execute(ALL_USERS)
    while rows := cursor.fetchmany(ROWS_AT_A_TIME):
        for beginning, some in groupby(rows, key=lambda row: row[0][:_BEGINNING]):
            before, count = found.get(beginning, (b"", 0))
            encoded, more = _bucket(some, known)
            if more:
                found[beginning] = before + encoded, count + more
    cursor.close()
    return found


def patched(
    present: dict[str, Bucket], beginnings: Iterable[str], known: frozenset[str]
) -> dict[str, Bucket]:
    """The same users with those anew whose ids begin so."""
    found = dict(present)
    for beginning in beginnings:
        beyond = beginning[:-1] + chr(ord(beginning[-1]) + 1)
        rows = db.session.execute(_IN_BUCKET, {"first": beginning, "beyond": beyond})
        found[beginning] = _bucket(rows, known)
    return {beginning: found[beginning] for beginning in sorted(found) if found[beginning][1]}


def beginnings_changed(since: int, now: int) -> set[str] | None:
    """How the ids of the users begin that changed or went after a revision, up to the present one.

    None when that cannot be told: a revision in between has left no row behind.
    """
    rows = db.session.execute(_CHANGES, {"since": since}).all()
    if {revision for _, revision in rows} != set(range(since + 1, now + 1)):
        return None
    return {key[:_BEGINNING] for key, _ in rows if key}


def changed_users(since: int, known: frozenset[str]) -> tuple[list[dict[str, Any]], set[str]]:
    """The users that changed after a revision, and the ids of those whose row tells nodes no more.

    A row that is damaged is one that is gone, as it is for the whole state.
    """
    live, gone = [], set()
    changed = db.session.execute(_CHANGED_USERS, {"since": since})
    for *row, is_live in sorted(changed, key=lambda row: str(row[0])):
        found = _acceptable([row], known) if is_live else []
        live += found
        if not found and _ID.fullmatch(row[0]):
            gone.add(row[0])
    return live, gone


def changed_domains(since: int) -> tuple[set[str], set[str]]:
    """The names of domains whose e-mail was turned on after a revision, and off."""
    rows = db.session.execute(
        db.select(Domain.name, Domain.email_enabled).where(Domain.revision > since)
    )
    names: tuple[set[str], set[str]] = set(), set()
    for name, is_enabled in rows:
        names[not is_enabled].add(name)
    return names


def gone(since: int) -> dict[str, set[str]]:
    """What has no row any more since then, by kind."""
    names: dict[str, set[str]] = {"user": set(), "domain": set(), "purge": set()}
    for kind, key in db.session.execute(_GONE, {"since": since}):
        if (_DOMAIN if kind == "domain" else _ID).fullmatch(key):
            names[kind].add(key)
    return names


def _bucket(rows: Iterable[Any], known: frozenset[str]) -> Bucket:
    users = _acceptable(rows, known)
    return b"," + orjson.dumps(users)[1:-1] if users else b"", len(users)


def _acceptable(rows: Iterable[Any], known: frozenset[str]) -> list[dict[str, Any]]:
    """Users as nodes are told of them, without the damaged ones.

    Their fields are in alphabetical order: the text is at once the body and what its digest is
    taken over.
    """
    return [
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
            and email.partition("@")[2] in known
        )
        or _leave_out("mailbox", key)
    ]


def _leave_out(noun: str, name: str) -> Literal[False]:
    """Say that a row is damaged. Only such rows come here: a call for each would cost a tenth."""
    log.critical("a %s is kept from the nodes, its row is damaged: %r", noun, name)
    return False


def in_pieces(found: dict[str, Bucket]) -> Iterator[bytes]:
    """The users' objects as JSON with commas between them, in pieces that are worth sending."""
    texts = [encoded for encoded, _ in found.values()]
    if sum(map(len, texts)) < 2**20:
        texts = [b"".join(texts)]
    for number, encoded in enumerate(texts):
        yield encoded if number else encoded[1:]
