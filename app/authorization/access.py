"""Who calls with an access token: a person, through the assistant they let in."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from sqlalchemy import and_, bindparam, select, update

from .. import clock
from ..caller import LAST_USE_SECONDS, Caller, still_reaches, through_assistant
from ..credentials import ACCESS, digest, is_well_formed
from ..database import write_transaction
from ..errors import Busy
from ..extensions import db
from ..models import Assistant, Membership, OAuthClient, OAuthToken, Person
from ..throttle import refuse_credential
from .clients import written
from .urls import resource

ACCESS_SCOPES = written("write")
# Asked by every request, and made once: making it would take as long as running it does.
_HELD = (
    select(
        Person,
        OAuthToken.scope,
        OAuthToken.expires_at,
        Assistant.id,
        Assistant.project_id,
        Assistant.resource,
        Assistant.revoked_at,
        Assistant.last_used_at,
        OAuthClient.name,
        Membership.person_id.is_not(None).label("is_member"),
    )
    .select_from(OAuthToken)
    .join(Assistant, Assistant.id == OAuthToken.assistant_id)
    .join(Person, Person.id == Assistant.person_id)
    .join(OAuthClient, OAuthClient.id == Assistant.client_id)
    .outerjoin(
        Membership,
        and_(
            Membership.person_id == Assistant.person_id,
            Membership.project_id == Assistant.project_id,
        ),
    )
    .where(OAuthToken.digest == bindparam("digest"), OAuthToken.kind == "access")
)


def is_access_token(authorization: str) -> bool:
    """Whether an Authorization header looks like one of these, rather than an API token."""
    return authorization.startswith(f"Bearer {ACCESS}")


def caller_with_access_token(authorization: str, address: str) -> Caller:
    """The caller an Authorization header stands for. Raises Unauthorized, TooMany.

    A token opens nothing when its consent was revoked, its person is disabled or lost the project,
    or it is for another address than this panel's.
    """
    credential = authorization.removeprefix("Bearer ")
    if not is_well_formed(credential, ACCESS):
        refuse_credential(authorization, address)
    held: Any = db.session.execute(_HELD, {"digest": digest(credential)}).first()
    if held is None or not _is_open(held):
        refuse_credential(authorization, address)
    caller = through_assistant(
        held.id, held.project_id, held.Person, held.name, scope=held.scope, address=address
    )
    _note_use(held.id, held.last_used_at)
    return caller


def _is_open(held: Any) -> bool:
    is_over = held.revoked_at or held.expires_at <= clock.now()
    is_for_us = held.resource == resource()
    return not is_over and is_for_us and still_reaches(held.Person, is_member=held.is_member)


def _note_use(assistant_id: int, last: str | None) -> None:
    """Record the last use, at most once a minute, as of API tokens."""
    if last and 0 <= clock.seconds_since(last) < LAST_USE_SECONDS:
        return
    query = update(Assistant).where(Assistant.id == assistant_id).values(last_used_at=clock.now())
    with suppress(Busy), write_transaction(is_lasting=False) as session:
        session.execute(query)
