"""The one place that makes a session, or half of one, and what is noted of it in the audit log.

All within a transaction that writes, but for `record`, which is one.
"""

from __future__ import annotations

from .. import clock, places
from ..credentials import HALF_SESSION, SESSION, digest, make
from ..database import write_transaction
from ..extensions import db
from ..models import HalfSession, Person, WebSession, feed

ABSOLUTE_SECONDS = 12 * 3600
HALF_SECONDS = 5 * 60  # to type a code in


def add_session(person: Person, address: str, user_agent: str, browser: str) -> str:
    """Make a session; its credential. Sessions that are over go."""
    places.note(person.id, browser, address, user_agent)
    credential = make(SESSION)
    ended = clock.from_now(seconds=-ABSOLUTE_SECONDS)
    db.session.execute(db.delete(WebSession).where(WebSession.created_at < ended))
    db.session.add(
        WebSession(
            digest=digest(credential),
            person_id=person.id,
            address=address,
            user_agent=user_agent[:200],
        )
    )
    return credential


def add_half(person_id: int) -> str:
    """Make half a session, for who has still to give a code; its credential."""
    credential = make(HALF_SESSION)
    over = clock.from_now(seconds=-HALF_SECONDS)
    db.session.execute(db.delete(HalfSession).where(HalfSession.created_at < over))
    db.session.add(HalfSession(digest=digest(credential), person_id=person_id))
    return credential


def note_proof(session_id: int) -> None:
    """Note that somebody has just proven who they are."""
    found = db.update(WebSession).where(WebSession.id == session_id)
    db.session.execute(found.values(proven_at=clock.now()))


def record(actor: str, action: str, address: str) -> None:
    """Enter in the audit log what changed nothing. Raises Busy."""
    with write_transaction():
        add_entry(actor, action, address)


def add_entry(actor: str, action: str, address: str | None, given: str = "") -> None:
    """Enter in the audit log what is done in the same transaction."""
    feed.record(db.session(), actor=actor, address=address, action=action, given=given)
