"""Telling people by mail that somebody signed in as them from where they never did before."""

from __future__ import annotations

from email.message import EmailMessage
from functools import partial

from . import places
from .extensions import settings
from .mailing import attempt, can_mail, notice, send
from .models import KnownPlace


def send_what_is_new() -> None:
    """Tell what nobody has been told yet, once whichever process looks. Raises Busy."""
    if not can_mail():
        return
    for email, place in places.claim():
        attempt("a notice", "mail", partial(send, message_of(email, place)))


def message_of(email: str, place: KnownPlace) -> EmailMessage:
    """What the browser says of itself is left out: whoever signs in chooses that text."""
    text = (
        f"Somebody signed in to Mailcote as {email}, from a browser or an address that was not "
        f"used before: {place.address}, at {place.first_at}.\n\n"
        "If that was you, nothing has to be done. If not, change your password at once; that ends "
        f"all other sessions:\n{settings.public_url}/account\n"
    )
    return notice("a new sign-in", text, [email])
