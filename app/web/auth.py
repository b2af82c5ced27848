"""Signing in and out."""

from __future__ import annotations

from flask import (
    Blueprint,
    Response,
    abort,
    after_this_request,
    current_app,
    g,
    make_response,
    redirect,
    request,
    session,
    url_for,
)
from flask_login import current_user, login_user, logout_user
from werkzeug.urls import iri_to_uri

from .. import sessions
from ..credentials import BROWSER, is_well_formed, make
from ..errors import OperationError
from ..network import client_address
from .access import access, find_visitor, safe_target, send_to_sign_in
from .forms import CodeForm, SignInForm
from .pages import go, me, of_opener, render

bp = Blueprint("auth", __name__)

BROWSER_SECONDS = 180 * 24 * 3600
HALF = "half"  # in the cookie: the credential of half a session


@bp.get("/sign-in")
@access("everyone")
def sign_in() -> Response:
    """The sign-in page; somebody who is signed in already goes on."""
    target = safe_target(request.args.get("next"))
    if current_user.is_authenticated:
        return on_the_way(target, to(target))
    form = SignInForm(data={"next": target})
    page = render("auth/sign_in.html", form=form, expired="expired" in request.args)
    return on_the_way(target, page)


@bp.post("/sign-in")
@access("everyone")
def enter() -> Response:
    """Begin a session, and go where somebody wanted to be."""
    form = SignInForm()
    target = safe_target(form.next.data)
    try:
        begun = sessions.sign_in(form.email.data or "", form.password.data or "", **from_where())
    except OperationError as error:
        form.refuse(error)
        page = render("auth/sign_in.html", status=error.status, form=form)
        return on_the_way(target, page)
    return on_the_way(target, to(begin(begun, target)))


@bp.get("/sign-in/code")
@access("everyone")
def ask_code() -> Response:
    """Ask who has proven their password for a code."""
    target = safe_target(request.args.get("next"))
    if sessions.half_open(session.get(HALF, "")) is None:
        return on_the_way(target, to(url_for("auth.sign_in", next=target)))
    page = render("auth/code.html", form=CodeForm(data={"next": target}))
    return on_the_way(target, page)


@bp.post("/sign-in/code")
@access("everyone")
def finish() -> Response:
    """Make a session of the half one."""
    form = CodeForm()
    target = safe_target(form.next.data)
    try:
        credential = sessions.finish(session.get(HALF, ""), form.code.data or "", **from_where())
    except sessions.HalfOver:
        session.pop(HALF, None)
        return on_the_way(target, to(url_for("auth.sign_in", next=target, expired=1)))
    except OperationError as error:
        form.refuse(error)
        page = render("auth/code.html", status=error.status, form=form)
        return on_the_way(target, page)
    _enter(credential)
    return on_the_way(target, to(target))


@bp.post("/sign-out")
@access("person", without_two_factor=True)
def leave() -> Response:
    """End this session for good."""
    sessions.sign_out(me(), current_user.session_id)
    logout_user()
    session.clear()
    return go("auth.sign_in", said="You are signed out.")


def begin(begun: sessions.Begun, target: str) -> str:
    """Take over what was begun, and nothing of the browser's former session; where to go on."""
    session.clear()
    if begun.is_half:
        session[HALF] = begun.credential
        return url_for("auth.ask_code", next=target)
    _enter(begun.credential)
    return target


def remember_browser() -> None:
    """Have the browser come back with what it is recognised by."""
    after_this_request(_keep_browser)


def _enter(credential: str) -> None:
    session.clear()
    remember_browser()
    visitor = find_visitor(credential)
    if visitor is None:  # ended from elsewhere before it was ever used
        abort(send_to_sign_in())
    login_user(visitor)


def from_where() -> dict[str, str]:
    """Where the request came from, as a session keeps it."""
    return {
        "address": client_address(request),
        "user_agent": request.headers.get("User-Agent", ""),
        "browser": _browser(),
    }


def _browser() -> str:
    """What this browser is recognised by at its next sign-in; it opens nothing."""
    if "browser" not in g:
        kept = request.cookies.get(_cookie(), "")
        g.browser = kept if is_well_formed(kept, BROWSER) else make(BROWSER)
    name: str = g.browser
    return name


def _keep_browser(response: Response) -> Response:
    response.set_cookie(
        _cookie(),
        _browser(),
        max_age=BROWSER_SECONDS,
        secure=bool(current_app.config["SESSION_COOKIE_SECURE"]),
        httponly=True,
        samesite="Lax",
    )
    return response


def _cookie() -> str:
    return "__Host-browser" if current_app.config["SESSION_COOKIE_SECURE"] else "browser"


def on_the_way(target: str, response: Response) -> Response:
    """Whoever signs in to let an assistant in came in the window that it opened."""
    is_for_assistant = target.partition("?")[0] == "/oauth/authorize"
    return of_opener(response) if is_for_assistant else response


def to(target: str) -> Response:
    """To another page, the whole of it."""
    if "HX-Request" in request.headers:
        response = make_response("")
        response.headers["HX-Redirect"] = iri_to_uri(target)  # as redirect() writes its own header
        return response
    return make_response(redirect(target, 303))
