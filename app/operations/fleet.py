"""What admins' pages show of nodes: how they are doing, what they asked and what they hold.

These change nothing and are not offered to programs; nobody but an admin reaches them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from ..caller import Caller
from ..errors import NotFound
from ..extensions import db
from ..fields import NODE_NAME
from ..models import Feed, Node, NodeRequest, SyncKey
from ..models.nodes import REQUESTS_KEPT
from .oversight import refuse_all_but_admins

LOW_DISK_MB = 1024  # a full disk refuses mail; with this much left there is time to do something


@dataclass(frozen=True)
class NodeRow:
    """A node, how many changes it is behind (None: not told yet), and what is kept of it.

    `keys` and `requests` are the newest first, and empty in a list of nodes.
    """

    node: Node
    behind: int | None
    keys: Sequence[SyncKey] = ()
    requests: Sequence[NodeRequest] = ()

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
    feed = db.session.scalars(select(Feed)).one()
    return [
        NodeRow(node, _behind(node, feed))
        for node in db.session.scalars(select(Node).order_by(Node.name))
    ]


def node(caller: Caller, name: str) -> NodeRow:
    """One node with its keys and its last requests. Raises NotFound."""
    refuse_all_but_admins(caller)
    # A name that none can have is not looked for: PostgreSQL refuses even to compare some texts.
    is_name = NODE_NAME.fullmatch(name)
    found = db.session.scalar(select(Node).where(Node.name == name)) if is_name else None
    if found is None:
        raise NotFound("NODE_NOT_FOUND", "There is no such node.")
    feed = db.session.scalars(select(Feed)).one()
    keys = db.session.scalars(
        select(SyncKey).where(SyncKey.node_id == found.id).order_by(SyncKey.id.desc())
    ).all()
    requests = db.session.scalars(
        select(NodeRequest)
        .where(NodeRequest.node_id == found.id)
        .order_by(NodeRequest.last_at.desc(), NodeRequest.id.desc())
        .limit(REQUESTS_KEPT)
    ).all()
    return NodeRow(found, _behind(found, feed), keys, requests)


def _behind(node: Node, feed: Feed) -> int | None:
    if node.applied_revision is None or node.applied_epoch != feed.epoch:
        return None
    return max(0, feed.revision - node.applied_revision)
