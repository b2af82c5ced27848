"""The verbs of passkeys: adding one, naming it otherwise, removing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .. import passkeys, second_factor
from ..caller import Caller
from ..database import write_transaction
from ..errors import Conflict, Invalid, NotFound
from ..extensions import db
from ..fields import MAX_ID, Id, Name, PasskeyAnswer
from ..models import Passkey
from .access import end_sessions
from .operation import operation
from .two_factor import go_without, locked


@dataclass(frozen=True)
class Added:
    """A new passkey, and recovery codes with the first thing that they stand in for."""

    passkey: Passkey
    codes: list[str]


def ask_for_new(caller: Caller, session_id: int) -> dict[str, Any]:
    """What a browser needs to make a passkey for who is signed in by a session. Raises Busy."""
    with write_transaction(is_lasting=False):
        return passkeys.options_to_add(locked(caller), passkeys.Asked.of_session("add", session_id))


def own(caller: Caller, passkey_id: int) -> Passkey:
    """One's own passkey. Raises NotFound, also for a number that no row can have."""
    query = db.select(Passkey).where(
        Passkey.id == passkey_id, Passkey.person_id == caller.person_id
    )
    passkey: Passkey | None = db.session.scalar(query) if passkey_id <= MAX_ID else None
    if passkey is None:
        raise NotFound("PASSKEY_NOT_FOUND", "There is no such passkey.")
    return passkey


@operation(who="self", is_internal=True)
def add_passkey(caller: Caller, *, name: Name, answer: PasskeyAnswer, keep: Id) -> Added:
    """Add what a device has just made; with the first, all sessions but the one to keep end."""
    person = locked(caller)
    if len(passkeys.of_person(person.id)) >= passkeys.MOST:
        raise Conflict("TOO_MANY_PASSKEYS", f"You have {passkeys.MOST} passkeys; remove one first.")
    passkey = passkeys.made(answer, passkeys.Asked.of_session("add", keep))
    if passkey is None:
        raise Invalid("The device's answer cannot be used, or came too late. Begin again.")
    is_first = not second_factor.has_any(person.id)
    passkey.person_id, passkey.name = person.id, name
    db.session.add(passkey)
    db.session.flush()  # the database's word on whether it is new
    if not is_first:
        return Added(passkey, [])
    end_sessions(person.id, but=keep)
    return Added(passkey, second_factor.renew_recovery_codes(person.id))


@operation(who="self", is_internal=True)
def rename_passkey(caller: Caller, *, passkey_id: Id, name: Name) -> None:
    """Name one's own passkey otherwise."""
    locked(caller)
    own(caller, passkey_id).name = name


@operation(who="self", is_internal=True)
def remove_passkey(caller: Caller, *, passkey_id: Id) -> None:
    """Remove one's own passkey; it signs nobody in any more."""
    person = locked(caller)
    db.session.delete(own(caller, passkey_id))
    db.session.flush()
    go_without(person)
