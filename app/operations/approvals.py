"""Deciding on what assistants asked for: approving, refusing, and whether they have to ask.

Only people decide, signed in to the dashboard. Approving is no operation of its own: it ends in the
one that was asked for, with the rights that both have by then, in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from .. import clock
from ..caller import Caller, caller_of_assistant, caller_of_token
from ..database import write_transaction
from ..errors import Conflict, Forbidden, NotFound, OperationError
from ..extensions import db
from ..fields import Flag, Id
from ..models import HeldCall, Project
from ..models.feed import record
from .held import HELD_SECONDS, would
from .operation import OPERATIONS, Operation, conflict_of, operation
from .results import Changed, Link, Linked

KEPT_DAYS = 30
SHOWN = 50  # calls that were decided, on the page


@operation(who="project", is_internal=True)
def update_approval(caller: Caller, *, needs_approval: Flag) -> Project:
    """Say whether assistants have to wait for a person; without it, none waits any longer."""
    _refuse_all_but_people(caller)
    project = db.session.get_one(Project, caller.project_id, with_for_update=True)
    project.needs_approval = needs_approval
    if not needs_approval:
        waiting = db.update(HeldCall).where(
            HeldCall.project_id == project.id, HeldCall.state == "waiting"
        )
        db.session.execute(waiting.values(expires_at=clock.now()))
    return project


@operation(who="project", is_internal=True)
def refuse_call(caller: Caller, *, call_id: Id) -> HeldCall:
    """Refuse what an assistant asked for; the same call is not asked again for a day."""
    _refuse_all_but_people(caller)
    call = _waiting(caller, call_id)
    _decide(call, caller, "refused")
    return call


@dataclass(frozen=True)
class Approved:
    """A call that was decided: done, or failed with what its `problem` says.

    `link` is one that was made by it, for the person who approved and nobody else.
    """

    call: HeldCall
    link: Link | None = None


def approve_call(caller: Caller, call_id: int) -> Approved:
    """Do what an assistant asked for. Raises NotFound, Conflict and Forbidden about the approver.

    What the call itself is refused for is kept as its problem, and nothing else is changed.
    """
    try:
        with write_transaction() as session:
            caller = _renewed(caller)
            call = _waiting(caller, call_id)
            wanted = OPERATIONS[call.operation]
            wanted.refuse_who_may_not(caller)
            result = _carry_out(session, wanted, call, caller)
            _decide(call, caller, "approved")
            call.answer = _without_link(result)
    except _CannotBeDone as error:
        return Approved(_fail(caller, call_id, error.reason))
    return Approved(call, result.link if isinstance(result, Linked) else None)


class _CannotBeDone(Exception):
    """What an approved call is refused for."""

    def __init__(self, reason: OperationError) -> None:
        super().__init__(reason.message)
        self.reason = reason


def _carry_out(session: Session, wanted: Operation[Any], call: HeldCall, approver: Caller) -> Any:
    """The result, with the rights the asker has by now. Raises _CannotBeDone."""
    try:
        asker = replace(_asker(call).in_project(call.project_id), approved_by=approver.actor)
        arguments = wanted.kept(call.arguments, call.password_hash)
        result = wanted.carry_out(session, asker, arguments)
        session.flush()
    except OperationError as error:
        raise _CannotBeDone(error) from error
    except IntegrityError as error:
        reason = conflict_of(error)
        if isinstance(reason, OperationError):
            raise _CannotBeDone(reason) from error
        raise
    return result


def _asker(call: HeldCall) -> Caller:
    if call.assistant_id is not None:
        return caller_of_assistant(call.assistant_id, call.address)
    return caller_of_token(call.token_id, call.address)


def _fail(caller: Caller, call_id: int, reason: OperationError) -> HeldCall:
    with write_transaction() as session:
        caller = _renewed(caller)
        call = _waiting(caller, call_id)
        _decide(call, caller, "failed")
        call.problem = f"{reason.message} ({reason.code})"[:1024]
        record(
            session,
            actor=caller.actor,
            address=caller.address,
            project_id=call.project_id,
            action="approve-call failed",
            object=str(call.id),
            given="call_id",
        )
    return call


def _without_link(result: Any) -> dict[str, Any]:
    """The answer to keep: a link is for who approved, and stands nowhere."""
    if isinstance(result, Linked):
        result = Changed(result.mailbox, result.sync)
    answer: dict[str, Any] = result.to_answer()
    return answer


def _decide(call: HeldCall, caller: Caller, state: str) -> None:
    call.state = state
    call.decided_at = clock.now()
    call.decided_by = caller.actor


def _waiting(caller: Caller, call_id: int) -> HeldCall:
    """A call that can be decided, its row locked: of two who decide, one comes too late."""
    query = select(HeldCall).where(HeldCall.id == call_id, HeldCall.project_id == caller.project_id)
    call: HeldCall | None = db.session.scalar(query.with_for_update())
    if call is None:
        raise NotFound("CALL_NOT_FOUND", "There is no such call in this project.")
    if not call.is_waiting:
        raise Conflict("CALL_DECIDED", "This was decided already, or it has waited too long.")
    return call


def _renewed(caller: Caller) -> Caller:
    _refuse_all_but_people(caller)
    return caller.renewed()


def _refuse_all_but_people(caller: Caller) -> None:
    if caller.person_id is None or caller.is_assistant:
        raise Forbidden("Only a person of the project can decide this, in the dashboard.")


@dataclass(frozen=True)
class Shown:
    """A held call as pages show it: what it is called, what it does, and who may approve it."""

    call: HeldCall
    title: str
    would: str
    is_for_admins: bool


def calls(caller: Caller, *, are_waiting: bool) -> list[Shown]:
    """The project's calls: those that wait, the oldest first, or the last that did."""
    waits = (HeldCall.state == "waiting") & (HeldCall.expires_at > clock.now())
    query = select(HeldCall).where(HeldCall.project_id == caller.project_id)
    query = (
        query.where(waits).order_by(HeldCall.id)
        if are_waiting
        else query.where(~waits).order_by(HeldCall.id.desc()).limit(SHOWN)
    )
    return [_shown(call) for call in db.session.scalars(query)]


def one(caller: Caller, call_id: int) -> Shown:
    """One call of the project, whatever became of it. Raises NotFound."""
    call = db.session.get(HeldCall, call_id)
    if call is None or call.project_id != caller.project_id:
        raise NotFound("CALL_NOT_FOUND", "There is no such call in this project.")
    return _shown(call)


def count(project_id: int) -> int:
    """How many calls of a project wait."""
    waits = (HeldCall.state == "waiting") & (HeldCall.expires_at > clock.now())
    query = select(func.count()).select_from(HeldCall)
    return db.session.scalar(query.where(HeldCall.project_id == project_id, waits)) or 0


def forget_old_calls() -> None:
    """Remove what was asked for a month ago; the audit log keeps what was done.

    The hash of a password tells apart calls that are the same; nobody asks when they are over.
    """
    before = clock.from_now(days=-KEPT_DAYS)
    is_over = HeldCall.created_at < clock.from_now(seconds=-2 * HELD_SECONDS)
    hashed = db.update(HeldCall).where(is_over, HeldCall.password_hash.is_not(None))
    with write_transaction() as session:
        session.execute(db.delete(HeldCall).where(HeldCall.created_at < before))
        session.execute(hashed.values(password_hash=None))


def _shown(call: HeldCall) -> Shown:
    wanted = OPERATIONS[call.operation]
    return Shown(call, wanted.title, would(wanted), wanted.who == "admin")
