"""Pages of domains."""

from __future__ import annotations

from flask import Blueprint, Response

from .access import access
from .pages import render

bp = Blueprint("domains", __name__)


@bp.get("/domains")
@access("person")
def index() -> Response:
    """The first page."""
    return render("domains/index.html")
