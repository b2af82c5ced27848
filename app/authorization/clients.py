"""The clients that can ask to be let in: those that registered, and those that have a document."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import ClientMixin
from sqlalchemy.exc import IntegrityError

from .. import clock
from ..credentials import CLIENT, is_well_formed, make
from ..database import write_transaction
from ..extensions import db
from ..models import OAuthClient
from ..throttle import take_document, take_registration
from .description import Description, read_description
from .documents import described, is_document
from .redirects import is_registered

__all__ = ["Client", "find", "is_document", "register", "resolve"]

MAX_UNUSED = 1000  # registrations that nobody has let in yet

Level = str  # "read" or "write", which reads as well


class Client(ClientMixin):  # type: ignore[misc]  # Authlib ships no types
    """A client as Authlib asks about it: all of them are public, and may ask for the same."""

    def __init__(self, row: OAuthClient) -> None:
        self.row = row

    def get_client_id(self) -> str:
        """Its name in the protocol."""
        return self.row.client_id

    def get_default_redirect_uri(self) -> None:
        """None: each request says where it wants its answer."""

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """The scope that will be granted, as it is written; None when there is no such scope."""
        asked = level_of(scope)
        return written(asked) if asked else None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Whether it may be answered there."""
        return is_registered(redirect_uri, self.row.redirect_uris.split("\n"))

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        """None of them has a secret: PKCE says that it is the same one (RFC 7636)."""
        return method == "none"

    def check_response_type(self, response_type: str) -> bool:
        """Only codes."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Codes, and what follows from them."""
        return grant_type in ("authorization_code", "refresh_token")


def level_of(scope: str | None) -> Level | None:
    """What a scope as written allows; nothing said is all there is, which a person can lessen."""
    words = set((scope or "read write").split())
    if not words <= {"read", "write"}:
        return None
    return "write" if "write" in words else "read"


def written(level: Level) -> str:
    """A level as the scope that names it (RFC 6749, section 3.3)."""
    return "read write" if level == "write" else "read"


def find(client_id: str) -> OAuthClient | None:
    """A client that is known already."""
    if not is_well_formed(client_id, CLIENT) and not is_document(client_id):
        return None
    row: OAuthClient | None = db.session.scalar(
        db.select(OAuthClient).where(OAuthClient.client_id == client_id)
    )
    return row


def resolve(client_id: str, person_id: int) -> OAuthClient | None:
    """A client, its document fetched for this person if that is due.

    Raises UnusableClient, TooMany, Busy.
    """
    row = find(client_id)
    is_due = row is None or (row.fresh_until or "") <= clock.now()
    if not is_document(client_id) or not is_due:
        return row
    take_document(person_id)
    db.session.rollback()  # nothing is held of the database while somebody else is waited for
    description, seconds = described(client_id)
    return keep_document(client_id, description, seconds)


def register(values: dict[str, Any], address: str) -> OAuthClient:
    """Take in a client that describes itself (RFC 7591). Raises UnusableClient, TooMany, Busy.

    So many are allowed an hour from one address; of those that nobody lets in, the oldest go.
    """
    description = read_description(values)
    take_registration(address)
    with write_transaction() as session:
        crowd = (
            db.select(OAuthClient.id)
            .where(OAuthClient.used_at.is_(None))
            .order_by(OAuthClient.id.desc())
            .offset(MAX_UNUSED - 1)
        )
        session.execute(db.delete(OAuthClient).where(OAuthClient.id.in_(crowd)))
        row = OAuthClient(client_id=make(CLIENT))
        _describe(row, description)
        session.add(row)
    return row


def keep_document(client_id: str, description: Description, seconds: int) -> OAuthClient:
    """Keep what a document says for so long.

    Two who ask at once both want to add it: the second then finds that it is there.
    """
    try:
        return _noted(client_id, description, seconds)
    except IntegrityError:
        return _noted(client_id, description, seconds)


def _noted(client_id: str, description: Description, seconds: int) -> OAuthClient:
    with write_transaction() as session:
        row = find(client_id) or OAuthClient(client_id=client_id)
        _describe(row, description)
        row.fresh_until = clock.from_now(seconds=seconds)
        session.add(row)
    return row


def _describe(row: OAuthClient, description: Description) -> None:
    row.name = description.name
    row.redirect_uris = "\n".join(description.redirect_uris)
