"""Signing in and out: the one place that makes a session, and what a session is worth.

The cookie holds a random credential, the database its digest and everything else. So signing out,
a new password and disabling somebody end sessions at once, wherever the cookie was copied to.
Unknown accounts take as long to refuse as wrong passwords, and get the same answer.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache

from . import clock
from .addresses import parse_contact
from .caller import Caller, memberships
from .credentials import SESSION, digest, is_well_formed, make
from .database import write_transaction
from .errors import Busy, Invalid, OperationError
from .extensions import db, settings
from .models import AuditEntry, Feed, Person, WebSession
from .passwords import NewPassword, matches
from .throttle import give_back_sign_in, take_sign_in

IDLE_SECONDS = 30 * 60
ABSOLUTE_SECONDS = 12 * 3600
SEEN_SECONDS = 60  # how exactly the last use of a session is known


class WrongPassword(OperationError):
    """The address or the password is wrong; which of the two is never told."""

    type = "unauthorized"
    status = 422

    def __init__(self) -> None:
        super().__init__("WRONG_PASSWORD", "The address or the password is wrong.")


def sign_in(email: str, password: str, *, address: str, user_agent: str) -> str:
    """Begin a session; the credential for its cookie. Raises WrongPassword, TooMany or Busy."""
    typed = _typed(email)
    take_sign_in(typed, address)
    person = db.session.scalar(db.select(Person).where(Person.email == typed))
    stored = person.password_hash if person else None
    is_right = matches(password, stored or _dummy_hash(settings.person_bcrypt_cost))
    if person is None or stored is None or person.disabled_at or not is_right:
        _record(f"person {typed}"[:320], "sign-in refused", address)
        raise WrongPassword
    person_id = person.id
    try:
        credential = _begin(person_id, stored, address, user_agent)
    except WrongPassword:
        _record(f"person {typed}"[:320], "sign-in refused", address)
        raise
    with suppress(Busy):  # who is signed in by now is not told to try again
        give_back_sign_in(typed, address)
    return credential


def begin_for(person: Person, *, address: str, user_agent: str) -> str:
    """Begin a session for somebody who has just chosen a password by a one-time link."""
    return _begin(person.id, person.password_hash, address, user_agent)


def by_link(person: Person, address: str) -> Caller:
    """The caller somebody is who holds a one-time link, and nothing else yet."""
    return Caller(actor=f"person {person.email}", address=address, person_id=person.id)


def find(credential: str, *, is_use: bool = True) -> tuple[int, Person] | None:
    """The id and the person of a cookie's session; None when it has ended or they are disabled.

    A page that asks again by itself is no use of it: left open, it would keep the session for ever.
    """
    if not is_well_formed(credential, SESSION):
        return None
    row = db.session.execute(
        db.select(WebSession, Person)
        .join(Person, Person.id == WebSession.person_id)
        .where(WebSession.digest == digest(credential))
    ).first()
    if row is None or row.Person.disabled_at or _has_ended(row.WebSession):
        return None
    # Not the row: it can be gone by the time it is looked at again, ended from another browser.
    found: tuple[int, Person] = row.WebSession.id, row.Person
    if is_use:
        _note_use(row.WebSession)
    return found


def of_person(person_id: int) -> list[WebSession]:
    """The sessions somebody has now, the last used first."""
    query = db.select(WebSession).where(WebSession.person_id == person_id)
    rows = db.session.scalars(query.order_by(WebSession.seen_at.desc(), WebSession.id.desc()))
    return [row for row in rows if not _has_ended(row)]


def sign_out(caller: Caller, session_id: int) -> None:
    """End one session, wherever its cookie has got to."""
    with write_transaction() as session:
        session.execute(db.delete(WebSession).where(WebSession.id == session_id))
        _add_entry(caller.actor, "sign-out", caller.address)


def caller_of(person: Person, address: str) -> Caller:
    """The caller a signed-in person is."""
    return Caller(
        actor=f"person {person.email}",
        is_admin=person.is_admin,
        projects=None if person.is_admin else memberships(person.id),
        address=address,
        person_id=person.id,
    )


def _begin(person_id: int, proven: str | None, address: str, user_agent: str) -> str:
    """Make a session for who has proven to know the password of this hash. Raises WrongPassword.

    bcrypt takes a while: if the account was disabled or has another password by now, what was
    proven proves nothing. Its row is locked, so that such a change comes before or after this.
    """
    credential = make(SESSION)
    with write_transaction() as session:
        person = session.get(Person, person_id, with_for_update=True)
        if person is None or person.disabled_at or person.password_hash != proven:
            raise WrongPassword
        ended = clock.from_now(seconds=-ABSOLUTE_SECONDS)
        session.execute(db.delete(WebSession).where(WebSession.created_at < ended))
        session.add(
            WebSession(
                digest=digest(credential),
                person_id=person_id,
                address=address,
                user_agent=user_agent[:200],
            )
        )
        _add_entry(f"person {person.email}"[:200], "sign-in", address)
    return credential


def _typed(email: str) -> str:
    """The address as it would be stored; what cannot be one belongs to nobody."""
    try:
        return parse_contact(email.strip())
    except Invalid:
        return ""


@cache
def _dummy_hash(cost: int) -> str:
    return NewPassword("nobody has this password").hash(cost)


def _has_ended(found: WebSession) -> bool:
    is_idle = clock.seconds_since(found.seen_at) > IDLE_SECONDS
    return is_idle or clock.seconds_since(found.created_at) > ABSOLUTE_SECONDS


def _note_use(found: WebSession) -> None:
    if 0 <= clock.seconds_since(found.seen_at) < SEEN_SECONDS:
        return
    query = db.update(WebSession).where(WebSession.id == found.id).values(seen_at=clock.now())
    # A database that cannot be written now is no reason to refuse a page.
    with suppress(Busy), write_transaction(is_lasting=False) as session:
        session.execute(query)


def _record(actor: str, action: str, address: str) -> None:
    with write_transaction():
        _add_entry(actor, action, address)


def _add_entry(actor: str, action: str, address: str | None) -> None:
    revision = db.session.scalars(db.select(Feed.revision)).one()
    db.session.add(
        AuditEntry(
            actor=actor, address=address, action=action, object="", given="", revision=revision
        )
    )
