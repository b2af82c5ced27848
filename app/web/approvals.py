"""What assistants may not do without a person: approve it, refuse it, or make them ask."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request

from ..errors import Forbidden, NoLongerYours, NotFound, OperationError
from ..fields import MAX_ID
from ..operations import OPERATIONS, approvals
from .access import access
from .pages import go, my_project, never_stored, render

bp = Blueprint("approvals", __name__, url_prefix="/approvals")


@bp.get("")
@access("person")
def index() -> Response:
    """What waits, what was decided, and whether assistants have to ask."""
    caller = my_project()
    return render(
        "approvals/index.html",
        waiting=approvals.calls(caller, are_waiting=True),
        decided=approvals.calls(caller, are_waiting=False),
    )


@bp.get("/<int:call_id>")
@access("person")
def show(call_id: int) -> Response:
    """One call, whatever became of it."""
    return _page(call_id)


@bp.post("/<int:call_id>/approve")
@access("person", asks_for_proof=True)
def approve(call_id: int) -> Response:
    """Do it; a link that was made by it is shown once."""
    try:
        done = approvals.approve_call(my_project(), _id(call_id))
    except OperationError as error:
        return _refused(call_id, error)
    if done.link:
        page = render("approvals/link.html", call=done.call, link=done.link)
        return never_stored(page)
    if done.call.state == "failed":
        return _page(call_id, status=409, problem=done.call.problem or "")
    return go("approvals.index", said="It is done.")


@bp.post("/<int:call_id>/refuse")
@access("person")
def refuse(call_id: int) -> Response:
    """Do not do it."""
    try:
        OPERATIONS["refuse-call"](my_project(), call_id=_id(call_id))
    except OperationError as error:
        return _refused(call_id, error)
    return go("approvals.index", said="It is refused; nothing was changed.")


@bp.post("/setting")
@access("person")
def change_setting() -> Response:
    """Say whether assistants have to ask."""
    choices = {"on": True, "off": False}
    if request.form.get("ask") not in choices:
        abort(400)
    wanted = choices[request.form["ask"]]
    OPERATIONS["update-approval"](my_project(), needs_approval=wanted)
    said = "Assistants have to ask from now on." if wanted else "Assistants no longer have to ask."
    return go("approvals.index", said=said)


def _refused(call_id: int, error: OperationError) -> Response:
    if isinstance(error, Forbidden | NotFound | NoLongerYours):
        raise error
    return _page(call_id, status=error.status, problem=error.message)


def _page(call_id: int, status: int = 200, problem: str = "") -> Response:
    shown = approvals.one(my_project(), _id(call_id))
    return render("approvals/show.html", status=status, shown=shown, problem=problem)


def _id(call_id: int) -> int:
    return call_id if 0 < call_id <= MAX_ID else abort(404)
