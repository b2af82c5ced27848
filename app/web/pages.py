"""Answering with pages: a whole page or the part that htmx asked for, errors, headers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from flask import (
    Flask,
    Response,
    abort,
    current_app,
    flash,
    g,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from markupsafe import Markup
from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from .. import clock
from ..addresses import domain_in_unicode
from ..caller import Caller
from ..database import is_unavailable
from ..envelope import allowed_methods, log_unforeseen
from ..errors import Busy, NoLongerYours, OperationError
from ..extensions import db, settings
from ..models import Mailbox, Project
from ..operations import approvals, browse
from ..passkeys import relying_party
from .access import project_of

THEMES = ("", "light", "dark")


def me() -> Caller:
    """Who is looking; for views that `everyone` may not see."""
    caller: Caller = g.caller
    return caller


def my_project() -> Caller:
    """Who is looking, in a project; without one there is nothing to see but how to get one."""
    if me().project_id is None:
        if request.method == "POST":
            raise NoLongerYours
        abort(render("overview/no_project.html"))
    return me()


def render(template: str, /, part: str | None = None, status: int = 200, **values: Any) -> Response:
    """A page, or its part when htmx asks for a part. Only here is a header of htmx read."""
    wants_part = part and request.headers.get("HX-Request-Type") == "partial"
    response = make_response(render_template(part if part and wants_part else template, **values))
    response.status_code = status
    return response


def go(endpoint: str, said: str | None = None, **values: Any) -> Response:
    """On to another page after something was done, which is said there."""
    if said:
        flash(said)
    address = url_for(endpoint, **values)
    if "HX-Request" in request.headers:
        response = make_response("")
        response.headers["HX-Redirect"] = address
        return response
    return make_response(redirect(address, 303))


def of_opener(response: Response) -> Response:
    """A page on the way to an assistant and back, in the window that the assistant opened.

    Otherwise the browser cuts the two apart, and the assistant never hears how it ended.
    https://html.spec.whatwg.org/multipage/browsers.html#cross-origin-opener-policies
    """
    response.headers["Cross-Origin-Opener-Policy"] = "unsafe-none"
    return response


def never_stored(response: Response) -> Response:
    """A page with a secret, if only a suggested one: no cache may keep it."""
    response.headers["Cache-Control"] = "no-store"
    return response


def finish(response: Response) -> Response:
    """The headers of every page."""
    headers = response.headers
    headers.setdefault("Cache-Control", "private, no-cache")
    headers.setdefault("Vary", "HX-Request, HX-Request-Type, Cookie")
    if retry_after := g.get("retry_after"):  # a form that shows a refusal, in the words of HTTP
        headers.setdefault("Retry-After", str(retry_after))
    return response


def answer_error(error: Exception) -> Any:
    """A page for whatever went wrong, in the same look."""
    if isinstance(error, HTTPException) and error.response is not None:
        return error.response  # somebody aborted with a page of their own
    if is_unavailable(error):
        error = Busy("The database cannot be reached at this moment; try again.")
    status, title, message = _explained(error)
    if status >= 500:
        g.caller = None  # the frame asks the database, which may be what failed
    if status >= 500 and not isinstance(error, OperationError):
        message = f"{message} The reference is {log_unforeseen(error)}."
    try:
        db.session.rollback()  # on PostgreSQL a transaction that failed answers nothing more
        page = render_template("error.html", title=title, message=message)
    except (SQLAlchemyError, OperationError) as fault:
        if status >= 500:
            raise
        return answer_error(fault)
    response = make_response(page, status)
    if isinstance(error, OperationError):
        g.retry_after = error.retry_after
    if isinstance(error, HTTPException) and (allowed := allowed_methods(error)):
        response.headers["Allow"] = allowed
    if "X-Poll" in request.headers:
        response.headers["HX-Reswap"] = "none"  # a line of a page is no place for another page
    return finish(response)


def _explained(error: Exception) -> tuple[int, str, str]:
    if isinstance(error, OperationError):
        return error.status, "That did not work", error.message
    if isinstance(error, CSRFError):
        return 400, "This page was open too long", "Nothing was changed. Load it again and repeat."
    status = error.code if isinstance(error, HTTPException) and error.code else 500
    title, message = {
        403: ("This is for admins", "Your account may not see this page."),
        404: ("There is nothing here", "The page does not exist, or is not yours to see."),
        405: ("That cannot be done here", "Go back and use the buttons of the page."),
        413: ("That was too much", "The form is larger than what can be read here."),
    }.get(status, ("Something went wrong", "Nothing was changed. Try again in a moment."))
    return status, title, message


def offer_to_templates(app: Flask) -> None:
    """What every template can use."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_null_translations(newstyle=True)  # type: ignore[attr-defined]
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals.update(
        icon=icon, asset=asset, ago=ago, size=size, in_unicode=domain_in_unicode
    )
    with app.app_context():
        app.jinja_env.globals["offers_passkeys"] = relying_party() is not None
    app.context_processor(_frame)


