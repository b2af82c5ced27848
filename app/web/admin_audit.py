"""Pages of admin_audit."""

from __future__ import annotations

from flask import Blueprint, Response

from .access import access
from .pages import render

bp = Blueprint("admin_audit", __name__)


@bp.get("/admin/audit")
@access("admin")
def index() -> Response:
    """The first page."""
    return render("admin_audit/index.html")
