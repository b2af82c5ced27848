"""Pages of account."""

from __future__ import annotations

from flask import Blueprint, Response

from .access import access
from .pages import render

bp = Blueprint("account", __name__)


@bp.get("/account")
@access("person")
def index() -> Response:
    """The first page."""
    return render("account/index.html")
