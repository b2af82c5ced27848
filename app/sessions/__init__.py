"""Signing in and out, and what a session is worth.

The cookie holds a random credential, the database its digest and everything else. So signing out,
a new password and disabling somebody end sessions at once, wherever the cookie was copied to.
Unknown accounts take as long to refuse as wrong passwords, and get the same answer.

Who has a second factor gets half a session for the password: a row of another table, which no page
looks for but the one that asks for the code. The whole session has a new credential. A passkey is
both factors at once, and needs no password before it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from .. import clock, places, second_factor
from ..addresses import parse_contact
from ..caller import Caller, memberships
from ..credentials import HALF_SESSION, SESSION, digest, is_well_formed
from ..database import write_transaction
from ..errors import Busy, Invalid
from ..extensions import db, settings
from ..models import (
    HalfSession,
    KnownPlace,
    Passkey,
    Person,
    TwoFactor,
    WebSession,
)
from ..passwords import MIN_BYTES, NewPassword, TypedPassword, matches
from ..throttle import give_back_sign_in, take_sign_in
from .by_passkey import (
    ask_passkey,
    ask_proof_by_passkey,
    prove_by_passkey,
    sign_in_by_passkey,
)
from .refusals import HalfOver, WrongCode, WrongPasskey, WrongPassword, WrongProof
from .rows import (
    ABSOLUTE_SECONDS,
    HALF_SECONDS,
    add_entry,
    add_half,
    add_session,
    note_proof,
    record,
)

__all__ = [
    "Begun",
    "Found",
    "HalfOver",
    "WrongCode",
    "WrongPasskey",
    "WrongPassword",
    "WrongProof",
    "ask_passkey",
    "ask_proof_by_passkey",
    "begin_for",
    "by_link",
    "caller_of",
    "confirm_places",
    "find",
    "finish",
    "half_open",
    "of_person",
    "prove",
    "prove_by_passkey",
    "sign_in",
    "sign_in_by_passkey",
    "sign_out",
]

IDLE_SECONDS = 30 * 60
PROOF_SECONDS = 15 * 60  # for how long a password or code counts where it is asked for again
SEEN_SECONDS = 60  # how exactly the last use of a session is known

_HAS_APP = TwoFactor.confirmed_at.is_not(None).label("has_app")
_HAS_PASSKEYS = db.exists().where(Passkey.person_id == Person.id).label("has_passkeys")


@dataclass(frozen=True)
class Begun:
    """A session, or half of one while a code is still to come; the credential for its cookie."""

    credential: str
    is_half: bool


@dataclass(frozen=True)
class Found:
    """The session of a cookie, and whose it is. `proven_at`: when they last proved who they are."""

    session_id: int
    person: Person
    proven_at: str | None
    has_app: bool
    has_passkeys: bool

    @property
    def has_two_factor(self) -> bool:
        """Whether a password alone does not sign them in."""
        return self.has_app or self.has_passkeys

    @property
    def must_set_up(self) -> bool:
        """Whether they may do nothing before they have a second factor."""
        return self.is_demanded and not self.has_two_factor

    @property
    def is_demanded(self) -> bool:
        """Whether they may not go without a second factor."""
        return second_factor.is_demanded_of(self.person)

    @property
    def is_proven(self) -> bool:
        """Whether they have proven lately who they are."""
        return self.proven_at is not None and not clock.is_over(self.proven_at, PROOF_SECONDS)


def sign_in(
    email: str, password: str, *, address: str, user_agent: str, browser: str = ""
) -> Begun:
    """Begin a session, or half of one. Raises WrongPassword, TooMany or Busy."""
    typed = _typed(email)
    take_sign_in(typed, address)
    person = db.session.scalar(db.select(Person).where(Person.email == typed))
    stored = person.password_hash if person else None
    is_right = matches(password, stored or _dummy_hash(settings.person_bcrypt_cost))
    if person is None or stored is None or person.disabled_at or not is_right:
        record(f"person {typed}"[:320], "sign-in refused", address)
        raise WrongPassword
    person_id = person.id
    try:
        begun = _begin(person_id, stored, address, user_agent, browser)
    except WrongPassword:
        record(f"person {typed}"[:320], "sign-in refused", address)
        raise
    with suppress(Busy):  # who is signed in by now is not told to try again
        give_back_sign_in(typed, address)
    return begun


def half_open(credential: str) -> int | None:
    """The id of who has proven the password by this half of a session, and may give a code."""
    half = _half(credential)
    return half.person_id if half else None


def finish(half: str, code: str, *, address: str, user_agent: str, browser: str = "") -> str:
    """Make a session of a half one; its credential. Raises HalfOver, WrongCode, TooMany, Busy."""
    person_id = half_open(half)
    if person_id is None:
        raise HalfOver
    is_known = places.is_known(person_id, browser, address)
    second_factor.take_attempt(person_id, code, address, is_known=is_known)
    with write_transaction():
        person = db.session.get(Person, person_id, with_for_update=True)
        kept = _half(half)
        if person is None or person.disabled_at or kept is None:
            raise HalfOver
        actor, kind = f"person {person.email}"[:200], second_factor.use_up(person_id, code)
        if kind:
            db.session.delete(kept)
            credential = add_session(person, address, user_agent, browser)
            add_entry(actor, "sign-in", address, given=f"password {kind}")
        else:
            add_entry(actor, "sign-in refused", address, given="code")
    if not kind:
        raise WrongCode
    with suppress(Busy):
        second_factor.give_back_attempt(person_id, address)
    return credential


def prove(caller: Caller, session_id: int, typed: str) -> None:
    """Take the password, or a code of the app, as a proof for the next quarter of an hour.

    Raises WrongPassword, WrongCode, TooMany, Busy, HalfOver.
    """
    person = db.session.get(Person, caller.person_id)
    if person is None:
        raise HalfOver
    address = caller.address or ""
    # Nobody's password is as short as a code, but one may have no more of ASCII than a code has.
    is_short = len(typed.encode(errors="replace")) < MIN_BYTES
    is_code = is_short and second_factor.kind_of(typed) == "code"
    password = TypedPassword(typed)
    person_id, email = person.id, person.email
    if is_code:
        second_factor.take_attempt(person_id, typed, address)
    else:
        take_sign_in(email, address)
        password.is_behind(person.password_hash)
    with write_transaction() as session:
        person = session.get_one(Person, person_id, with_for_update=True)
        is_right = (
            second_factor.use_up(person_id, typed) is not None
            if is_code
            else password.is_behind(person.password_hash)
        )
        if is_right:
            note_proof(session_id)
        else:
            add_entry(caller.actor, "proof refused", address)
    if not is_right:
        raise WrongProof
    with suppress(Busy):
        if is_code:
            second_factor.give_back_attempt(person_id, address)
        else:
            give_back_sign_in(email, address)


def confirm_places(caller: Caller) -> None:
    """Take somebody's word that it was them, or that they have seen it."""
    with write_transaction() as session:
        theirs = db.update(KnownPlace).where(KnownPlace.person_id == caller.person_id)
        session.execute(theirs.values(is_news=False))
        keys = db.update(Passkey).where(Passkey.person_id == caller.person_id)
        session.execute(keys.values(copied_at=None, copied_from=None, copy_told_at=None))


