"""The guide for those who use the panel."""

from __future__ import annotations

from flask import Blueprint, Response

from ..extensions import settings
from ..operations import OPERATIONS
from .access import access
from .pages import me, render

bp = Blueprint("docs", __name__)


@bp.get("/docs")
@access("person")
def index() -> Response:
    """The guide, on one page."""
    caller = me()
    return render(
        "docs/index.html",
        public_url=settings.public_url.rstrip("/"),
        project_id=caller.project_id or 1,
        mail_host=settings.mail_host,
        grace_days=settings.grace_days,
        is_admin=caller.is_admin,
        operations=[
            operation
            for operation in OPERATIONS.values()
            if not operation.is_internal and (operation.who == "project" or caller.is_admin)
        ],
    )
