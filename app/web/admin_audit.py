"""The audit log, for admins: who did what to what, from where and when."""

from __future__ import annotations

from flask import Blueprint, Response, request

from ..operations import audit_log
from ..operations.audit_log import AuditSearch
from .access import access
from .csv_files import csv_file
from .pages import me, render
from .searches import address_of, text_of, whole

bp = Blueprint("admin_audit", __name__, url_prefix="/admin")


@bp.get("/audit")
@access("admin")
def index() -> Response:
    """The entries that match what the address asks for, newest first."""
    search = _search()
    return render(
        "admin_audit/index.html",
        part="admin_audit/_list.html",
        page=audit_log.found(me(), search),
        search=search,
        actions=audit_log.actions(me()),
        address=lambda **changes: address_of("admin_audit.index", search, **changes),
        download=address_of("admin_audit.download", search, page=1),
    )


@bp.get("/audit.csv")
@access("admin")
def download() -> Response:
    """All entries that match, as a file."""
    return csv_file(
        "mailcote-audit.csv", audit_log.COLUMNS, audit_log.newest_first(me(), _search())
    )


def _search() -> AuditSearch:
    given = request.args
    return AuditSearch(
        q=text_of(given.get("q", "")),
        action=text_of(given.get("action", "")),
        page=whole(given.get("page", ""), 1),
    )
