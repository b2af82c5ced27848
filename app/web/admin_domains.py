"""Pages of admin_domains."""

from __future__ import annotations

from flask import Blueprint, Response

from .access import access
from .pages import render

bp = Blueprint("admin_domains", __name__)


@bp.get("/admin/domains")
@access("admin")
def index() -> Response:
    """The first page."""
    return render("admin_domains/index.html")
