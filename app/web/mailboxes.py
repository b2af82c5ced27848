"""Mailboxes: the list, a new one, one of them, and what can be done to it."""

from __future__ import annotations

from typing import Any, get_args

from flask import Blueprint, Response, abort, flash, request

from ..addresses import parse_address
from ..errors import Forbidden, Invalid, NoLongerYours, NotFound, OperationError
from ..models import Mailbox
from ..operations import OPERATIONS, browse, mailbox_search
from ..operations.mailbox_search import MailboxSearch, MailboxState, Sort
from ..operations.seen import digest_of, of_mailbox
from ..passwords import generate
from .access import access
from .forms import ConfirmForm, MailboxForm, MailboxSettingsForm, PasswordForm
from .mailbox_links import link_page
from .pages import go, my_project, never_stored, render, set_up_values
from .searches import address_of, number_of, one_of, text_of, whole

bp = Blueprint("mailboxes", __name__, url_prefix="/mailboxes")

QUOTAS = (512, 1024, 2048, 5120, 10240)
PAGE_SIZES = (25, 50, 100)
MAX_REFUSALS, MAX_SHOWN = 5, 100  # sentences, and characters of an address in one


@bp.get("")
@access("person")
def index() -> Response:
    """The list, filtered, sorted and in pages, all of it in the address."""
    search = _search()
    undo = min(whole(request.args.get("undo", ""), 0), max(PAGE_SIZES))
    return render(
        "mailboxes/index.html",
        part="mailboxes/_list.html",
        page=mailbox_search.mailboxes(my_project(), search),
        search=search,
        address=lambda **changes: address_of("mailboxes.index", search, **changes),
        domains=browse.mail_domains(my_project()),
        removed=mailbox_search.just_removed(my_project(), undo) if undo else [],
    )


@bp.get("/new")
@access("person")
def new() -> Response:
    """The form for a new mailbox, a generated password in it."""
    form = MailboxForm(
        data={
            "password": generate(),
            "quota_mb": "1024",
            "domain": request.args.get("domain", ""),
            "local_part": request.args.get("local_part", ""),
        }
    )
    return _new_page(form)


@bp.post("/new")
@access("person")
def add() -> Response:
    """Make it, and show once what its owner needs: the password, or the link to choose one."""
    form, is_invitation = MailboxForm(), "invite" in request.form
    given: dict[str, Any] = {} if is_invitation else {"password": form.password.data or ""}
    try:
        made = OPERATIONS["invite-user" if is_invitation else "add-user"](
            my_project(),
            email=f"{form.local_part.data or ''}@{form.domain.data or ''}",
            quota_mb=number_of(form.quota_mb.data),
            **given,
        )
    except OperationError as error:
        if error.field == "email":
            error.field = "local_part"
        form.refuse(error)
        return _new_page(form, status=error.status)
    if is_invitation:
        return link_page(made, is_new=True)
    page = render(
        "mailboxes/added.html",
        mailbox=made.mailbox,
        password=form.password.data,
        sync=browse.sync(my_project(), made.mailbox),
        **set_up_values(my_project(), made.mailbox),
    )
    return never_stored(page)


@bp.get("/<email>")
@access("person")
def show(email: str) -> Response:
    """One mailbox: its state, settings, and what can be done."""
    return _page(_find(email))


@bp.post("/<email>/settings")
@access("person")
def edit(email: str) -> Response:
    """Change storage, signing in and receiving."""
    form = MailboxSettingsForm()
    try:
        OPERATIONS["update-user"](
            my_project(),
            form.seen.data,
            email=email,
            quota_mb=number_of(form.quota_mb.data),
            can_login=bool(form.can_login.data),
            can_receive=bool(form.can_receive.data),
        )
    except OperationError as error:
        form.refuse(error)
        return _page(_find(email), status=error.status, settings_form=form)
    return go("mailboxes.show", email=email, said="Saved.")


@bp.post("/<email>/password")
@access("person")
def edit_password(email: str) -> Response:
    """Set another password, and show once what its owner needs."""
    form = PasswordForm()
    try:
        made = OPERATIONS["update-password"](
            my_project(), email=email, password=form.password.data or ""
        )
    except OperationError as error:
        form.refuse(error)
        return _page(_find(email), status=error.status, password_form=form)
    page = render(
        "mailboxes/added.html",
        mailbox=made.mailbox,
        password=form.password.data,
        sync=browse.sync(my_project(), made.mailbox),
        **set_up_values(my_project(), made.mailbox),
        is_renewed=True,
    )
    return never_stored(page)


@bp.post("/<email>/remove")
@access("person")
def remove(email: str) -> Response:
    """Remove it; it can be restored until its purge date."""
    OPERATIONS["remove-user"](my_project(), email=email)
    return go("mailboxes.index", undo=1)


@bp.post("/<email>/restore")
@access("person")
def restore(email: str) -> Response:
    """Bring it back."""
    OPERATIONS["restore-user"](my_project(), email=email)
    return go("mailboxes.show", email=email, said=f"{email} is back, with its mail.")


