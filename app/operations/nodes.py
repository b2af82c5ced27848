"""The verbs of nodes."""

from __future__ import annotations

from ..caller import Caller
from ..credentials import SYNC_KEY, digest, hint, make
from ..errors import Conflict
from ..extensions import db
from ..fields import IpAllow, NodeName
from ..models import Node, SyncKey
from .answers import NodeAnswer, NodesAnswer
from .operation import operation
from .results import Nodes, OneNode


@operation(who="admin", answers=NodesAnswer, title="List mail nodes", reads=True)
def list_nodes(caller: Caller) -> Nodes:  # noqa: ARG001
    """List all mail nodes with their state and when each last fetched the users.

    For admins. Changes nothing. A node is `up` when it was seen in the last 2 minutes, `late` in
    the last 10, then `down`; `waiting` until its first sync.
    """
    rows = db.session.scalars(db.select(Node).order_by(Node.name))
    return Nodes([OneNode(node) for node in rows])


@operation(who="admin", answers=NodeAnswer, title="Add a mail node", status=201)
def add_node(
    caller: Caller,  # noqa: ARG001
    *,
    name: NodeName,
    ip_address: IpAllow | None = None,
) -> OneNode:
    """Create a mail node and answer its sync key, which is shown this once and never again.

    For admins. With ip_address, an address or CIDR network, the key works from there only. A name
    that is taken is refused with NODE_EXISTS.
    """
    if db.session.scalar(db.select(Node.id).where(Node.name == name)):
        raise Conflict("NODE_EXISTS", f"There already is a node {name}.", field="name")
    node = Node(name=name, ip_address=ip_address)
    db.session.add(node)
    db.session.flush()
    key = make(SYNC_KEY)
    db.session.add(SyncKey(node_id=node.id, digest=digest(key), hint=hint(key)))
    return OneNode(node, sync_key=key)
