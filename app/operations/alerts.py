"""Which nodes somebody has to be told of, and what has yet to be told by mail or webhook.

Each event is noticed once, by whichever process looks first: what was noticed stands beside the
node, and what is to be told of it is written in the same transaction. It stays until it has been
told (see `Untold`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sqlalchemy import delete, select

from .. import clock
from ..database import write_transaction
from ..extensions import db
from ..models import Node, NodeAlert, Person

Event = Literal["down", "back", "drift", "trouble"]
Way = Literal["mail", "webhook"]
# A node whose trouble comes and goes is told of once in so long.
QUIET_SECONDS = 3600
AT_ONCE = 10  # the most that are taken to be sent one by one, each in a few seconds


def notice(ways: Sequence[Way]) -> None:
    """Write down what nobody has been told of yet, to be told by these ways. Raises Busy."""
    nodes = db.session.scalars(select(Node)).all()
    is_news = any(_to_tell(node) != _noticed(node) for node in nodes)
    db.session.rollback()
    if not is_news:
        return
    with write_transaction() as session:
        nodes = session.scalars(select(Node).order_by(Node.name).with_for_update()).all()
        events = [(node, event) for node in nodes for event in _noticed_now(node)]
        session.add_all(
            NodeAlert(way=way, event=event, node=node.name, state=node.state, at=clock.now())
            for way in ways
            for node, event in events
        )


def take(way: Way, most: int | None = None) -> list[NodeAlert]:
    """What is to be told now by one way, the oldest first; nobody else gets it for a minute.

    What could not be told keeps what came later from being told before it. Raises Busy.
    """
    waiting = select(NodeAlert).where(NodeAlert.way == way).order_by(NodeAlert.id).limit(most)
    first = db.session.scalars(waiting.limit(1)).first()
    is_due = first is not None and first.is_due
    db.session.rollback()
    if not is_due:
        return []
    with write_transaction() as session:
        found = session.scalars(waiting.with_for_update()).all()
        if not found or not found[0].is_due:
            return []  # another process took it
        taken = [alert for alert in found if not alert.is_too_old]
        for alert in found:
            alert.take()
            if alert not in taken:
                session.delete(alert)
        session.flush()
        session.expunge_all()
        return taken


def told(alerts: Sequence[NodeAlert]) -> None:
    """Somebody has been told of these. Raises Busy."""
    with write_transaction() as session:
        session.execute(delete(NodeAlert).where(NodeAlert.id.in_([alert.id for alert in alerts])))


def admins() -> Sequence[str]:
    """The addresses of all admins who may sign in."""
    query = select(Person.email).where(Person.is_admin, Person.disabled_at.is_(None))
    found = db.session.scalars(query.order_by(Person.email)).all()
    db.session.rollback()
    return found


def _noticed_now(node: Node) -> list[Event]:
    noticed, present = _noticed(node), _to_tell(node)
    events: list[Event] = [
        event for event in ("down", "drift", "trouble") if event in present - noticed
    ]
    if "down" in noticed - present and node.state in ("up", "late"):
        events.append("back")
    if present - noticed:
        node.alerted_at = clock.now()
    node.alerted_state = " ".join(sorted(present))
    return events


def _noticed(node: Node) -> set[str]:
    return set((node.alerted_state or "").split())


def _to_tell(node: Node) -> set[str]:
    """What is to be known of a node: what is wrong, and what was a short while ago."""
    if node.state in ("paused", "lost"):
        return set()
    present: set[str] = set(node.flags)
    if node.state == "down":
        present.add("down")
    if node.alerted_at and not clock.is_over(node.alerted_at, QUIET_SECONDS):
        present |= _noticed(node) - {"down"}
    return present
