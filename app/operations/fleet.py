"""What admins' pages show of nodes: how they are doing, what they asked and what they hold.

These change nothing and are not offered to programs; nobody but an admin reaches them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, select

from .. import clock
from ..caller import Caller
from ..errors import NotFound
from ..extensions import db
from ..fields import NODE_NAME
from ..models import (
    RESTORED_AT,
    Domain,
    Feed,
    KeyOffer,
    Mailbox,
    Node,
    NodeRequest,
    PastHome,
    Project,
    SyncKey,
)
from ..models.nodes import REQUESTS_KEPT
from .browse import Page
from .oversight import refuse_all_but_admins

DOMAINS_SHOWN = 20
EXPORT_CHUNK = 1000  # mailboxes that are held in memory at a time
LOW_DISK_MB = 1024  # a full disk refuses mail; with this much left there is time to do something


@dataclass(frozen=True)
class NodeRow:
    """A node, how many changes it is behind (None: not told yet), and what is kept of it.

    `keys` and `requests` are the newest first, and empty in a list of nodes; so are `homed`, the
    first domains whose home it is, by name, of `homed_count`. `is_of_before` says that it holds a
    state of before a restore, and keeps what that had in far greater number.
    """

    node: Node
    behind: int | None
    keys: Sequence[SyncKey] = ()
    requests: Sequence[NodeRequest] = ()
    offer: KeyOffer | None = None
    homed: Sequence[str] = ()
    homed_count: int = 0
    is_of_before: bool = False

    @property
    def users(self) -> int | None:
        """How many mailboxes it says it serves; None before it has said so."""
        counts = (self.node.reported or {}).get("counts") or {}
        users: int | None = counts.get("users")
        return users

    @property
    def is_disk_low(self) -> bool:
        """Whether its disk is nearly full."""
        free = self.node.disk_free_mb
        return free is not None and free < LOW_DISK_MB


def nodes(caller: Caller) -> list[NodeRow]:
    """All nodes with their lag."""
    refuse_all_but_admins(caller)
    feed, restored_at = db.session.execute(select(Feed, RESTORED_AT)).one()
    return [
        NodeRow(node, node.behind(feed, restored_at), is_of_before=_is_of_before(node, feed))
        for node in db.session.scalars(select(Node).order_by(Node.name))
    ]


def one(caller: Caller, name: str) -> Node:
    """One node. Raises NotFound."""
    refuse_all_but_admins(caller)
    # A name that none can have is not looked for: PostgreSQL refuses even to compare some texts.
    is_name = NODE_NAME.fullmatch(name)
    found = db.session.scalar(select(Node).where(Node.name == name)) if is_name else None
    if found is None:
        raise NotFound("NODE_NOT_FOUND", "There is no such node.")
    return found


def node(caller: Caller, name: str) -> NodeRow:
    """One node with its keys and its last requests. Raises NotFound."""
    found = one(caller, name)
    offered = KeyOffer.node_id == found.id
    feed, restored_at, offer = db.session.execute(
        select(Feed, RESTORED_AT, KeyOffer).outerjoin(KeyOffer, offered)
    ).one()
    behind = found.behind(feed, restored_at)
    keys = db.session.scalars(
        select(SyncKey).where(SyncKey.node_id == found.id).order_by(SyncKey.id.desc())
    ).all()
    requests = db.session.scalars(
        select(NodeRequest)
        .where(NodeRequest.node_id == found.id)
        .order_by(NodeRequest.last_at.desc(), NodeRequest.id.desc())
        .limit(REQUESTS_KEPT)
    ).all()
    is_home = Domain.home_node_id == found.id
    names = select(Domain.name).where(is_home).order_by(Domain.name).limit(DOMAINS_SHOWN)
    homed = db.session.scalars(names).all()
    count = len(homed)
    if count == DOMAINS_SHOWN:
        count = db.session.scalar(select(func.count()).select_from(Domain).where(is_home)) or 0
    return NodeRow(found, behind, keys, requests, _open(offer), homed, count)


def key_offer(node: Node) -> KeyOffer | None:
    """The key that waits to be seen, while its link works."""
    return _open(db.session.get(KeyOffer, node.id))


def _open(offer: KeyOffer | None) -> KeyOffer | None:
    return offer if offer and offer.expires_at > clock.now() else None


@dataclass(frozen=True)
class Exposed:
    """A live mailbox whose password hash a lost node held, and whose it is."""

    email: str
    project: str
    project_id: int
    created_at: str
    updated_at: str


def exposed(caller: Caller, node: Node, number: int, per: int = 50) -> Page[Exposed]:
    """One page of the live mailboxes whose hashes a lost node held, by address."""
    refuse_all_but_admins(caller)
    query = held_by(node)
    total = db.session.scalar(select(func.count()).select_from(query.subquery())) or 0
    number = min(number, max(1, -(-total // per)))
    rows = db.session.execute(
        query.order_by(Mailbox.email).limit(per).offset((number - 1) * per)
    ).all()
    return Page([Exposed(*row) for row in rows], total, number, per)


def all_exposed(caller: Caller, node: Node) -> Iterator[Exposed]:
    """All of them, by address, read as they are used."""
    refuse_all_but_admins(caller)
    return _in_chunks(held_by(node).order_by(Mailbox.email).limit(EXPORT_CHUNK))


def _in_chunks(query: Select[str, str, int, str, str]) -> Iterator[Exposed]:
    rows = db.session.execute(query).all()
    while rows:
        yield from (Exposed(*row) for row in rows)
        rows = db.session.execute(query.where(Mailbox.email > rows[-1].email)).all()


def held_by(node: Node) -> Select[str, str, int, str, str]:
    """The live mailboxes whose passwords a lost node held a hash of, and still have.

    A node got the mailboxes of domains without a home and of those whose home it was, also if
    they have another home by now: what was deleted on its disk may still be found there. One that
    never asked got none, nor any after its loss.
    """
    had_any = node.last_sync_at is not None
    lost_at = node.lost_at or ""
    was_placed_here = exists().where(
        PastHome.domain_id == Domain.id,
        _is_here(PastHome.node_id, node),
        _began_by(PastHome.since, lost_at),
        PastHome.until >= Mailbox.created_at,
        PastHome.until >= node.created_at,
    )
    is_placed_here = _is_here(Domain.home_node_id, node) & _began_by(Domain.placed_at, lost_at)
    return (
        select(Mailbox.email, Project.name, Project.id, Mailbox.created_at, Mailbox.updated_at)
        .join(Domain, Domain.id == Mailbox.domain_id)
        .join(Project, Project.id == Domain.project_id)
        .where(Domain.email_enabled, Mailbox.purge_at.is_(None))
        .where(Mailbox.created_at <= (lost_at if had_any else ""))
        .where(is_placed_here | was_placed_here)
        .where(~Mailbox.is_waiting)
        .where(func.coalesce(Mailbox.password_at, "") <= (node.lost_at or ""))
    )


def _is_here(home: Any, node: Node) -> ColumnElement[bool]:
    here: ColumnElement[bool] = home.is_(None) | (home == node.id)
    return here


def _began_by(since: Any, moment: str) -> ColumnElement[bool]:
    began: ColumnElement[bool] = since.is_(None) | (since <= moment)
    return began


def _is_of_before(node: Node, feed: Feed) -> bool:
    is_of_another = node.applied_epoch not in (None, feed.epoch)
    return is_of_another and not feed.shrink_is_meant and not node.lost_at
