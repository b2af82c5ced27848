"""Telling people by mail that somebody signed in as them from where they never did before, or tried
to with a copy of their passkey."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import ColumnElement

from . import clock
from .database import write_transaction
from .extensions import db, settings
from .mailing import can_mail
from .models import KnownPlace, Passkey, Person
from .outbox import put

Row = TypeVar("Row", KnownPlace, Passkey)


def write_what_is_new() -> None:
    """Have a mail sent of what nobody has been told yet. Raises Busy."""
    if not can_mail():
        return
    _write(KnownPlace, KnownPlace.is_news & KnownPlace.told_at.is_(None), "told_at", _new_place)
    is_new = Passkey.copied_at.is_not(None) & Passkey.copy_told_at.is_(None)
    _write(Passkey, is_new, "copy_told_at", _copy)


def _write(
    kind: type[Row],
    is_new: ColumnElement[bool],
    told_at: str,
    describe: Callable[[str, Row], tuple[str, str]],
) -> None:
    is_any = db.session.scalar(db.select(db.select(kind.id).where(is_new).exists()))
    db.session.rollback()
    if not is_any:
        return
    with write_transaction() as session:
        query = db.select(Person.email, kind).join(Person, Person.id == kind.person_id)
        for email, row in session.execute(query.where(is_new).with_for_update(of=kind)):
            setattr(row, told_at, clock.now())
            put(session, *describe(email, row), [email])


def _new_place(email: str, place: KnownPlace) -> tuple[str, str]:
    """What the browser says of itself is left out: whoever signs in chooses that text."""
    text = (
        f"Somebody signed in to Mailcote as {email}, from a browser or an address that was not "
        f"used before: {place.address}, at {place.first_at}.\n\n"
        "If that was you, nothing has to be done. If not, change your password at once; that ends "
        f"all other sessions:\n{settings.public_url}/account\n"
    )
    return "a new sign-in", text


def _copy(email: str, passkey: Passkey) -> tuple[str, str]:
    """What to do about it: one of the two devices is a stranger's, and only its owner knows."""
    text = (
        f"Somebody tried to sign in to Mailcote as {email} with a copy of your passkey "
        f'"{passkey.name}": {passkey.copied_from}, at {passkey.copied_at}. They were refused.\n\n'
        "A passkey that was copied can be used by whoever has the copy. Remove it from your "
        f"account, and add another one:\n{settings.public_url}/account/two-factor\n"
    )
    return "a copy of your passkey", text
