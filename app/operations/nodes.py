"""The verbs of nodes."""

from __future__ import annotations

from .. import clock
from ..caller import Caller
from ..credentials import SYNC_KEY, digest, hint, make
from ..errors import Conflict, NotFound
from ..extensions import db, settings
from ..fields import HostName, IpAllow, KeyAsLink, MxPriority, NodeName, OverlapHours
from ..models import KeyOffer, Node, SyncKey
from .answers import NodeAnswer, NodesAnswer, RemovedNodeAnswer
from .fleet import key_offer
from .operation import operation
from .placement import homed_at, refuse_while_home, tell_of_home
from .reports import finish_purges
from .results import GoneNode, Link, Nodes, OneNode
from .seen import of_node

OFFER_DAYS = 7


@operation(who="admin", answers=NodesAnswer, title="List mail nodes", reads=True)
def list_nodes(caller: Caller) -> Nodes:  # noqa: ARG001
    """List all mail nodes with their state and when each last fetched the users.

    For admins. Changes nothing. A node is `up` when it was seen in the last 2 minutes, `late` in
    the last 10, then `down`; `waiting` until its first sync; `paused` or `lost` when an admin says
    so.
    """
    rows = db.session.scalars(db.select(Node).order_by(Node.name))
    return Nodes([OneNode(node) for node in rows])


@operation(who="admin", answers=NodeAnswer, title="Add a mail node", adds_up=True, status=201)
def add_node(
    caller: Caller,  # noqa: ARG001
    *,
    name: NodeName,
    ip_address: IpAllow | None = None,
    key_as_link: KeyAsLink = False,
) -> OneNode:
    """Create a mail node and answer its sync key, which is shown this once and never again.

    For admins. With key_as_link the key is kept out of this conversation: the answer has a link
    instead, where an admin who is signed in sees it once, within a week, with the command for the
    node. With ip_address, an address or CIDR network, the key works from there only. A name that is
    taken is refused with NODE_EXISTS.
    """
    if db.session.scalar(db.select(Node.id).where(Node.name == name)):
        raise Conflict("NODE_EXISTS", f"There already is a node {name}.", field="name")
    node = Node(name=name, ip_address=ip_address)
    db.session.add(node)
    db.session.flush()
    if key_as_link:
        return _offer_key(node, overlap_hours=0)
    return OneNode(node, sync_key=_new_key(node))


@operation(
    who="admin",
    answers=NodeAnswer,
    title="Change what a mail node is called in public",
    shows=lambda _caller, given: of_node(_node(given["name"])),
)
def update_node(
    caller: Caller,  # noqa: ARG001
    *,
    name: NodeName,
    host: HostName | None = None,
    mx_priority: MxPriority | None = None,
) -> OneNode:
    """Set the public host name of a node, and its priority in MX records.

    For admins. Other nodes pass mail on to this host, and customers put it into the DNS and into
    mail programs. "" takes the name away, which is refused with NODE_IS_HOME while the node is the
    home of a domain; a name that is another node's is refused with HOST_TAKEN.
    """
    node = _node(name)
    if host is not None and (host or None) != node.host:
        if host:
            _refuse_taken(host)
        else:
            refuse_while_home(node, field="host")
        node.host = host or None
        tell_of_home(node.id)
    if mx_priority is not None:
        node.mx_priority = mx_priority
    return OneNode(node)


@operation(
    who="admin",
    answers=NodeAnswer,
    title="Give a mail node a new key",
    destroys=True,  # a key that works now may stop doing so
    adds_up=True,
)
def rotate_node_key(
    caller: Caller,
    *,
    name: NodeName,
    overlap_hours: OverlapHours = 168,
    key_as_link: KeyAsLink = False,
) -> OneNode:
    """Make a new sync key for a node and answer it, this once and never again.

    For admins. The key before goes on working for overlap_hours, a week unless told otherwise, so
    that the node can be given the new one in peace; with 0 it ends at once. Two keys work at most:
    one that is older still ends at once. With key_as_link, and always when an assistant asks, the
    answer has a link instead: the key is made, and the hours begin, when an admin who is signed in
    opens it within a week.
    """
    node = _node(name)
    _refuse_lost(node)
    if key_as_link or caller.is_assistant:
        return _offer_key(node, overlap_hours=overlap_hours)
    return _rotated(node, overlap_hours)


@operation(who="admin", is_internal=True)
def collect_node_key(caller: Caller, *, name: NodeName) -> OneNode:  # noqa: ARG001
    """Make the key that waits to be seen, and answer it, this once."""
    node = _node(name)
    _refuse_lost(node)
    offer = key_offer(node)
    if offer is None:
        raise NotFound("LINK_OVER", "This key was shown already, or not in time; make a new one.")
    return _rotated(node, offer.overlap_hours)


