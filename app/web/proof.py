"""Asking once more who somebody is, before what shows a secret or destroys something.

What was asked for is kept in the form that asks: its fields come along, with the password or a code
beside them, to the same address. So nothing is kept on the server, and nothing has to be typed
again. No form that is asked about here holds a secret.
"""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, request
from flask_login import current_user

from .. import sessions
from ..errors import OperationError
from .forms import ProofForm
from .pages import me, never_stored, render
from .passkeys import answer_of_device

_ITS_OWN = ("csrf_token", "proof", "passkey")


def require_proof() -> Any:
    """Before each view, after its access rule: whether it asks for a proof, and has one."""
    view = current_app.view_functions[request.endpoint or ""]
    if not getattr(view, "asks_for_proof", False) or current_user.is_proven:
        return None
    form = ProofForm()
    if "proof" not in request.form:
        return _ask(form, status=403)
    try:
        take_proof(form)
    except OperationError as error:
        form.refuse(error)
        return _ask(form, status=error.status)
    return None


def take_proof(form: ProofForm) -> None:
    """Prove who is signed in by the passkey, password or code of a form. Raises OperationError."""
    if request.form.get("passkey"):
        sessions.prove_by_passkey(me(), current_user.session_id, answer_of_device())
    else:
        sessions.prove(me(), current_user.session_id, form.proof.data or "")
    current_user.is_proven = True


def _ask(form: ProofForm, status: int) -> Response:
    kept = [
        (name, value)
        for name, value in request.form.items(multi=True)
        if name not in _ITS_OWN and name != "project"
    ]
    page = render(
        "proof/ask.html",
        part="proof/_ask.html",
        status=status,
        form=form,
        has_passkeys=current_user.has_passkeys,
        kept=kept,
        address=request.full_path.rstrip("?"),
        back=request.path if "GET" in _verbs() else None,
        asked_project=request.form.get("project", ""),
    )
    return never_stored(page)


def _verbs() -> set[str]:
    """The verbs by which this address answers."""
    return set(current_app.url_map.bind("").allowed_methods(request.path))
