"""The page of a one-time link: somebody chooses the password of a person or of a mailbox.

It is for who is signed out. Looking at it uses nothing up, since programs that check mail look at
links too; only the form does. Links that were used, replaced or revoked, are too old or never were,
are all answered alike.
"""

from __future__ import annotations

from flask import Blueprint, Response, flash, make_response, redirect, request

from .. import sessions
from ..caller import Caller
from ..errors import NotFound, OperationError
from ..models import Mailbox, Person
from ..network import client_address
from ..operations.access import accept_welcome, welcomed
from ..operations.links import accept_password_link, linked
from ..passwords import generate
from ..throttle import take_wrong_link
from .access import access
from .auth import begin, from_where
from .forms import PasswordForm, WelcomeForm
from .pages import never_stored, render, set_up_values

bp = Blueprint("welcome", __name__)


@bp.get("/welcome/<token>")
@access("everyone")
def show(token: str) -> Response:
    """The page of a link, for whoever it is."""
    if person := welcomed(token):
        return _page_of_person(person, WelcomeForm())
    if mailbox := linked(token):
        return _page_of_owner(mailbox, PasswordForm(data={"password": generate()}))
    return _over()


@bp.post("/welcome/<token>")
@access("everyone")
def choose(token: str) -> Response:
    """Take the chosen password; the link is used up."""
    if person := welcomed(token):
        return _choose_for_person(person, token)
    if mailbox := linked(token):
        return _choose_for_mailbox(mailbox, token)
    return _over()


def _choose_for_person(person: Person, token: str) -> Response:
    """They are signed in at once."""
    form = WelcomeForm()
    try:
        caller = sessions.by_link(person, client_address(request))
        accept_welcome(caller, token=token, password=form.password.data or "")
    except NotFound:
        return _over()
    except OperationError as error:
        form.refuse(error)
        return _page_of_person(person, form, error.status)
    begun = sessions.begin_for(person, **from_where())
    target = begin(begun, "/")
    flash("Your password is set." if begun.is_half else "Your password is set. You are signed in.")
    return make_response(redirect(target, 303))


def _choose_for_mailbox(mailbox: Mailbox, token: str) -> Response:
    """They are shown once what their mail program asks for."""
    form = PasswordForm()
    caller = Caller(actor=f"owner of {mailbox.email}", address=client_address(request))
    try:
        accept_password_link(caller, token=token, password=form.password.data or "")
    except NotFound:
        return _over()
    except OperationError as error:
        form.refuse(error)
        return _page_of_owner(mailbox, form, error.status)
    page = render(
        "welcome/done.html",
        mailbox=mailbox,
        password=form.password.data,
        **set_up_values(caller, mailbox),
    )
    return _guarded(page)


def _page_of_person(person: Person, form: WelcomeForm, status: int = 200) -> Response:
    return _guarded(render("welcome/person.html", status=status, form=form, email=person.email))


def _page_of_owner(mailbox: Mailbox, form: PasswordForm, status: int = 200) -> Response:
    page = render("welcome/mailbox.html", status=status, form=form, mailbox=mailbox)
    return _guarded(page)


def _over() -> Response:
    """Who tries out links has to wait after some; a good one is never refused for that."""
    take_wrong_link(client_address(request))
    return _guarded(render("welcome/over.html", status=404))


def _guarded(response: Response) -> Response:
    """The address itself is the secret: nobody keeps the page, and no referrer tells of it.

    Not no-referrer: the protection against forged forms asks which site a form came from.
    """
    response.headers["Referrer-Policy"] = "strict-origin"
    response.headers["X-Robots-Tag"] = "noarchive, nosnippet"
    return never_stored(response)
