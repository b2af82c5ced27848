"""Where the mail of a domain lives: on all nodes, or on one that is its home.

Without a home every node has the hashes of a domain's mailboxes and stores its mail. With one only
that node does; the others know the addresses, accept mail for them and pass it on to the home.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ScalarSelect

from .. import clock
from ..caller import Caller
from ..errors import Conflict, NotFound
from ..extensions import db
from ..fields import DomainName, HomeNode
from ..models import Domain, Node, PastHome
from ..models.feed import tell_nodes_of
from .answers import DomainAnswer
from .domains import counted
from .operation import operation
from .results import OneDomain
from .seen import Shown, of_home

KNOWS_HOMES = (0, 3)  # the first version of the agent that does
_VERSION = re.compile(r"([0-9]{1,6})\.([0-9]{1,6})(?![0-9])")


def _home_shown(caller: Caller, given: dict[str, Any]) -> Shown:
    home_id = caller.any_domain(given["domain"]).home_node_id
    return of_home(db.session.get(Node, home_id) if home_id else None)


@operation(
    who="admin",
    answers=DomainAnswer,
    title="Set the home node of a domain",
    destroys=True,  # sign-ins that work now stop doing so elsewhere
    shows=_home_shown,
)
def set_home_node(caller: Caller, *, domain: DomainName, node: HomeNode) -> OneDomain:
    """Let one node alone have a domain's password hashes and store its mail, or with "" all nodes.

    For admins. The other nodes drop the hashes, end the sessions of its mailboxes, and accept mail
    for known addresses to pass it on to port 25 of the home's host. Mail that is stored already
    stays where it is: nothing is moved, nothing removed. Doing it again changes nothing; undo it by
    setting the home before. Refused with NODE_WITHOUT_HOST, NODE_LOST, or AGENT_TOO_OLD while some
    node runs an agent that does not know of homes.
    """
    row = caller.any_domain(domain)
    home = _fit_home(node) if node else None
    if row.home_node_id != (home.id if home else None):
        now = clock.now()
        before = {"node_id": row.home_node_id, "since": row.placed_at}
        db.session.add(PastHome(domain_id=row.id, until=now, **before))
        row.home_node_id, row.placed_at = (home.id if home else None), now
    return counted(caller, [row])[0]


def homed_at(node_id: int | ScalarSelect[int]) -> Sequence[Domain]:
    """The domains whose home a node is, by name, locked: domains are locked before nodes."""
    query = db.select(Domain).where(Domain.home_node_id == node_id).order_by(Domain.id)
    return db.session.scalars(query.with_for_update()).all()


def tell_of_home(node_id: int) -> None:
    """Let the backups of a home's domains know that its host is another, or that it was lost."""
    tell_nodes_of(db.session(), homed_at(node_id))


def refuse_while_home(node: Node, *, field: str) -> None:
    """Raises NODE_IS_HOME: mail for its domains would have nowhere to go."""
    names = sorted(domain.name for domain in homed_at(node.id))
    if names:
        count = "1 domain" if len(names) == 1 else f"{len(names)} domains"
        more = ", …" if len(names) > 3 else ""
        raise Conflict(
            "NODE_IS_HOME",
            f"{node.name} is the home of {count}: {', '.join(names[:3])}{more}.",
            field=field,
            recovery="Set another home for each of them first (set-home-node). Mail that is stored "
            f"on {node.name} stays there: copy what is needed.",
        )


def _fit_home(name: str) -> Node:
    """A node that can be a home; its row is locked, so that it is not removed meanwhile."""
    home: Node | None = db.session.scalar(
        db.select(Node).where(Node.name == name).with_for_update(key_share=True)
    )
    if home is None:
        raise NotFound("NODE_NOT_FOUND", f"There is no node {name}.", field="node")
    if home.lost_at:
        raise Conflict("NODE_LOST", f"{name} was lost: it gets no hashes.", field="node")
    if not home.host:
        raise Conflict(
            "NODE_WITHOUT_HOST",
            f"{name} has no public name, so the other nodes cannot pass mail on to it.",
            field="node",
            recovery="Give it one with update-node, such as mpi01.example.net; port 25 there has "
            "to be open to the other nodes.",
        )
    _refuse_old_agents()
    return home


def _refuse_old_agents() -> None:
    """An older agent refuses to be told of homes; its node would stand still from then on."""
    rows = db.session.execute(
        db.select(Node.name, Node.agent_version)
        .where(Node.lost_at.is_(None), Node.agent_version.is_not(None))
        .order_by(Node.name)
    )
    old = [f"{name} ({version})" for name, version in rows if _numbers(version) < KNOWS_HOMES]
    if old:
        raise Conflict(
            "AGENT_TOO_OLD",
            f"The agent does not know of home nodes on {', '.join(old)}.",
            field="node",
            recovery="Run the installer there again: the command is on the node's page.",
        )


def _numbers(version: str | None) -> tuple[int, ...]:
    match = _VERSION.match(version or "")
    return (int(match[1]), int(match[2])) if match else (0, 0)
