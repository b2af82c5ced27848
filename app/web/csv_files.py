"""Lists as files that spreadsheets open, sent while they are read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from flask import Response, stream_with_context

# A cell that begins with one of these is a formula to a spreadsheet (OWASP, CSV Injection).
_BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_file(name: str, columns: Sequence[str], rows: Iterable[object]) -> Response:
    """An answer that is kept as a file; a column is an attribute of every row."""
    lines = _lines(columns, rows)
    response = Response(stream_with_context(lines), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _lines(columns: Sequence[str], rows: Iterable[object]) -> Iterator[str]:
    yield _line(columns)
    for row in rows:
        yield _line(_cell(getattr(row, name)) for name in columns)


def _line(cells: Iterable[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_BEGINS_FORMULA) else text
