"""Pages of overview."""

from __future__ import annotations

from flask import Blueprint, Response

from .access import access
from .pages import render

bp = Blueprint("overview", __name__)


@bp.get("/")
@access("person")
def index() -> Response:
    """The first page."""
    return render("overview/index.html")
