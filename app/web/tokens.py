"""Pages of tokens."""

from __future__ import annotations

from flask import Blueprint, Response

from .access import access
from .pages import render

bp = Blueprint("tokens", __name__)


@bp.get("/tokens")
@access("person")
def index() -> Response:
    """The first page."""
    return render("tokens/index.html")
