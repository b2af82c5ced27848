"""Signing in and out, and the one-time link by which somebody chooses a password."""

from __future__ import annotations

from flask import Blueprint, Response, abort, make_response, redirect, request, session
from flask_login import current_user, login_user, logout_user

from .. import sessions
from ..errors import OperationError
from ..network import client_address
from ..operations.access import accept_welcome, welcomed
from .access import access, find_visitor, safe_target, send_to_sign_in
from .forms import SignInForm, WelcomeForm
from .pages import go, me, never_stored, render

bp = Blueprint("auth", __name__)


@bp.get("/sign-in")
@access("everyone")
def sign_in() -> Response:
    """The sign-in page; somebody who is signed in already goes on."""
    target = safe_target(request.args.get("next"))
    if current_user.is_authenticated:
        return _to(target)
    form = SignInForm(data={"next": target})
    return render("auth/sign_in.html", form=form, expired="expired" in request.args)


@bp.post("/sign-in")
@access("everyone")
def enter() -> Response:
    """Begin a session, and go where somebody wanted to be."""
    form = SignInForm()
    try:
        credential = sessions.sign_in(form.email.data or "", form.password.data or "", **_where())
    except OperationError as error:
        form.refuse(error)
        return render("auth/sign_in.html", status=error.status, form=form)
    _begin(credential)
    return _to(safe_target(form.next.data))


@bp.post("/sign-out")
@access("person")
def leave() -> Response:
    """End this session for good."""
    sessions.sign_out(me(), current_user.session_id)
    logout_user()
    session.clear()
    return go("auth.sign_in", said="You are signed out.")


@bp.get("/welcome/<token>")
@access("everyone")
def welcome(token: str) -> Response:
    """The page of a one-time link."""
    person = welcomed(token)
    if person is None:
        return render("auth/welcome_over.html", status=404)
    return never_stored(render("auth/welcome.html", form=WelcomeForm(), email=person.email))


@bp.post("/welcome/<token>")
@access("everyone")
def choose_password(token: str) -> Response:
    """Take the chosen password; the link is used up and its owner is signed in."""
    form = WelcomeForm()
    person = welcomed(token)
    if person is None:
        return render("auth/welcome_over.html", status=404)
    try:
        caller = sessions.by_link(person, client_address(request))
        accept_welcome(caller, token=token, password=form.password.data or "")
    except OperationError as error:
        form.refuse(error)
        page = render("auth/welcome.html", status=error.status, form=form, email=person.email)
        return never_stored(page)
    _begin(sessions.begin_for(person, **_where()))
    return go("overview.index", said="Your password is set. You are signed in.")


def _begin(credential: str) -> None:
    """Take over the new session; nothing of the browser's former one is kept."""
    session.clear()
    visitor = find_visitor(credential)
    if visitor is None:  # ended from elsewhere before it was ever used
        abort(send_to_sign_in())
    login_user(visitor)


def _where() -> dict[str, str]:
    return {
        "address": client_address(request),
        "user_agent": request.headers.get("User-Agent", ""),
    }


def _to(target: str) -> Response:
    if "HX-Request" in request.headers:
        response = make_response("")
        response.headers["HX-Redirect"] = target
        return response
    return make_response(redirect(target, 303))
