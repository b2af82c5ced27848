"""Lists as files that spreadsheets open, sent while they are read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from flask import Response, stream_with_context

from ..spreadsheets import csv_lines


def csv_file(name: str, columns: Sequence[str], rows: Iterable[object]) -> Response:
    """An answer that is kept as a file; a column is an attribute of every row."""
    lines = csv_lines(columns, rows)
    response = Response(stream_with_context(lines), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