def _frame() -> dict[str, Any]:
    """What the frame around a page shows, for who is signed in."""
    if not g.get("caller") or not current_user.is_authenticated:
        return {"caller": None, "theme": theme(), "layout": "entry.html"}
    caller = me()
    if current_user.must_set_up:  # nothing is theirs to see yet
        return {
            "caller": None,
            "person": current_user.person,
            "theme": theme(),
            "layout": "entry.html",
            "must_set_up": True,
        }
    project = project_of(caller)
    return {
        "layout": "base.html",
        "caller": caller,
        "person": current_user.person,
        "project": project,
        "awaited": approvals.count(project.id) if project and project.needs_approval else 0,
        "projects": _projects(caller),
        "down": browse.nodes_down(caller) if caller.is_admin else 0,
        "theme": theme(),
    }


def _projects(caller: Caller) -> Sequence[Project]:
    """The projects read before the view; a change has dropped them, then once more by one query."""
    kept: Sequence[Project] = g.projects
    return browse.projects(caller) if kept and inspect(kept[0]).expired else kept


def theme() -> str:
    """The chosen theme; "" follows the device."""
    chosen = request.cookies.get("theme", "")
    return chosen if chosen in THEMES else ""


def icon(name: str) -> Markup:
    """An icon of the sprite; what it means is said in words beside it."""
    return _drawn(asset("icons.svg"), name)


@cache
def _drawn(sprite: str, name: str) -> Markup:
    text = Markup('<svg class="icon" aria-hidden="true"><use href="{}#{}"/></svg>')
    return text.format(sprite, name)


def asset(name: str) -> str:
    """The address of a static file; it changes with the file, so it can be cached for a year."""
    return _address(str(current_app.static_folder), name)


@cache
def _address(folder: str, name: str) -> str:
    content = Path(folder, name).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"


def ago(moment: str | None) -> Markup:
    """A moment in words, with the exact time at hand."""
    if moment is None:
        return Markup("never")
    seconds = clock.seconds_since(moment)
    # A moment in 90 days is that still a minute later.
    words = _in_words(seconds if seconds >= 0 else 60 - seconds)
    text = words if words == "just now" else f"{words} ago" if seconds >= 0 else f"in {words}"
    exact = moment.replace("T", " ").replace("Z", " UTC")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(moment, exact, text)


def size(count: int) -> str:
    """Bytes in words, in the units that quotas are given in: 1 MB is 2^20 bytes."""
    megabytes = count / 2**20
    if megabytes < 1:
        return "0 MB" if count == 0 else "under 1 MB"
    return f"{megabytes:,.0f} MB" if megabytes < 10_240 else f"{megabytes / 1024:,.1f} GB"


def _in_words(seconds: float) -> str:
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return "just now"


def set_up_values(caller: Caller, mailbox: Mailbox) -> dict[str, Any]:
    """What a mail program asks for, for the part of a page that shows it: the home's, if any."""
    host = browse.home_host(caller, mailbox.domain) or settings.mail_host
    return {"mail_host": host, "demo_imap_port": settings.demo_imap_port}
