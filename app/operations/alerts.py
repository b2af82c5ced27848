"""Which nodes somebody has to be told of: each event is handed out once, to whoever asks first.

What was told stands beside the node. It is written before anything is sent, in a transaction that
locks the row: of several processes that look at once, one sends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select

from .. import clock
from ..database import write_transaction
from ..extensions import db
from ..models import Node, Person

Event = Literal["down", "back", "drift", "trouble"]
# A node whose trouble comes and goes is told of once in so long.
QUIET_SECONDS = 3600


@dataclass(frozen=True)
class Alert:
    """Something that happened to a node; `state` is its state then."""

    event: Event
    node: str
    state: str
    at: str


def claim() -> list[Alert]:
    """What nobody has been told of yet; from now on it counts as told. Raises Busy."""
    nodes = db.session.scalars(select(Node)).all()
    is_news = any(_to_tell(node) != _told(node) for node in nodes)
    db.session.rollback()
    if not is_news:
        return []
    with write_transaction() as session:
        nodes = session.scalars(select(Node).order_by(Node.name).with_for_update()).all()
        return [alert for node in nodes for alert in _claimed(node)]


def admins() -> Sequence[str]:
    """The addresses of all admins who may sign in."""
    query = select(Person.email).where(Person.is_admin, Person.disabled_at.is_(None))
    found = db.session.scalars(query.order_by(Person.email)).all()
    db.session.rollback()
    return found


def _claimed(node: Node) -> list[Alert]:
    told, present = _told(node), _to_tell(node)
    events: list[Event] = [
        event for event in ("down", "drift", "trouble") if event in present - told
    ]
    if "down" in told - present and node.state in ("up", "late"):
        events.append("back")
    if present - told:
        node.alerted_at = clock.now()
    node.alerted_state = " ".join(sorted(present))
    return [Alert(event, node.name, node.state, clock.now()) for event in events]


def _told(node: Node) -> set[str]:
    return set((node.alerted_state or "").split())


def _to_tell(node: Node) -> set[str]:
    """What is to be known of a node: what is wrong, and what was a short while ago."""
    if node.state in ("paused", "lost"):
        return set()
    present: set[str] = set(node.flags)
    if node.state == "down":
        present.add("down")
    if node.alerted_at and not clock.is_over(node.alerted_at, QUIET_SECONDS):
        present |= _told(node) - {"down"}
    return present
