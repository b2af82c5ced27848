"""Pages of docs."""

from __future__ import annotations

from flask import Blueprint, Response

from .access import access
from .pages import render

bp = Blueprint("docs", __name__)


@bp.get("/docs")
@access("person")
def index() -> Response:
    """The first page."""
    return render("docs/index.html")
