"""The first page: what to set up next, how much there is, and what needs attention."""

from __future__ import annotations

from flask import Blueprint, Response

from ..operations import browse
from .access import access
from .pages import my_project, render

bp = Blueprint("overview", __name__)

MAX_DOMAINS = 6


@bp.get("/")
@access("person")
def index() -> Response:
    """The overview of the project."""
    caller = my_project()
    return render(
        "overview/index.html",
        overview=browse.overview(caller),
        domains=browse.domains(caller),
        max_domains=MAX_DOMAINS,
    )
