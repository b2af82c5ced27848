"""Who calls with an access token: a person, through the assistant they let in."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import bindparam, select, update

from .. import clock
from ..caller import LAST_USE_SECONDS, Caller, may_use, through_assistant
from ..credentials import ACCESS, digest, is_well_formed
from ..database import write_transaction
from ..errors import Busy
from ..extensions import db
from ..models import Assistant, OAuthClient, OAuthToken, Person
from ..throttle import refuse_credential
from .clients import written
from .urls import resource

ACCESS_SCOPES = written("write")
# Asked by every request, and made once: making it would take as long as running it does.
_HELD = (
    select(OAuthToken, Assistant, Person, OAuthClient.name)
    .join(Assistant, Assistant.id == OAuthToken.assistant_id)
    .join(Person, Person.id == Assistant.person_id)
    .join(OAuthClient, OAuthClient.id == Assistant.client_id)
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
    found = db.session.execute(_HELD, {"digest": digest(credential)}).first()
    if found is None:
        refuse_credential(authorization, address)
    token, assistant, person, name = found
    is_over = assistant.revoked_at or token.expires_at <= clock.now()
    if is_over or assistant.resource != resource():
        refuse_credential(authorization, address)
    if not may_use(person, assistant.project_id):
        refuse_credential(authorization, address)
    caller = through_assistant(assistant, person, name, token.scope, address)
    _note_use(assistant)
    return caller


def _note_use(assistant: Assistant) -> None:
    """Record the last use, at most once a minute, as of API tokens."""
    last = assistant.last_used_at
    if last and 0 <= clock.seconds_since(last) < LAST_USE_SECONDS:
        return
    query = update(Assistant).where(Assistant.id == assistant.id).values(last_used_at=clock.now())
    with suppress(Busy), write_transaction(is_lasting=False) as session:
        session.execute(query)
