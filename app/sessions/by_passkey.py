"""Signing in by a passkey, which is both factors at once, and proving by one who somebody is."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from .. import passkeys
from ..caller import Caller
from ..database import write_transaction
from ..errors import Busy
from ..extensions import db
from ..models import Person
from ..throttle import give_back_passkey, take_passkey
from .refusals import WrongPasskey
from .rows import add_entry, add_session, note_proof


def ask_passkey(address: str, browser: str) -> dict[str, Any]:
    """What a browser needs to sign somebody in by a passkey; an attempt. Raises TooMany, Busy."""
    take_passkey(address)
    with write_transaction(is_lasting=False):
        return passkeys.options_to_ask(passkeys.Asked("sign-in", browser))


def sign_in_by_passkey(
    answer: passkeys.Answer, *, address: str, user_agent: str, browser: str
) -> str:
    """Make a session; its credential. Raises WrongPasskey, TooMany, Busy."""
    take_passkey(address)  # what is refused is entered in a log that only grows
    with write_transaction():
        used = passkeys.used(answer, passkeys.Asked("sign-in", browser), address=address)
        person = db.session.get(Person, used.passkey.person_id) if used else None
        is_right = person is not None and not person.disabled_at and bool(person.password_hash)
        is_copy = used is not None and used.is_copy
        actor = f"person {person.email}"[:200] if person else "person "
        if person and is_right and not is_copy:
            credential = add_session(person, address, user_agent, browser)
            add_entry(actor, "sign-in", address, given="passkey")
        else:
            is_right = False
            given = "passkey-copy" if is_copy else "passkey"
            add_entry(actor, "sign-in refused", address, given=given)
    if not is_right:
        raise WrongPasskey
    with suppress(Busy):
        give_back_passkey(address)
    return credential


def ask_proof_by_passkey(caller: Caller, session_id: int) -> dict[str, Any]:
    """What a browser needs to prove by a passkey who somebody is. Raises TooMany, Busy."""
    take_passkey(caller.address or "")
    with write_transaction(is_lasting=False):
        asked = passkeys.Asked.of_session("proof", session_id)
        return passkeys.options_to_ask(asked, caller.person_id)


def prove_by_passkey(caller: Caller, session_id: int, answer: passkeys.Answer) -> None:
    """Take a passkey as a proof for the next quarter of an hour.

    Raises WrongPasskey, TooMany, Busy.
    """
    asked = passkeys.Asked.of_session("proof", session_id)
    take_passkey(caller.address or "")
    with write_transaction():
        used = passkeys.used(
            answer, asked, address=caller.address or "", person_id=caller.person_id
        )
        is_right = used is not None and not used.is_copy
        if is_right:
            note_proof(session_id)
        else:
            given = "passkey-copy" if used else ""
            add_entry(caller.actor, "proof refused", caller.address, given=given)
    if not is_right:
        raise WrongPasskey
    with suppress(Busy):
        give_back_passkey(caller.address or "")
