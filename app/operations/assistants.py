"""The verbs of assistants that people let in by OAuth: connecting one, and its end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from .. import clock
from ..caller import Caller
from ..credentials import CODE, digest, make
from ..errors import Forbidden, NotFound
from ..extensions import db
from ..fields import Id, ProjectId, Visible
from ..models import (
    Assistant,
    Call,
    Membership,
    OAuthClient,
    OAuthCode,
    OAuthToken,
    Person,
    Project,
)
from .operation import operation
from .panel import Scope

CODE_SECONDS = 60
CALLS_SHOWN = 5  # of each program


@dataclass(frozen=True)
class AssistantRow:
    """A connected assistant, the client it is, and its project; None where it is everywhere."""

    assistant: Assistant
    client: OAuthClient
    project: Project | None


@dataclass
class LastCall:
    """A call, as often as it was made in a row, and when last."""

    operation: str
    outcome: str
    actor: str
    at: str
    count: int


@operation(who="self", is_internal=True)
def connect_assistant(
    caller: Caller,
    *,
    client: Visible,
    scope: Scope,
    redirect_uri: Visible,
    challenge: Visible,
    resource: Visible,
    project_id: ProjectId | None = None,
) -> str:
    """Let an assistant into one of the caller's projects, or without one everywhere an admin is.

    Answers the code that its client can exchange once, within a minute.
    """
    if caller.person_id is None:
        raise Forbidden("Only somebody who is signed in can do this.")
    if project_id is not None:
        caller.in_project(project_id, field="project_id")
    elif not caller.is_admin:
        raise Forbidden("Only an admin can let an assistant reach every project.")
    row = db.session.scalar(select(OAuthClient).where(OAuthClient.client_id == client))
    if row is None:
        raise NotFound("CLIENT_NOT_FOUND", "This assistant is not known here any more.")
    row.used_at = clock.now()
    assistant = Assistant(
        client_id=row.id,
        person_id=caller.person_id,
        project_id=project_id,
        scope=scope,
        resource=resource,
    )
    db.session.add(assistant)
    db.session.flush()
    code = make(CODE)
    db.session.add(
        OAuthCode(
            digest=digest(code),
            assistant_id=assistant.id,
            redirect_uri=redirect_uri,
            challenge=challenge,
            expires_at=clock.from_now(seconds=CODE_SECONDS),
        )
    )
    return code


@operation(who="self", is_internal=True)
def disconnect_assistant(caller: Caller, *, assistant_id: Id) -> OAuthClient:
    """End one of one's own assistants at once, and for good; it can ask to be let in again."""
    assistant = db.session.get(Assistant, assistant_id)
    if assistant is None or caller.person_id is None or assistant.person_id != caller.person_id:
        raise NotFound("ASSISTANT_NOT_FOUND", "This assistant is not connected any more.")
    assistant.revoked_at = assistant.revoked_at or clock.now()
    client: OAuthClient = db.session.get_one(OAuthClient, assistant.client_id)
    return client


def disconnect_all(person_id: int) -> None:
    """End whatever somebody let in, as part of a change: a stranger at their screen may have."""
    live = db.update(Assistant).where(
        Assistant.person_id == person_id, Assistant.revoked_at.is_(None)
    )
    db.session.execute(live.values(revoked_at=clock.now()))


def disconnect_what_is_out_of_reach(person: Person) -> None:
    """End what somebody let in where they no longer get themselves, as part of that change.

    It would be useless anyway for as long as they are out; and does not come back with them.
    """
    query = db.update(Assistant).where(
        Assistant.person_id == person.id, Assistant.revoked_at.is_(None)
    )
    if not person.disabled_at:
        if person.is_admin:
            return
        theirs = select(Membership.project_id).where(Membership.person_id == person.id)
        query = query.where(Assistant.project_id.is_(None) | Assistant.project_id.not_in(theirs))
    db.session.execute(query.values(revoked_at=clock.now()))


def connected(caller: Caller) -> Sequence[AssistantRow]:
    """The caller's own assistants that can still do something, the last used first."""
    is_live = (
        select(OAuthToken.id)
        .where(
            OAuthToken.assistant_id == Assistant.id,
            OAuthToken.used_at.is_(None),
            OAuthToken.expires_at > clock.now(),
        )
        .exists()
    )
    rows = db.session.execute(
        select(Assistant, OAuthClient, Project)
        .join(OAuthClient, OAuthClient.id == Assistant.client_id)
        .outerjoin(Project, Project.id == Assistant.project_id)
        .where(Assistant.person_id == caller.person_id, Assistant.revoked_at.is_(None), is_live)
        .order_by(Assistant.last_used_at.desc().nulls_last(), Assistant.id.desc())
    )
    return [AssistantRow(*row) for row in rows]


def last_calls(caller: Caller) -> Mapping[str, list[LastCall]]:
    """The last calls in the caller's project, by the program that made them; the last one first."""
    rows = db.session.scalars(
        select(Call).where(Call.project_id == caller.project_id).order_by(Call.id.desc())
    )
    seen: dict[str, list[LastCall]] = defaultdict(list)
    for row in rows:
        shown = seen[row.program]
        what = (row.operation, row.outcome, row.actor)
        if shown and (shown[-1].operation, shown[-1].outcome, shown[-1].actor) == what:
            shown[-1].count += row.count
        elif len(shown) < CALLS_SHOWN:
            shown.append(LastCall(*what, at=row.at, count=row.count))
    return seen
