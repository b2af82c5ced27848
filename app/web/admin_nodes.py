"""Pages of admin_nodes."""

from __future__ import annotations

from flask import Blueprint, Response

from .access import access
from .pages import render

bp = Blueprint("admin_nodes", __name__)


@bp.get("/admin/nodes")
@access("admin")
def index() -> Response:
    """The first page."""
    return render("admin_nodes/index.html")