def begin_for(person: Person, *, address: str, user_agent: str, browser: str = "") -> Begun:
    """Begin for somebody who has just chosen a password by a one-time link."""
    return _begin(person.id, person.password_hash, address, user_agent, browser)


def by_link(person: Person, address: str) -> Caller:
    """The caller somebody is who holds a one-time link, and nothing else yet."""
    return Caller(actor=f"person {person.email}", address=address, person_id=person.id)


def find(credential: str, *, is_use: bool = True) -> Found | None:
    """The session of a cookie; None when it has ended or its person is disabled.

    A page that asks again by itself is no use of it: left open, it would keep the session for ever.
    """
    if not is_well_formed(credential, SESSION):
        return None
    row = db.session.execute(
        db.select(WebSession, Person, _HAS_APP, _HAS_PASSKEYS)
        .join(Person, Person.id == WebSession.person_id)
        .outerjoin(TwoFactor, TwoFactor.person_id == Person.id)
        .where(WebSession.digest == digest(credential))
    ).first()
    if row is None or row.Person.disabled_at or _has_ended(row.WebSession):
        return None
    # Not the row: it can be gone by the time it is looked at again, ended from another browser.
    found = Found(
        row.WebSession.id, row.Person, row.WebSession.proven_at, row.has_app, row.has_passkeys
    )
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
        add_entry(caller.actor, "sign-out", caller.address)


def caller_of(person: Person, address: str) -> Caller:
    """The caller a signed-in person is."""
    return Caller(
        actor=f"person {person.email}",
        is_admin=person.is_admin,
        projects=None if person.is_admin else memberships(person.id),
        address=address,
        person_id=person.id,
    )


def _begin(
    person_id: int, proven: str | None, address: str, user_agent: str, browser: str
) -> Begun:
    """Begin for who has proven to know the password of this hash. Raises WrongPassword.

    bcrypt takes a while: if the account was disabled or has another password by now, what was
    proven proves nothing. Its row is locked, so that such a change comes before or after this.
    """
    with write_transaction() as session:
        person = session.get(Person, person_id, with_for_update=True)
        if person is None or person.disabled_at or person.password_hash != proven:
            raise WrongPassword
        if second_factor.has_any(person_id):
            return Begun(add_half(person_id), is_half=True)
        credential = add_session(person, address, user_agent, browser)
        add_entry(f"person {person.email}"[:200], "sign-in", address)
    return Begun(credential, is_half=False)


def _half(credential: str) -> HalfSession | None:
    if not is_well_formed(credential, HALF_SESSION):
        return None
    query = db.select(HalfSession).where(HalfSession.digest == digest(credential))
    half: HalfSession | None = db.session.scalar(query)
    if half is None or clock.is_over(half.created_at, HALF_SECONDS):
        return None
    return half


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
    is_idle = clock.is_over(found.seen_at, IDLE_SECONDS)
    return is_idle or clock.is_over(found.created_at, ABSOLUTE_SECONDS)


def _note_use(found: WebSession) -> None:
    if 0 <= clock.seconds_since(found.seen_at) < SEEN_SECONDS:
        return
    query = db.update(WebSession).where(WebSession.id == found.id).values(seen_at=clock.now())
    # A database that cannot be written now is no reason to refuse a page.
    with suppress(Busy), write_transaction(is_lasting=False) as session:
        session.execute(query)
