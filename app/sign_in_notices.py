"""Telling people by mail that somebody signed in as them from where they never did before, or tried
to with a copy of their passkey."""

from __future__ import annotations

from email.message import EmailMessage
from functools import partial
from typing import TypeVar

from sqlalchemy import ColumnElement

from . import clock
from .database import write_transaction
from .extensions import db, settings
from .mailing import attempt, can_mail, notice, send
from .models import KnownPlace, Passkey, Person

Row = TypeVar("Row", KnownPlace, Passkey)


def send_what_is_new() -> None:
    """Tell what nobody has been told yet, once whichever process looks. Raises Busy."""
    if not can_mail():
        return
    for email, place in claim_places():
        attempt("a notice", "mail", partial(send, message_of(email, place)))
    for email, passkey in claim_copies():
        attempt("a notice", "mail", partial(send, message_of_copy(email, passkey)))


def claim_places() -> list[tuple[str, KnownPlace]]:
    """New places somebody signed in from, with the address to tell; once, whoever asks."""
    return _claimed(KnownPlace, KnownPlace.is_news & KnownPlace.told_at.is_(None), "told_at")


def claim_copies() -> list[tuple[str, Passkey]]:
    """Passkeys of which a copy was found out, with the address to tell; once, whoever asks."""
    is_due = Passkey.copied_at.is_not(None) & Passkey.copy_told_at.is_(None)
    return _claimed(Passkey, is_due, "copy_told_at")


def _claimed(kind: type[Row], is_due: ColumnElement[bool], told_at: str) -> list[tuple[str, Row]]:
    if not db.session.scalar(db.select(db.select(kind.id).where(is_due).exists())):
        return []
    with write_transaction() as session:
        query = db.select(Person.email, kind).join(Person, Person.id == kind.person_id)
        rows = session.execute(query.where(is_due).with_for_update(of=kind)).all()
        for _email, row in rows:
            setattr(row, told_at, clock.now())
    return [(email, row) for email, row in rows]


def message_of(email: str, place: KnownPlace) -> EmailMessage:
    """What the browser says of itself is left out: whoever signs in chooses that text."""
    text = (
        f"Somebody signed in to Mailcote as {email}, from a browser or an address that was not "
        f"used before: {place.address}, at {place.first_at}.\n\n"
        "If that was you, nothing has to be done. If not, change your password at once; that ends "
        f"all other sessions:\n{settings.public_url}/account\n"
    )
    return notice("a new sign-in", text, [email])


def message_of_copy(email: str, passkey: Passkey) -> EmailMessage:
    """What to do about it: one of the two devices is a stranger's, and only its owner knows."""
    text = (
        f"Somebody tried to sign in to Mailcote as {email} with a copy of your passkey "
        f'"{passkey.name}": {passkey.copied_from}, at {passkey.copied_at}. They were refused.\n\n'
        "A passkey that was copied can be used by whoever has the copy. Remove it from your "
        f"account, and add another one:\n{settings.public_url}/account/two-factor\n"
    )
    return notice("a copy of your passkey", text, [email])
