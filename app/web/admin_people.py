"""People, for admins: who may sign in, what they may do, and their one-time links.

Addresses of people may hold a slash (RFC 5322, section 3.2.3), hence the paths.
"""

from __future__ import annotations

from flask import Blueprint, Response, request

from ..errors import OperationError
from ..extensions import settings
from ..models import Person
from ..operations import OPERATIONS, browse, oversight
from ..operations.panel import WELCOME_DAYS, NewPerson
from ..operations.seen import digest_of, of_person
from .access import access
from .forms import PersonForm, PersonSettingsForm
from .pages import go, me, never_stored, render
from .searches import number_of

bp = Blueprint("admin_people", __name__, url_prefix="/admin/people")


@bp.get("")
@access("admin")
def index() -> Response:
    """Everybody who can sign in."""
    return render("admin_people/index.html", rows=oversight.people(me()))


@bp.get("/new")
@access("admin")
def new() -> Response:
    """The form for somebody new."""
    return _new_page(PersonForm(data={"projects": request.args.getlist("for")}))


@bp.post("/new")
@access("admin", asks_for_proof=True)
def add() -> Response:
    """Let them in, and show once the link by which they choose a password."""
    form = PersonForm()
    try:
        made = OPERATIONS["add-person"](
            me(),
            email=form.email.data or "",
            is_admin=bool(form.is_admin.data),
            projects=[number_of(text) for text in form.projects.data or []],
        )
    except OperationError as error:
        form.refuse(error)
        return _new_page(form, status=error.status)
    return _link_page(made, is_new=True)


@bp.get("/<path:email>")
@access("admin")
def show(email: str) -> Response:
    """One person: projects, rights, and what can be done."""
    return _page(email)


@bp.post("/<path:email>/settings")
@access("admin", asks_for_proof=True)
def edit(email: str) -> Response:
    """Change projects and rights."""
    form = PersonSettingsForm()
    try:
        person = OPERATIONS["update-person"](
            me(),
            form.seen.data,
            email=email,
            is_admin=bool(form.is_admin.data),
            projects=[number_of(text) for text in form.projects.data or []],
        )
    except OperationError as error:
        form.refuse(error)
        return _page(email, form, status=error.status)
    return _done(person, "Saved.")


@bp.post("/<path:email>/link")
@access("admin", asks_for_proof=True)
def invite(email: str) -> Response:
    """Make a new one-time link, and show it once."""
    return _link_page(OPERATIONS["invite-person"](me(), email=email))


@bp.post("/<path:email>/disable")
@access("admin", asks_for_proof=True)
def disable(email: str) -> Response:
    """Keep them out; their sessions end."""
    try:
        person = OPERATIONS["update-person"](me(), email=email, is_disabled=True)
    except OperationError as error:
        form = _settings_of(oversight.person(me(), email))
        form.refuse(error)
        return _page(email, form, status=error.status)
    return _done(person, f"{person.email} can no longer sign in.")


@bp.post("/<path:email>/enable")
@access("admin", asks_for_proof=True)
def enable(email: str) -> Response:
    """Let them in again."""
    person = OPERATIONS["update-person"](me(), email=email, is_disabled=False)
    return _done(person, f"{person.email} can sign in again.")


@bp.post("/<path:email>/two-factor")
@access("admin", asks_for_proof=True)
def reset_two_factor(email: str) -> Response:
    """Take two-factor sign-in off somebody whose phone is lost."""
    person = OPERATIONS["reset-two-factor"](me(), email=email)
    said = f"{person.email} signs in by the password alone until it is set up again."
    return go("admin_people.show", email=person.email, said=said)


def _done(person: Person, said: str) -> Response:
    """Back to the person; who gave up their own rights goes where they still may be."""
    if person.id == me().person_id and not person.is_admin:
        return go("overview.index", said="You are no longer an admin.")
    return go("admin_people.show", email=person.email, said=said)


def _settings_of(row: oversight.PersonRow) -> PersonSettingsForm:
    return PersonSettingsForm(
        formdata=None,
        data={
            "seen": digest_of(of_person(row.person, row.projects)),
            "projects": [str(project.id) for project in row.projects],
            "is_admin": row.person.is_admin,
        },
    )


def _new_page(form: PersonForm, status: int = 200) -> Response:
    return render(
        "admin_people/new.html", status=status, form=form, all_projects=browse.projects(me())
    )


def _page(email: str, form: PersonSettingsForm | None = None, status: int = 200) -> Response:
    row = oversight.person(me(), email)
    return render(
        "admin_people/show.html",
        status=status,
        row=row,
        form=form or _settings_of(row),
        all_projects=browse.projects(me()),
        has_error=status != 200,
    )


def _link_page(made: NewPerson, is_new: bool = False) -> Response:
    return never_stored(
        render(
            "admin_people/link.html",
            somebody=made.person,
            link=f"{settings.public_url}/welcome/{made.welcome}",
            days=WELCOME_DAYS,
            is_new=is_new,
        )
    )
