"""The audit log, for admins: who did what to what, from where and when."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from flask import Blueprint, Response, request, stream_with_context

from ..models import AuditEntry
from ..operations import oversight
from ..operations.oversight import AuditSearch
from .access import access
from .pages import me, render
from .searches import address_of, text_of, whole

bp = Blueprint("admin_audit", __name__, url_prefix="/admin")

COLUMNS = ("at", "actor", "address", "project_id", "action", "object", "given", "revision")
# A cell that begins with one of these is a formula to a spreadsheet (OWASP, CSV Injection).
_BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@bp.get("/audit")
@access("admin")
def index() -> Response:
    """The entries that match what the address asks for, newest first."""
    search = _search()
    return render(
        "admin_audit/index.html",
        part="admin_audit/_list.html",
        page=oversight.audit(me(), search),
        search=search,
        actions=oversight.audit_actions(me()),
        address=lambda **changes: address_of("admin_audit.index", search, **changes),
        download=address_of("admin_audit.download", search, page=1),
    )


@bp.get("/audit.csv")
@access("admin")
def download() -> Response:
    """All entries that match, as a file."""
    lines = _lines(oversight.whole_audit(me(), _search()))
    response = Response(stream_with_context(lines), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="mailcote-audit.csv"'
    return response


def _search() -> AuditSearch:
    given = request.args
    return AuditSearch(
        q=text_of(given.get("q", "")),
        action=text_of(given.get("action", "")),
        page=whole(given.get("page", ""), 1),
    )


def _lines(entries: Iterable[AuditEntry]) -> Iterator[str]:
    yield _line(COLUMNS)
    for entry in entries:
        yield _line(_cell(getattr(entry, name)) for name in COLUMNS)


def _line(cells: Iterable[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_BEGINS_FORMULA) else text
