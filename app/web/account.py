"""One's own account: password, sessions, and how the pages look."""

from __future__ import annotations

from flask import Blueprint, Response, abort, current_app, request
from flask_login import current_user

from .. import passkeys, places, sessions
from ..errors import OperationError
from ..models import Passkey
from ..operations import OPERATIONS
from ..operations.assistants import connected
from .access import access
from .browsers import in_words
from .forms import OwnPasswordForm
from .pages import THEMES, go, me, render

bp = Blueprint("account", __name__, url_prefix="/account")

YEAR = 365 * 24 * 3600


@bp.get("")
@access("person")
def index() -> Response:
    """Who one is, and what can be changed of it."""
    return _page(OwnPasswordForm(formdata=None))


@bp.post("/password")
@access("person")
def edit_password() -> Response:
    """Change the own password; it ends all other sessions."""
    form = OwnPasswordForm()
    try:
        OPERATIONS["change-own-password"](
            me(),
            present=form.present.data or "",
            password=form.password.data or "",
            keep=current_user.session_id,
        )
    except OperationError as error:
        form.refuse(error)
        return _page(form, status=error.status)
    return go(
        "account.index",
        said="Your password is changed. All other sessions are ended, and assistants disconnected.",
    )


@bp.post("/sessions/<int:session_id>/end")
@access("person")
def end_session(session_id: int) -> Response:
    """End one of the other sessions."""
    OPERATIONS["end-session"](me(), session_id=session_id)
    return go("account.index", said="The session is ended.")


@bp.post("/sessions/end-others")
@access("person")
def end_others() -> Response:
    """End all sessions but this one."""
    OPERATIONS["end-other-sessions"](me(), keep=current_user.session_id)
    return go("account.index", said="All other sessions are ended.")


@bp.post("/sign-ins/confirm")
@access("person")
def confirm_places() -> Response:
    """Say that it was oneself who signed in from somewhere new."""
    sessions.confirm_places(me())
    return go("account.index")


@bp.post("/assistants/<int:assistant_id>/disconnect")
@access("person")
def disconnect(assistant_id: int) -> Response:
    """End what an assistant may do."""
    client = OPERATIONS["disconnect-assistant"](me(), assistant_id=assistant_id)
    return go("account.index", said=f"{client.name} is disconnected.")


@bp.post("/theme")
@access("person")
def choose_theme() -> Response:
    """Keep the chosen theme in a cookie; without one the device decides."""
    chosen = request.form.get("theme", "")
    if chosen not in THEMES:
        abort(400)
    response = go("account.index")
    response.set_cookie(
        "theme",
        chosen,
        max_age=YEAR if chosen else 0,
        secure=bool(current_app.config["SESSION_COOKIE_SECURE"]),
        httponly=True,
        samesite="Lax",
    )
    return response


def _page(form: OwnPasswordForm, status: int = 200) -> Response:
    return render(
        "account/index.html",
        status=status,
        form=form,
        has_two_factor=current_user.has_two_factor,
        news=places.news_of(current_user.person.id),
        copied=_copied(),
        here=current_user.session_id,
        assistants=connected(me()),
        web_sessions=sessions.of_person(current_user.person.id),
        in_words=in_words,
    )


def _copied() -> list[Passkey]:
    """Their passkeys of which a copy was found out, and which they have not seen yet."""
    if not current_user.has_passkeys:
        return []
    return [one for one in passkeys.of_person(current_user.person.id) if one.copied_at]
