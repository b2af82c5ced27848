"""Holding what an assistant asked for until a person has approved it.

A project can ask for that. It then holds what takes something away, and any change beyond 20 in ten
minutes by one of them: that is bulk. Only assistants are held: they are talked into things, which a
program with a token for the JSON API is not.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from .. import clock
from ..caller import Caller
from ..database import write_transaction
from ..errors import Busy, Conflict
from ..extensions import db, settings
from ..models import Domain, HeldCall, Project
from ..passwords import NewPassword
from ..throttle import is_one_of_many
from .answers import HeldAnswer, HeldFields, LinkAnswer

if TYPE_CHECKING:
    from .operation import Operation

HELD_SECONDS = 24 * 3600  # how long a person has, and how long a refusal or an outcome is told
MAX_WAITING = 200  # calls of one project; a person cannot look through more

_MESSAGES = {
    "waiting": "Nothing has been done yet. This project wants a person to approve it: hand over "
    "the link, and make the same call again later to learn what became of it.",
    "approved": "It was approved and done.",
    "failed": "It was approved, but could not be done, and nothing was changed: ",
    "refused": "A person refused it, and nothing was changed. Do not ask again.",
}


@dataclass
class Held:
    """A held call, as the assistant that made it is told of it."""

    call: HeldCall
    operation: Operation[Any]

    def to_answer(self) -> HeldAnswer:
        """That nothing has been done, or what has become of it."""
        call, message = self.call, _MESSAGES[self.call.state] + (self.call.problem or "")
        if call.state == "approved" and self.operation.answers is LinkAnswer:
            message += " The link was shown to who approved it, to be handed over."
        fields: HeldFields = {
            "done": call.state == "approved",
            "state": call.state,  # type: ignore[typeddict-item]  # the table allows no other
            "message": message,
            "would": would(self.operation),
            "given": call.arguments,
            "url": f"{settings.public_url}/approvals/{call.id}?project={call.project_id}",
            "expires_at": call.expires_at,
        }
        if call.decided_by:
            fields["decided_by"] = call.decided_by
        if call.answer is not None:
            fields["result"] = call.answer
        return {"approval": fields}


def project_that_decides(
    operation: Operation[Any], caller: Caller, arguments: dict[str, Any]
) -> int | None:
    """The project whose people have to approve an assistant's call; None when it may be done."""
    if not operation.may_be_held:
        return None
    project_id = caller.project_id
    if operation.who == "admin":
        name = arguments["domain"]
        project_id = db.session.scalar(select(Domain.project_id).where(Domain.name == name))
    project = db.session.get(Project, project_id) if project_id else None
    if project is None or not project.needs_approval:
        return None
    is_held = operation.takes_away(caller, arguments) or is_one_of_many(_asker(caller), project.id)
    return project.id if is_held else None


def known(operation: Operation[Any], caller: Caller, arguments: dict[str, Any]) -> Held | None:
    """The same call of before, while it waits or its outcome is news; None: it is a new one.

    Asked before anything else: once it is done, the same call may well be refused.
    """
    call = _latest(operation, caller, arguments) if operation.may_be_held else None
    if call is None:
        return None
    if call.state in ("approved", "failed"):
        _note_told(call)
    return Held(call, operation)


def hold(
    operation: Operation[Any], caller: Caller, arguments: dict[str, Any], project_id: int
) -> Held:
    """Keep a call that `known` did not know. Raises Conflict, Busy."""
    chosen = arguments.get("password")
    call = HeldCall(
        project_id=project_id,
        token_id=caller.token_id,
        assistant_id=caller.assistant_id,
        actor=caller.actor,
        address=caller.address,
        operation=operation.name,
        arguments=_as_json(arguments),
        password_hash=chosen.hash(settings.mailbox_bcrypt_cost) if chosen else None,
        fingerprint=_fingerprint(operation, caller, arguments),
        expires_at=clock.from_now(seconds=HELD_SECONDS),
    )
    with write_transaction() as session:
        session.execute(select(Project.id).where(Project.id == project_id).with_for_update())
        _make_room(call)
        session.add(call)
    return Held(call, operation)


def would(operation: Operation[Any]) -> str:
    """What an operation does, in a few sentences."""
    return " ".join(operation.description.split("\n\n")[0].split())


def _make_room(call: HeldCall) -> None:
    """The same call with another password takes the place of the one before."""
    waiting = (
        HeldCall.project_id == call.project_id,
        HeldCall.state == "waiting",
        HeldCall.expires_at > clock.now(),
    )
    alike = db.session.scalars(
        select(HeldCall).where(*waiting, HeldCall.fingerprint == call.fingerprint)
    ).all()
    if alike and call.password_hash is None:
        raise Busy("The same call was made at this very moment; make it again.", retry_after=1)
    for one in alike:
        db.session.delete(one)
    db.session.flush()
    count = db.session.scalar(select(db.func.count()).select_from(HeldCall).where(*waiting)) or 0
    if count >= MAX_WAITING:
        raise Conflict(
            "APPROVALS_FULL",
            f"{count} calls of this project wait for a person already.",
            recovery="Let a person of the project look through them first.",
        )


def _latest(
    operation: Operation[Any], caller: Caller, arguments: dict[str, Any]
) -> HeldCall | None:
    """The same call of before, if there is anything to tell of it."""
    fingerprint = _fingerprint(operation, caller, arguments)
    call: HeldCall | None = db.session.scalar(
        select(HeldCall)
        .where(HeldCall.fingerprint == fingerprint)
        .order_by(HeldCall.id.desc())
        .limit(1)
    )
    if call is None or call.told_at or _is_old(call):
        return None
    chosen = arguments.get("password")
    if isinstance(chosen, NewPassword) and not chosen.is_behind(call.password_hash or ""):
        return None
    return call


def _is_old(call: HeldCall) -> bool:
    if call.state == "waiting" or call.decided_at is None:
        return call.expires_at <= clock.now()
    return clock.seconds_since(call.decided_at) > HELD_SECONDS


def _note_told(call: HeldCall) -> None:
    """An outcome is told once: who calls again after that, means it anew."""
    with write_transaction() as session:
        told = db.update(HeldCall).where(HeldCall.id == call.id)
        session.execute(told.values(told_at=clock.now()))


def _asker(caller: Caller) -> str:
    """With what an assistant asks: one that a person let in, or an API token."""
    if caller.assistant_id is not None:
        return f"assistant {caller.assistant_id}"
    return f"token {caller.token_id}"


def _as_json(arguments: dict[str, Any]) -> dict[str, Any]:
    """The values as they came, without a password."""
    return {
        name: value if isinstance(value, bool | int) else str(value)
        for name, value in arguments.items()
        if value is not None and not isinstance(value, NewPassword)
    }


def _fingerprint(operation: Operation[Any], caller: Caller, arguments: dict[str, Any]) -> str:
    project_id = caller.project_id if operation.who == "project" else None
    same = [_asker(caller), project_id, operation.name, _as_json(arguments)]
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()
