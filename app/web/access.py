"""Who is looking, and whether this page is for them.

A view without an access rule answers nobody: `doors` sees to that, and a test finds it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from flask import (
    Response,
    abort,
    current_app,
    g,
    make_response,
    redirect,
    request,
    session,
    url_for,
)
from flask_login import UserMixin, current_user

from .. import sessions
from ..caller import Caller
from ..errors import NotFound
from ..extensions import db, login_manager
from ..models import Project
from ..network import client_address
from ..operations import browse
from .searches import whole

Rule = Literal["everyone", "person", "admin"]
View = TypeVar("View", bound=Callable[..., Any])


class Visitor(UserMixin):  # type: ignore[misc]  # Flask-Login ships no types
    """A person signed in at this browser."""

    def __init__(self, found: sessions.Found, credential: str) -> None:
        self.person = found.person
        self.session_id = found.session_id
        self.is_proven = found.is_proven
        self.has_two_factor = found.has_two_factor
        self.has_passkeys = found.has_passkeys
        self.must_set_up = found.must_set_up
        self.is_two_factor_demanded = found.is_demanded
        self.credential = credential

    def get_id(self) -> str:
        """What Flask-Login keeps in the cookie: the session's credential, not the person's id."""
        return self.credential


def access(
    rule: Rule, *, asks_for_proof: bool = False, without_two_factor: bool = False
) -> Callable[[View], View]:
    """Say who may see a view.

    One that `asks_for_proof` does what it does for who has lately proven who they are (see
    `proof`); it answers POST. `without_two_factor` is for what is open to who still has to set it
    up: nothing else is.
    """

    def mark(view: View) -> View:
        view.access = rule  # type: ignore[attr-defined]
        view.asks_for_proof = asks_for_proof  # type: ignore[attr-defined]
        view.without_two_factor = without_two_factor  # type: ignore[attr-defined]
        return view

    return mark


def require_access() -> Any:
    """Before each view: let in whom its rule lets in, and set `g.caller`."""
    view = current_app.view_functions[request.endpoint or ""]
    rule: Rule = vars(view)["access"]
    g.caller = None
    if current_user.is_authenticated:
        g.caller = _in_chosen_project(
            sessions.caller_of(current_user.person, client_address(request))
        )
    if rule == "everyone":
        return None
    if g.caller is None:
        return login_manager.unauthorized()
    if current_user.must_set_up and not getattr(view, "without_two_factor", False):
        return _send(url_for("two_factor.index"))
    if rule == "admin" and not g.caller.is_admin:
        abort(403)
    return None


def find_visitor(credential: str) -> Visitor | None:
    """Who a cookie belongs to; None once its session has ended."""
    found = sessions.find(credential, is_use="X-Poll" not in request.headers)
    if found is None:
        return None
    return Visitor(found, credential)


def send_to_sign_in() -> Response:
    """To the sign-in page, and from there back to where somebody was."""
    if "HX-Request" in request.headers:
        # fetch would follow a redirect and put the sign-in page into a table.
        target = _path_of(request.headers.get("HX-Current-URL", ""))
        response = make_response("", 401)
        response.headers["HX-Redirect"] = url_for("auth.sign_in", next=target, expired=1)
        return response
    target = request.full_path.rstrip("?") if request.method == "GET" else "/"
    back = None if target == "/" else target
    return make_response(redirect(url_for("auth.sign_in", next=back), 303))


def _path_of(address: str) -> str:
    try:
        return urlsplit(address).path or "/"
    except ValueError:
        return "/"


def _send(address: str) -> Response:
    """To another page, the whole of it, whatever part of a page was asked for."""
    if "HX-Request" in request.headers:
        response = make_response("", 403)
        response.headers["HX-Redirect"] = address
        return response
    return make_response(redirect(address, 303))


def safe_target(target: str | None) -> str:
    """Where to go after signing in: a path of ours, never another site (`//evil`, `/\\evil`)."""
    is_ours = (
        target is not None
        and target.startswith("/")
        and not target.startswith("//")
        and target.isprintable()
        and "\\" not in target
    )
    return target if is_ours and target else "/"


def _in_chosen_project(caller: Caller) -> Caller:
    """The caller in the project of `?project=`, else the remembered one, else the first.

    A form acts in the project of the page it was on, whatever was chosen in another tab since; in
    none, when it names none or that is no longer one of theirs.
    """
    g.projects = browse.projects(caller)
    is_form = request.method == "POST"
    # The address of the question whether to let a program in was made up by that program.
    asked = "" if request.blueprint == "consent" else request.args.get("project", "")
    typed = [asked, str(session.get("project", ""))]
    if is_form:
        typed = [request.form.get("project", "")]
    for text in filter(None, typed):
        with suppress(NotFound):
            return _remembered(caller.in_project(whole(text, 0)))
    if g.projects and not is_form:
        return caller.in_project(g.projects[0].id)
    return caller


def _remembered(caller: Caller) -> Caller:
    session["project"] = caller.project_id
    return caller


def project_of(caller: Caller) -> Project | None:
    """The project a caller acts in."""
    return db.session.get(Project, caller.project_id) if caller.project_id else None
