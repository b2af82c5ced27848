"""The one-time link by which a mailbox's owner chooses the password: made, shown once, revoked."""

from __future__ import annotations

from flask import Blueprint, Response

from ..operations import OPERATIONS
from ..operations.results import Linked
from .access import access
from .pages import go, my_project, never_stored, render

bp = Blueprint("mailbox_links", __name__, url_prefix="/mailboxes/<email>/link")


@bp.post("")
@access("person")
def make(email: str) -> Response:
    """Make a link, and show it once; one from before ends."""
    return link_page(OPERATIONS["send-password-link"](my_project(), email=email))


@bp.post("/revoke")
@access("person")
def revoke(email: str) -> Response:
    """End it."""
    OPERATIONS["revoke-password-link"](my_project(), email=email)
    return go("mailboxes.show", email=email, said="The link works no longer.")


def link_page(made: Linked, *, is_new: bool = False) -> Response:
    """A link, shown this once."""
    page = render("mailboxes/link.html", mailbox=made.mailbox, link=made.link, is_new=is_new)
    return never_stored(page)
