"""The verbs of two-factor sign-in: setting it up, turning it off, codes for a lost phone."""

from __future__ import annotations

from dataclasses import dataclass

from .. import clock, passkeys, second_factor, totp
from ..caller import Caller
from ..errors import Conflict, Forbidden, Invalid, NotFound
from ..extensions import db
from ..fields import Id, PersonEmail, PresentPassword, Text
from ..models import HalfSession, Passkey, Person, RecoveryCode, TwoFactor
from ..passwords import TypedPassword
from ..throttle import give_back_sign_in, take_sign_in
from .access import end_sessions
from .operation import operation

_WRONG = "This is not the present code. Wait for the next one in your app, and type that."


@dataclass(frozen=True)
class State:
    """One's second factors: the app once it is confirmed, passkeys, how many codes are left."""

    factor: TwoFactor | None
    passkeys: list[Passkey]
    left: int


def state_of(caller: Caller) -> State:
    """What one proves oneself with beside a password."""
    factor = db.session.get(TwoFactor, caller.person_id)
    left = db.select(db.func.count()).where(RecoveryCode.person_id == caller.person_id)
    return State(
        factor if factor and factor.confirmed_at else None,
        passkeys.of_person(caller.person_id or 0),
        db.session.scalar(left) or 0,
    )


@operation(who="self", is_internal=True)
def begin_two_factor(caller: Caller) -> TwoFactor:
    """Make a secret for one's authenticator app; it counts once a code of it is confirmed."""
    person = locked(caller)
    if second_factor.confirmed(person.id):
        raise Conflict("TWO_FACTOR_ON", "Two-factor sign-in is on; turn it off first.")
    db.session.execute(db.delete(TwoFactor).where(TwoFactor.person_id == person.id))
    factor = TwoFactor(person_id=person.id, secret=totp.make_secret())
    db.session.add(factor)
    return factor


def _take_attempt(caller: Caller, *, code: str, **_rest: object) -> None:
    if caller.person_id is None:
        raise Forbidden("Only somebody who is signed in can do this.")
    second_factor.take_attempt(caller.person_id, code, caller.address or "")


@operation(who="self", is_internal=True, first=_take_attempt)
def confirm_two_factor(caller: Caller, *, code: Text, keep: Id) -> list[str]:
    """Turn it on by a code of the app; the recovery codes. All sessions but the one to keep end."""
    person = locked(caller)
    factor = db.session.get(TwoFactor, person.id, with_for_update=True)
    if factor is None or factor.confirmed_at:
        raise Conflict("TWO_FACTOR_NOT_BEGUN", "There is nothing to confirm; begin again.")
    factor.confirmed_at = clock.now()
    if second_factor.kind_of(code) != "code" or not second_factor.use_up(person.id, code):
        raise Invalid(_WRONG, field="code")  # which takes the confirmation back, too
    end_sessions(person.id, but=keep)
    return second_factor.renew_recovery_codes(person.id)


def _prove(caller: Caller, *, password: TypedPassword, code: str) -> None:
    """The password, before any lock is held: bcrypt takes its time."""
    _take_attempt(caller, code=code)
    person = db.session.get_one(Person, caller.person_id)
    email, address = person.email, caller.address or ""
    take_sign_in(email, address)
    _refuse_wrong(person, password)
    give_back_sign_in(email, address)


@operation(who="self", is_internal=True, first=_prove)
def renew_recovery_codes(caller: Caller, *, password: PresentPassword, code: Text) -> list[str]:
    """Ten new recovery codes; the earlier ones work no longer."""
    return second_factor.renew_recovery_codes(_proven(caller, password, code).id)


@operation(who="self", is_internal=True, first=_prove)
def end_two_factor(caller: Caller, *, password: PresentPassword, code: Text) -> None:
    """Take one's own authenticator app away. Recovery codes stay as long as there are passkeys."""
    person = _proven(caller, password, code)
    db.session.execute(db.delete(TwoFactor).where(TwoFactor.person_id == person.id))
    go_without(person)


def go_without(person: Person) -> None:
    """See to what follows when somebody has one second factor less.

    Recovery codes stand in for something: without it they go, and half sessions with them. Where
    one is demanded, the last one stays. Raises Conflict.
    """
    if second_factor.has_any(person.id):
        return
    if second_factor.is_demanded_of(person):
        passkey = "add a passkey first, or " if passkeys.relying_party() else ""
        raise Conflict(
            "LAST_SECOND_FACTOR",
            "Your account has to have two-factor sign-in, and nothing else is left for it.",
            recovery=f"To replace an authenticator app, {passkey}ask an admin to take it off, and "
            "set it up anew at once. To replace a passkey, add the other one first.",
        )
    _remove(person.id)


@operation(who="admin", is_internal=True)
def reset_two_factor(caller: Caller, *, email: PersonEmail) -> Person:
    """Take it off somebody whose phone is lost; their sessions end. Not for oneself."""
    query = db.select(Person).where(Person.email == email).with_for_update()
    person: Person | None = db.session.scalar(query)
    if person is None:
        raise NotFound("PERSON_NOT_FOUND", f"There is no person {email}.", field="email")
    if person.id == caller.person_id:
        raise Conflict("OWN_TWO_FACTOR", "Turn off your own on your account page, by a code.")
    _remove(person.id)
    end_sessions(person.id)
    return person


def locked(caller: Caller) -> Person:
    """Who is asking, their row locked: the order is person, factor, session."""
    query = db.select(Person).where(Person.id == caller.person_id).with_for_update()
    person: Person | None = db.session.scalar(query)
    if person is None:
        raise Forbidden("Only somebody who is signed in can do this.")
    return person


def _proven(caller: Caller, password: TypedPassword, code: str) -> Person:
    person = locked(caller)
    _refuse_wrong(person, password)  # it may be another one by now
    if not second_factor.has_any(person.id):
        raise Conflict("TWO_FACTOR_OFF", "Two-factor sign-in is off already.")
    if not second_factor.use_up(person.id, code):
        raise Invalid(_WRONG, field="code")
    return person


def _refuse_wrong(person: Person, password: TypedPassword) -> None:
    if not password.is_behind(person.password_hash):
        raise Invalid("This is not your present password.", field="password")


def _remove(person_id: int) -> None:
    for model in (TwoFactor, Passkey, RecoveryCode, HalfSession):
        db.session.execute(db.delete(model).where(model.person_id == person_id))
