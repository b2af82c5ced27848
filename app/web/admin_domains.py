"""The domains of all projects, for admins: register, assign, remove."""

from __future__ import annotations

from typing import Any, get_args

from flask import Blueprint, Response, request

from ..errors import Invalid, OperationError, StillInUse
from ..operations import OPERATIONS, browse, oversight
from ..operations.oversight import DomainSearch, LinkState
from ..operations.seen import digest_of, of_domain
from .access import access
from .forms import AdminDomainForm, AssignForm, ConfirmDomainForm
from .pages import go, me, render
from .searches import address_of, number_of, one_of, text_of, whole

bp = Blueprint("admin_domains", __name__, url_prefix="/admin/domains")


@bp.get("")
@access("admin")
def index() -> Response:
    """All domains that match what the address asks for."""
    given = request.args
    search = DomainSearch(
        q=text_of(given.get("q", "")),
        state=one_of(given.get("state", ""), get_args(LinkState), ""),
        page=whole(given.get("page", ""), 1),
    )
    return render(
        "admin_domains/index.html",
        part="admin_domains/_list.html",
        page=oversight.domains(me(), search),
        search=search,
        address=lambda **changes: address_of("admin_domains.index", search, **changes),
    )


@bp.get("/new")
@access("admin")
def new() -> Response:
    """The form for a domain."""
    return _new_page(AdminDomainForm(data={"project_id": request.args.get("for", "")}))


@bp.post("/new")
@access("admin")
def add() -> Response:
    """Register it, with or without a project."""
    form = AdminDomainForm()
    try:
        made = OPERATIONS["add-domain"](
            me(), domain=form.domain.data or "", **_project_of(form.project_id.data)
        )
    except OperationError as error:
        form.refuse(error)
        return _new_page(form, status=error.status)
    name = made.domain.name
    return go("admin_domains.show", name=name, said=f"{name} is registered; its e-mail is off.")


@bp.get("/<name>")
@access("admin")
def show(name: str) -> Response:
    """One domain: its project, and what can be done."""
    return _page(name)


@bp.post("/<name>/project")
@access("admin")
def assign(name: str) -> Response:
    """Link it to a project, or take it out of its project."""
    form = AssignForm()
    project = _project_of(form.project_id.data)
    try:
        if project:
            OPERATIONS["assign-domain"](me(), form.seen.data, domain=name, **project)
        else:
            OPERATIONS["unassign-domain"](me(), form.seen.data, domain=name)
    except OperationError as error:
        form.refuse(_on_a_page(error))
        return _page(name, form, status=error.status)
    said = "is in its project now." if project else "is in no project; its e-mail is off."
    return go("admin_domains.show", name=name, said=f"{name} {said}")


@bp.post("/<name>/registered")
@access("admin")
def register(name: str) -> Response:
    """Say whether it was registered through the platform."""
    is_here = request.form.get("registered_here") == "y"
    OPERATIONS["update-domain"](me(), domain=name, registered_here=is_here)
    said = "has its records written by itself." if is_here else "has its records left alone."
    return go("admin_domains.show", name=name, said=f"{name} {said}")


@bp.get("/<name>/remove")
@access("admin")
def confirm_remove(name: str) -> Response:
    """Say what goes with it, and ask as much as that is worth."""
    return _confirm_page(name, ConfirmDomainForm())


@bp.post("/<name>/remove")
@access("admin", asks_for_proof=True)
def remove(name: str) -> Response:
    """Let it go; with removed mailboxes in it, if the name was typed."""
    form, row = ConfirmDomainForm(), oversight.domain(me(), name)
    name = row.domain.name
    if row.removed and (form.typed.data or "").lower() != name:
        form.refuse(Invalid(f"Type {name} to confirm.", field="typed"))
        return _confirm_page(name, form, status=422)
    try:
        OPERATIONS["remove-domain"](me(), domain=name)
    except OperationError as error:
        form.refuse(_on_a_page(error))
        return _confirm_page(name, form, status=error.status)
    return go("admin_domains.index", said=f"{name} is no longer registered.")


def _on_a_page(error: OperationError) -> OperationError:
    """The page itself links to the mailboxes that have to go; programs are told how in words."""
    if isinstance(error, StillInUse):
        error.recovery = None
    return error


def _project_of(typed: str | None) -> dict[str, Any]:
    """The project that was chosen, if one was."""
    return {"project_id": number_of(typed)} if typed else {}


def _projects(nothing: str) -> list[tuple[str, str]]:
    return [("", nothing), *((str(row.id), row.name) for row in browse.projects(me()))]


def _new_page(form: AdminDomainForm, status: int = 200) -> Response:
    form.project_id.choices = _projects("No project yet")
    return render("admin_domains/new.html", status=status, form=form)


def _page(name: str, form: AssignForm | None = None, status: int = 200) -> Response:
    row = oversight.domain(me(), name)
    present = {
        "seen": digest_of(of_domain(row.domain, row.project)),
        "project_id": row.domain.project_id or "",
    }
    form = form or AssignForm(formdata=None, data=present)
    form.project_id.choices = _projects("No project")
    return render(
        "admin_domains/show.html", status=status, row=row, form=form, has_error=status != 200
    )


def _confirm_page(name: str, form: ConfirmDomainForm, status: int = 200) -> Response:
    return render(
        "admin_domains/remove.html",
        part="admin_domains/_remove.html",
        status=status,
        row=oversight.domain(me(), name),
        form=form,
    )