def _offer_key(node: Node, *, overlap_hours: int) -> OneNode:
    """The address is no secret: who opens it has to be an admin."""
    _withdraw_offer(node)
    end = clock.from_now(days=OFFER_DAYS)
    db.session.add(KeyOffer(node_id=node.id, overlap_hours=overlap_hours, expires_at=end))
    url = f"{settings.public_url}/admin/nodes/{node.name}/key"
    return OneNode(node, key_link=Link(url, end))


def _withdraw_offer(node: Node) -> None:
    db.session.execute(db.delete(KeyOffer).where(KeyOffer.node_id == node.id))


def _refuse_lost(node: Node) -> None:
    if node.lost_at:
        raise Conflict(
            "NODE_LOST",
            f"{node.name} was lost: nothing that may still be on it gets a key.",
            field="name",
            recovery="Set the machine up anew and add it again: remove-node, then add-node.",
        )


def _rotated(node: Node, overlap_hours: int) -> OneNode:
    """The node with a new key; those from before end when they should."""
    _withdraw_offer(node)
    keys = db.session.scalars(
        db.select(SyncKey).where(SyncKey.node_id == node.id).order_by(SyncKey.id.desc())
    ).all()
    for key in keys[1:] if overlap_hours else keys:
        db.session.delete(key)
    if keys and overlap_hours:
        keys[0].expires_at = clock.from_now(seconds=overlap_hours * 3600)
    return OneNode(node, sync_key=_new_key(node))


@operation(who="admin", answers=NodeAnswer, title="Pause a mail node")
def pause_node(caller: Caller, *, name: NodeName) -> OneNode:  # noqa: ARG001
    """Expect a node to be away, for maintenance: no change waits for it and nobody is alarmed.

    For admins. Its key goes on working. Doing it again changes nothing; undo it with resume-node.
    """
    node = _node(name)
    node.is_paused = True
    return OneNode(node)


@operation(who="admin", answers=NodeAnswer, title="Resume a mail node")
def resume_node(caller: Caller, *, name: NodeName) -> OneNode:  # noqa: ARG001
    """Expect a paused node to be there again, and count it where changes are live.

    For admins. On a node that is not paused it changes nothing.
    """
    node = _node(name)
    node.is_paused = False
    return OneNode(node)


@operation(who="admin", answers=NodeAnswer, title="Say that a mail node was lost", destroys=True)
def lose_node(caller: Caller, *, name: NodeName) -> OneNode:  # noqa: ARG001
    """Say that a node was lost or stolen: all its keys stop working at once.

    For admins. It stays listed as `lost`, no change waits for it, and it cannot get a key again:
    this cannot be undone. It held the password hashes of the live mailboxes that it served, now or
    before their domain got another home; their passwords have to be renewed. Mail for domains whose
    home it was is not passed on to it any more, but waits on the other nodes, for 5 days at most:
    set another home (set-home-node). Doing it again changes nothing.
    """
    node = _node(name)
    if node.lost_at is None:
        node.lost_at = clock.now()
        tell_of_home(node.id)
    db.session.execute(db.delete(SyncKey).where(SyncKey.node_id == node.id))
    _withdraw_offer(node)
    db.session.flush()
    finish_purges()
    return OneNode(node)


@operation(
    who="admin",
    answers=RemovedNodeAnswer,
    title="Remove a mail node",
    destroys=True,
)
def remove_node(caller: Caller, *, name: NodeName) -> GoneNode:  # noqa: ARG001
    """Take a node out of the panel; its keys stop working at once.

    For admins. The machine itself keeps what it has, and goes on serving mail until it is turned
    off. Refused with NODE_IS_HOME while it is the home of a domain, whose mail would have nowhere
    to go. Use pause-node for one that comes back.
    """
    node = _node(name)
    refuse_while_home(node, field="name")
    db.session.execute(db.delete(SyncKey).where(SyncKey.node_id == node.id))
    db.session.delete(node)
    db.session.flush()
    finish_purges()
    return GoneNode(name)


def _node(name: str) -> Node:
    """A node, its row locked: two who rotate its key at once do it one after the other. The domains
    whose home it is are locked before it, as everybody does; and others may refer to it meanwhile,
    or a domain that moves away from it would wait for who waits for the domain."""
    homed_at(db.select(Node.id).where(Node.name == name).scalar_subquery())
    node: Node | None = db.session.scalar(
        db.select(Node).where(Node.name == name).with_for_update(key_share=True)
    )
    if node is None:
        raise NotFound("NODE_NOT_FOUND", f"There is no node {name}.", field="name")
    return node


def _refuse_taken(host: str) -> None:
    other = db.session.scalar(db.select(Node.name).where(Node.host == host, Node.lost_at.is_(None)))
    if other:
        raise Conflict(
            "HOST_TAKEN",
            f"{host} is the public name of {other}: mail for one would reach the other.",
            field="host",
        )


def _new_key(node: Node) -> str:
    key = make(SYNC_KEY)
    db.session.add(SyncKey(node_id=node.id, digest=digest(key), hint=hint(key)))
    return key
