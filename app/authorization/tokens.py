"""What is kept of codes and tokens, all of one consent: looked up, used up, and ended together.

Only digests are kept, and found by them: no comparison tells how much of a guess was right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from .. import clock
from ..caller import memberships, still_reaches
from ..credentials import ACCESS, CODE, REFRESH, digest, is_well_formed
from ..extensions import db
from ..models import Assistant, OAuthClient, OAuthCode, OAuthToken, Person
from ..models.feed import record
from .clients import Client, written

ACCESS_SECONDS = 3600
REFRESH_DAYS = 30  # from its last use: an assistant that stays away for so long asks again


@dataclass
class Held:
    """A code or token somebody brought, the consent it belongs to, and who gave that."""

    row: OAuthCode | OAuthToken
    assistant: Assistant
    client: OAuthClient
    person: Person

    def check_client(self, client: Client) -> bool:
        """Whether it was given to this client."""
        return client.row.id == self.client.id

    def use_up(self) -> None:
        """It worked, this once."""
        self.row.used_at = clock.now()


class Code(Held):
    """A code, as Authlib asks about it."""

    row: OAuthCode
    code_challenge_method = "S256"

    @property
    def code_challenge(self) -> str:
        """What the verifier has to hash to."""
        return self.row.challenge

    def get_redirect_uri(self) -> str:
        """Where it was sent."""
        return self.row.redirect_uri

    def get_scope(self) -> str:
        """What its person allowed."""
        return written(self.assistant.scope)


class Refresh(Held):
    """A refresh token, as Authlib asks about it."""

    row: OAuthToken

    def get_scope(self) -> str:
        """The most that can be asked for with it."""
        return written(self.row.scope)


def assistant_of(text: str) -> int | None:
    """Whose code or token this is, or was, None for nobody's; asked before anything is locked."""
    query = _row(text)
    row = None if query is None else db.session.scalar(query)
    return None if row is None else int(row.assistant_id)


def code(text: str, client_id: int) -> Code | None:
    """A code that can be used by this client. Used before, it ends its whole consent."""
    found = held(text) if is_well_formed(text, CODE) else None
    if found is None or found.client.id != client_id or not _is_usable(found):
        return None
    return Code(found.row, found.assistant, found.client, found.person)


def refresh(text: str) -> Refresh | None:
    """A refresh token that can be used. Used before, it ends its whole consent."""
    found = held(text) if is_well_formed(text, REFRESH) else None
    if found is None or not _is_usable(found):
        return None
    return Refresh(found.row, found.assistant, found.client, found.person)


def held(text: str) -> Held | None:
    """Whatever this is, with its consent locked: what two bring at once, one brings first."""
    query = _row(text)
    row = None if query is None else db.session.scalar(query)
    if row is None:
        return None
    assistant = db.session.get(Assistant, row.assistant_id, with_for_update=True)
    db.session.refresh(row)
    client = db.session.get(OAuthClient, assistant.client_id) if assistant else None
    person = db.session.get(Person, assistant.person_id) if assistant else None
    if assistant is None or client is None or person is None:
        return None
    return Held(row, assistant, client, person)


def keep(assistant: Assistant, token: dict[str, Any], scope: str) -> None:
    """Keep what was just given out."""
    for kind, name, expires_at in (
        ("access", "access_token", clock.from_now(seconds=ACCESS_SECONDS)),
        ("refresh", "refresh_token", clock.from_now(days=REFRESH_DAYS)),
    ):
        db.session.add(
            OAuthToken(
                digest=digest(token[name]),
                assistant_id=assistant.id,
                kind=kind,
                # A narrower access token leaves the next one what its person allowed.
                scope=scope if kind == "access" else assistant.scope,
                expires_at=expires_at,
            )
        )


def disconnect(found: Held, action: str = "disconnect-assistant") -> None:
    """End a consent, and with it all that came of it; the audit log says so."""
    if found.assistant.revoked_at:
        return
    found.assistant.revoked_at = clock.now()
    record(
        db.session(),
        actor=f"person {found.person.email} through {found.client.name}"[:320],
        project_id=found.assistant.project_id,
        action=action,
        object=found.client.client_id,
    )


def _row(text: str) -> Any:
    """The query for what this may be; None when it is nothing of ours."""
    if is_well_formed(text, CODE):
        return select(OAuthCode).where(OAuthCode.digest == digest(text))
    kinds = {"access": ACCESS, "refresh": REFRESH}
    for kind, prefix in kinds.items():
        if is_well_formed(text, prefix):
            is_it = (OAuthToken.digest == digest(text)) & (OAuthToken.kind == kind)
            return select(OAuthToken).where(is_it)
    return None


def _is_usable(found: Held) -> bool:
    if found.row.used_at:
        # Two have it, and one of them should not: nobody knows which (RFC 9700, section 2.2.2).
        disconnect(found, "assistant-used-twice")
        return False
    is_over = found.row.expires_at <= clock.now() or found.assistant.revoked_at
    is_member = found.assistant.project_id in memberships(found.person.id)
    return not is_over and still_reaches(found.person, is_member=is_member)
