"""Signing in and out."""

from __future__ import annotations

from flask import Blueprint, Response, abort, make_response, redirect, request, session
from flask_login import current_user, login_user, logout_user

from .. import sessions
from ..errors import OperationError
from ..network import client_address
from .access import access, find_visitor, safe_target, send_to_sign_in
from .forms import SignInForm
from .pages import go, me, of_opener, render

bp = Blueprint("auth", __name__)


@bp.get("/sign-in")
@access("everyone")
def sign_in() -> Response:
    """The sign-in page; somebody who is signed in already goes on."""
    target = safe_target(request.args.get("next"))
    if current_user.is_authenticated:
        return _on_the_way(target, _to(target))
    form = SignInForm(data={"next": target})
    page = render("auth/sign_in.html", form=form, expired="expired" in request.args)
    return _on_the_way(target, page)


@bp.post("/sign-in")
@access("everyone")
def enter() -> Response:
    """Begin a session, and go where somebody wanted to be."""
    form = SignInForm()
    target = safe_target(form.next.data)
    try:
        credential = sessions.sign_in(
            form.email.data or "", form.password.data or "", **from_where()
        )
    except OperationError as error:
        form.refuse(error)
        page = render("auth/sign_in.html", status=error.status, form=form)
        return _on_the_way(target, page)
    begin(credential)
    return _on_the_way(target, _to(target))


@bp.post("/sign-out")
@access("person")
def leave() -> Response:
    """End this session for good."""
    sessions.sign_out(me(), current_user.session_id)
    logout_user()
    session.clear()
    return go("auth.sign_in", said="You are signed out.")


def begin(credential: str) -> None:
    """Take over the new session; nothing of the browser's former one is kept."""
    session.clear()
    visitor = find_visitor(credential)
    if visitor is None:  # ended from elsewhere before it was ever used
        abort(send_to_sign_in())
    login_user(visitor)


def from_where() -> dict[str, str]:
    """Where the request came from, as a session keeps it."""
    return {
        "address": client_address(request),
        "user_agent": request.headers.get("User-Agent", ""),
    }


def _on_the_way(target: str, response: Response) -> Response:
    """Whoever signs in to let an assistant in came in the window that it opened."""
    is_for_assistant = target.partition("?")[0] == "/oauth/authorize"
    return of_opener(response) if is_for_assistant else response


def _to(target: str) -> Response:
    if "HX-Request" in request.headers:
        response = make_response("")
        response.headers["HX-Redirect"] = target
        return response
    return make_response(redirect(target, 303))
