"""Where a person is asked whether an assistant may work for them: OAuth's authorization endpoint.

Who lets one in gives away what a token would: so they prove who they are, if they have not lately.
The page asks for that itself, since only it may lead back to the client (form-action, below).

What the assistant says of itself is shown as its own word. A forged page cannot press the button:
the form carries a token, and no other site may frame it.
"""

from __future__ import annotations

from flask import Blueprint, Response, make_response, redirect, request
from flask_login import current_user

from ..authorization import (
    Asked,
    CannotAsk,
    is_document,
    origin_of,
    read_request,
    resource,
    whereabouts,
)
from ..errors import OperationError
from ..operations import OPERATIONS, browse
from .access import access
from .forms import ConsentForm
from .pages import me, never_stored, of_opener, render
from .proof import take_proof
from .searches import number_of

EVERYWHERE = "all"  # of an admin: every project, and what admins do

bp = Blueprint("consent", __name__, url_prefix="/oauth/authorize")


@bp.get("")
@access("person")
def ask() -> Response:
    """Ask, or say why not."""
    try:
        asked = read_request(request.args, current_user.person.id)
    except CannotAsk as error:
        return _cannot_ask(error)
    caller = me()
    form = ConsentForm(formdata=None, data={"reach": caller.project_id, "may": asked.scope})
    return _page(asked, form)


@bp.post("")
@access("person")
def decide() -> Response:
    """Do as the person decided, and send them back with it."""
    try:
        asked = read_request(request.args, current_user.person.id)
    except CannotAsk as error:
        return _cannot_ask(error)
    form = ConsentForm()
    if request.form.get("answer") != "allow":
        return _back(asked, asked.refused())
    if not current_user.is_proven and "proof" not in request.form:
        return _page(asked, form, status=403)
    reach = {} if form.reach.data == EVERYWHERE else {"project_id": number_of(form.reach.data)}
    try:
        if not current_user.is_proven:
            take_proof(form)
        code = OPERATIONS["connect-assistant"](
            me(),
            client=asked.client_id,
            scope="read" if asked.scope == "read" else form.may.data or "",
            redirect_uri=asked.redirect_uri,
            challenge=asked.challenge,
            resource=resource(),
            **reach,
        )
    except OperationError as error:
        form.refuse(error)
        return _page(asked, form, status=error.status)
    return _back(asked, asked.allowed(code))


@bp.after_request
def keep_opener(response: Response) -> Response:
    """As `of_opener` says."""
    return of_opener(response)


def _page(asked: Asked, form: ConsentForm, status: int = 200) -> Response:
    caller = me()
    projects = browse.projects(caller)
    form.reach.choices = [(str(one.id), one.name) for one in projects]
    if caller.is_admin:
        form.reach.choices.append((EVERYWHERE, "Every project, and what admins do"))
    page = render(
        "consent/ask.html",
        status=status,
        asked=asked,
        form=form,
        asks_for_proof=bool(form.reach.choices) and not current_user.is_proven,
        has_passkeys=current_user.has_passkeys,
        whereabouts=whereabouts(asked.redirect_uri),
        document_host=whereabouts(asked.client_id) if is_document(asked.client_id) else "",
    )
    return _for_client(asked, page)


def _back(asked: Asked, address: str) -> Response:
    return _for_client(asked, make_response(redirect(address, 303)))


def _for_client(asked: Asked, response: Response) -> Response:
    """A browser follows a form's redirect only to where the page with the form allows it to."""
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; "  # a passkey begins with a question to the panel
        f"form-action 'self' {origin_of(asked.redirect_uri)}; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    return never_stored(response)


def _cannot_ask(error: CannotAsk) -> Response:
    """Say so, and leave it to the person to go back to the client with it.

    Anybody can register a client: a wrong request that is sent on by itself would make of the
    panel's address a way to any other (RFC 9700, section 4.11.2).
    """
    where = whereabouts(error.answer) if error.answer else ""
    page = render(
        "consent/cannot_ask.html", status=400, problem=str(error), answer=error.answer, where=where
    )
    return never_stored(page)
