"""Pages of admin_people."""

from __future__ import annotations

from flask import Blueprint, Response

from .access import access
from .pages import render

bp = Blueprint("admin_people", __name__)


@bp.get("/admin/people", endpoint="people")
@access("admin")
def index() -> Response:
    """The first page."""
    return render("admin_people/index.html")


@bp.get("/admin/projects")
@access("admin")
def projects() -> Response:
    """All projects."""
    return render("admin_people/index.html")