@bp.get("/<email>/delete")
@access("person")
def confirm_delete(email: str) -> Response:
    """Ask for the address before it is gone for good."""
    return render(
        "mailboxes/delete.html",
        part="mailboxes/_delete.html",
        mailbox=_find(email),
        form=ConfirmForm(),
    )


@bp.post("/<email>/delete")
@access("person", asks_for_proof=True)
def delete(email: str) -> Response:
    """Let it go for good, if the address was typed."""
    mailbox, form = _find(email), ConfirmForm()
    if (form.typed.data or "").lower() != mailbox.email:
        form.refuse(Invalid(f"Type {mailbox.email} to confirm.", field="typed"))
        return render(
            "mailboxes/delete.html",
            part="mailboxes/_delete.html",
            status=422,
            mailbox=mailbox,
            form=form,
        )
    OPERATIONS["remove-user"](my_project(), email=mailbox.email, hard_delete=True)
    return go("mailboxes.index", said=f"{mailbox.email} and its mail are gone for good.")


@bp.post("/several")
@access("person")
def change_several() -> Response:
    """Do one thing to all the mailboxes that were picked."""
    verbs: dict[str, tuple[str, dict[str, Any], str]] = {
        "off": ("update-user", {"can_login": False, "can_receive": False}, "turned off"),
        "on": ("update-user", {"can_login": True, "can_receive": True}, "turned on"),
        "remove": ("remove-user", {}, "removed"),
        "restore": ("restore-user", {}, "restored"),
    }
    if request.form.get("action") not in verbs:
        abort(400)
    name, values, done = verbs[request.form["action"]]
    emails = request.form.getlist("email")[: max(PAGE_SIZES)]
    changed, refusals = 0, []
    for email in emails:
        try:
            OPERATIONS[name](my_project(), email=email, **values)
            changed += 1
        except (Forbidden, NoLongerYours):
            raise
        except OperationError as error:
            refusals.append(f"{email[:MAX_SHOWN]}: {error.message}")
    _say_why_not(refusals)
    undo = changed if name == "remove-user" and changed else None
    said = None if undo else _several(changed, done)
    return go("mailboxes.index", said=said, undo=undo)


@bp.get("/<email>/live")
@access("person")
def live(email: str) -> Response:
    """On how many nodes the last change is live; asked again until it is on all."""
    mailbox = _find(email)
    sync = browse.sync(my_project(), mailbox)
    return render("mailboxes/_live.html", mailbox=mailbox, sync=sync)


def _say_why_not(refusals: list[str]) -> None:
    """What is said on the next page travels in a cookie, which holds 4 KB."""
    for refusal in refusals[:MAX_REFUSALS]:
        flash(refusal)
    if more := len(refusals[MAX_REFUSALS:]):
        flash(f"And {more} more could not be changed.")


def _several(count: int, done: str) -> str:
    return f"{count} mailbox{'es' if count != 1 else ''} {done}."


def _find(email: str) -> Mailbox:
    try:
        return my_project().mailbox(parse_address(email))
    except OperationError:
        raise NotFound("MAILBOX_NOT_FOUND", "There is no such mailbox.") from None


def _page(
    mailbox: Mailbox,
    status: int = 200,
    settings_form: MailboxSettingsForm | None = None,
    password_form: PasswordForm | None = None,
) -> Response:
    row = mailbox_search.one(my_project(), mailbox)
    page = render(
        "mailboxes/show.html",
        status=status,
        mailbox=mailbox,
        usage=row.usage,
        link=row.link,
        sync=browse.sync(my_project(), mailbox),
        settings_form=settings_form or _settings_of(mailbox),
        password_form=password_form or PasswordForm(formdata=None, data={"password": generate()}),
        **set_up_values(my_project(), mailbox),
        has_error=status != 200,
        quotas=QUOTAS,
    )
    return never_stored(page)


def _settings_of(mailbox: Mailbox) -> MailboxSettingsForm:
    return MailboxSettingsForm(
        formdata=None,
        data={
            "seen": digest_of(of_mailbox(mailbox)),
            "quota_mb": str(mailbox.quota_mb),
            "can_login": mailbox.can_login,
            "can_receive": mailbox.can_receive,
        },
    )


def _new_page(form: MailboxForm, status: int = 200) -> Response:
    domains = browse.mail_domains(my_project())
    form.domain.choices = [(domain.name, domain.name) for domain in domains]
    page = render("mailboxes/new.html", status=status, form=form, domains=domains, quotas=QUOTAS)
    return never_stored(page)


def _search() -> MailboxSearch:
    """What the address asks for; unknown values fall back to the default."""
    given = request.args
    return MailboxSearch(
        q=text_of(given.get("q", "")),
        domain=text_of(given.get("domain", "")),
        state=one_of(given.get("state", ""), get_args(MailboxState), ""),
        sort=one_of(given.get("sort", ""), get_args(Sort), "email"),
        page=whole(given.get("page", ""), 1),
        per=one_of(whole(given.get("per", ""), 25), PAGE_SIZES, 25),
    )
