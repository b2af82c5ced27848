"""The rows that nodes are told of, read within a snapshot.

Every row is checked once more against what the agents accept, so that no bug of the panel can make
a node refuse everything.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any, Literal, NamedTuple

import orjson
from sqlalchemy import text

from ..extensions import db
from ..models import Domain, Mailbox, Node, PurgeAck, PurgeOrder

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
# Those of a domain that has another home now did not change, but each node holds others of them.
_USERS_OF_DOMAIN = text(
    f"SELECT {_COLUMNS} FROM mailboxes "  # noqa: S608
    "WHERE domain_id = :domain AND purge_at IS NULL AND revision <= :since"
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
_DOMAINS = (
    db.select(Domain.name, Domain.home_node_id, Node.host, Node.lost_at)
    .outerjoin(Node, Node.id == Domain.home_node_id)
    .where(Domain.email_enabled)
    .order_by(Domain.name)
)
_BEGINNING = 2


class Bucket(NamedTuple):
    """The users and recipients whose ids begin alike: their objects as JSON, each after a comma,
    and how many they are. `elsewhere` counts the mailboxes whose home is another node, with those
    that receive nothing and are no recipients therefore.
    """

    users: bytes = b""
    user_count: int = 0
    recipients: bytes = b""
    recipient_count: int = 0
    elsewhere: int = 0

    def __bool__(self) -> bool:
        return bool(self.user_count or self.elsewhere)

    def and_then(self, more: Bucket) -> Bucket:
        """These, and more whose ids begin so."""
        pairs = zip(self, more, strict=True)
        return Bucket(*(one + another for one, another in pairs))  # type: ignore[operator]


@dataclass(frozen=True)
class Places:
    """Which domains there are for a node, both sorted: its own, whose mailboxes it has, and those
    it is a backup for, with the host to pass mail on to. None stands for a home that is lost: mail
    waits, it is not sent into somebody else's hands.

    `homes` are the nodes that are a domain's home. Who is none of them is told the same as any
    other such node; `view` is the home whose view this is, None for theirs.
    """

    own: tuple[str, ...]
    relayed: dict[str, str | None]
    homes: frozenset[int]
    view: int | None

    @cached_property
    def known(self) -> frozenset[str]:
        """The domains whose mailboxes are told of in one form or the other."""
        return frozenset(self.own) | self.relayed.keys()

    def are_those_of(self, other: Places) -> bool:
        """Whether the same domains are its own and relayed, to whatever host."""
        return self.own == other.own and self.relayed.keys() == other.relayed.keys()

    def is_for(self, node_id: int) -> bool:
        """Whether this is what the node has to see."""
        return self.view == (node_id if node_id in self.homes else None)


def places(node_id: int) -> Places:
    """The domains with e-mail on, as a node has to see them."""
    rows = [
        row
        for row in db.session.execute(_DOMAINS)
        if _DOMAIN.fullmatch(row[0]) or _leave_out("domain", row[0])
    ]
    homes = frozenset(home for _, home, _, _ in rows if home is not None)
    view = node_id if node_id in homes else None
    relayed = {
        name: None if lost_at or not _DOMAIN.fullmatch(host or "") else host
        for name, home, host, lost_at in rows
        if home not in (None, view)
    }
    own = tuple(row[0] for row in rows if row[0] not in relayed)
    return Places(own, relayed, homes, view)


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


def buckets(there: Places) -> dict[str, Bucket]:
    """All users on these domains by the beginnings of their ids, in order."""
    found: dict[str, Bucket] = {}
    connection: Any = db.session.connection().connection.driver_connection
    cursor = connection.cursor()  # the driver's own: SQLAlchemy's rows take twice the time
    cursor.execute(ALL_USERS)
    while rows := cursor.fetchmany(ROWS_AT_A_TIME):
        for beginning, some in groupby(rows, key=lambda row: row[0][:_BEGINNING]):
            if more := _bucket(some, there):
                before = found.get(beginning)
                found[beginning] = before.and_then(more) if before else more
    cursor.close()
    return found


def patched(
    present: dict[str, Bucket], beginnings: Iterable[str], there: Places
) -> dict[str, Bucket]:
    """The same users with those anew whose ids begin so."""
    found = dict(present)
    for beginning in beginnings:
        beyond = beginning[:-1] + chr(ord(beginning[-1]) + 1)
        rows = db.session.execute(_IN_BUCKET, {"first": beginning, "beyond": beyond})
        found[beginning] = _bucket(rows, there)
    return {beginning: found[beginning] for beginning in sorted(found) if found[beginning]}


def beginnings_changed(since: int, now: int) -> set[str] | None:
    """How the ids of the users begin that changed or went after a revision, up to the present one.

    None when that cannot be told: a revision in between has left no row behind.
    """
    rows = db.session.execute(_CHANGES, {"since": since}).all()
    if {revision for _, revision in rows} != set(range(since + 1, now + 1)):
        return None
    return {key[:_BEGINNING] for key, _ in rows if key}


def changed_users(since: int, there: Places) -> tuple[list[dict[str, Any]], set[str]]:
    """The users that changed after a revision or whose domain did, and the ids of those whose row
    tells nodes no more. A row that is damaged is one that is gone, as it is for the whole state.
    """
    live, gone = [], set()
    changed = [tuple(row) for row in db.session.execute(_CHANGED_USERS, {"since": since})]
    moved = db.select(Domain.id).where(Domain.revision > since, Domain.email_enabled)
    for domain in db.session.scalars(moved).all():
        rows = db.session.execute(_USERS_OF_DOMAIN, {"domain": domain, "since": since})
        changed += [(*row, True) for row in rows]
    for *row, is_live in sorted(changed, key=lambda row: str(row[0])):
        found = _acceptable([row], there) if is_live else []
        live += found
        if not found and _ID.fullmatch(row[0]):
            gone.add(row[0])
    return live, gone


def changed_domains(since: int) -> set[str]:
    """The names of domains that were turned on or off after a revision, or got another home."""
    return set(db.session.scalars(db.select(Domain.name).where(Domain.revision > since)))


def gone(since: int) -> dict[str, set[str]]:
    """What has no row any more since then, by kind."""
    names: dict[str, set[str]] = {"user": set(), "domain": set(), "purge": set()}
    for kind, key in db.session.execute(_GONE, {"since": since}):
        if (_DOMAIN if kind == "domain" else _ID).fullmatch(key):
            names[kind].add(key)
    return names


def _bucket(rows: Iterable[Any], there: Places) -> Bucket:
    users = _acceptable(rows, there)
    if not there.relayed:
        return Bucket(_listed(users), len(users))
    own, recipients = divided(users, there)
    return Bucket(
        _listed(own), len(own), _listed(recipients), len(recipients), len(users) - len(own)
    )


def _listed(objects: list[dict[str, Any]]) -> bytes:
    return b"," + orjson.dumps(objects)[1:-1] if objects else b""


def divided(
    users: Iterable[dict[str, Any]], there: Places
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """The users of a node's own domains, and those for whom it only accepts mail, as addresses."""
    own: list[dict[str, Any]] = []
    recipients: list[dict[str, str]] = []
    for user in users:
        if user["email"].partition("@")[2] not in there.relayed:
            own.append(user)
        elif user["deliver"]:
            recipients.append({"email": user["email"], "id": user["id"]})
    return own, recipients


def _acceptable(rows: Iterable[Any], there: Places) -> list[dict[str, Any]]:
    """Users as nodes are told of them, without the damaged ones.

    Their fields are in alphabetical order: the text is at once the body and what its digest is
    taken over.
    """
    known = there.known
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


def in_pieces(texts: Iterable[bytes]) -> Iterator[bytes]:
    """Objects as JSON with commas between them, in pieces that are worth sending."""
    there = [text for text in texts if text]
    if sum(map(len, there)) < 2**20:
        there = [b"".join(there)]
    for number, encoded in enumerate(there):
        yield encoded if number else encoded[1:]
