"""Projects, for admins: the list, a new one, and what belongs to one."""

from __future__ import annotations

from flask import Blueprint, Response

from ..errors import OperationError
from ..operations import OPERATIONS, oversight
from .access import access
from .forms import ProjectForm
from .pages import go, me, render

bp = Blueprint("admin_projects", __name__, url_prefix="/admin/projects")


@bp.get("")
@access("admin")
def index() -> Response:
    """All projects, with the form for another one."""
    return _list_page(ProjectForm())


@bp.post("")
@access("admin")
def add() -> Response:
    """Make it, and go there: people and domains come next."""
    form = ProjectForm()
    try:
        made = OPERATIONS["add-project"](me(), name=form.name.data or "")
    except OperationError as error:
        form.refuse(error)
        return _list_page(form, status=error.status)
    return go("admin_projects.show", project_id=made.id, said=f"{made.name} is made.")


@bp.get("/<int:project_id>")
@access("admin")
def show(project_id: int) -> Response:
    """One project with its people and domains."""
    return render("admin_projects/show.html", whole=oversight.project(me(), project_id))


def _list_page(form: ProjectForm, status: int = 200) -> Response:
    return render(
        "admin_projects/index.html", status=status, rows=oversight.projects(me()), form=form
    )
