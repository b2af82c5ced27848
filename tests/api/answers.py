"""What an answer of the JSON API has to look like, and whether a request changed anything."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

TYPES = {
    400: "validation",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "validation",
    406: "validation",
    409: "conflict",
    413: "validation",
    415: "validation",
    422: "validation",
    429: "rate_limit",
    500: "server",
    503: "server",
}
# What a request may leave behind without having changed anything, and the rate limits' own table.
_TRACES = {
    *("last_used_at", "last_sync_at", "seen_at"),
    *("applied_epoch", "applied_revision", "agent_version"),
}
_NOT_STATE = {"calls", "node_requests", "buckets", "alembic_version", "sqlite_sequence"}


def assert_success(response: TestResponse, status: int = 200) -> Any:
    """The data of an answer in the envelope of success."""
    assert response.status_code == status, response.text
    assert response.mimetype == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    body = response.get_json()
    assert body.keys() == {"success", "data"}
    assert body["success"] is True
    return body["data"]


def assert_failure(
    response: TestResponse, status: int, code: str, field: str | None = None
) -> dict[str, Any]:
    """The error_object of an answer in the envelope of failure; both errors say the same."""
    assert response.status_code == status, response.text
    assert response.mimetype == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    body = response.get_json()
    assert body.keys() == {"success", "error", "error_object"}
    assert body["success"] is False
    short, long = body["error"], body["error_object"]
    assert {name: long[name] for name in short} == short
    assert long.keys() - short.keys() <= {"type", "recovery"}
    assert (long["type"], long["code"]) == (TYPES[status], code)
    assert long.get("field") == field, body
    assert long["message"].endswith((".", "…", "?")) or status == 500, "a sentence"
    scheme, _, more = response.headers.get("WWW-Authenticate", "").partition(" ")
    assert (scheme == "Bearer") == (status == 401)
    assert not more or response.request.path in ("/mcp", "/mcp/"), "only there OAuth can be found"
    assert ("Retry-After" in response.headers) == (status in (429, 503))
    if status in (429, 503):
        assert int(response.headers["Retry-After"]) >= 1
    assert ("Allow" in response.headers) == (status == 405)
    error: dict[str, Any] = long
    return error


def same_answer(one: TestResponse, other: TestResponse) -> bool:
    """Whether nothing tells two answers apart, but for the request that each is to."""
    first, second = (
        [(name, text) for name, text in answer.headers if name != "X-Request-Id"]
        for answer in (one, other)
    )
    return (one.status, one.data, first) == (other.status, other.data, second)


def state(app: Flask) -> dict[str, list[tuple[object, ...]]]:
    """Everything the panel's SQLite file holds, but for traces of who was there."""
    with closing(sqlite3.connect(Path(app.instance_path) / "panel.db")) as connection:
        tables = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            if name not in _NOT_STATE
        ]
        return {table: _rows(connection, table) for table in tables}


def _rows(connection: sqlite3.Connection, table: str) -> list[tuple[object, ...]]:
    names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    kept = ", ".join(name for name in names if name not in _TRACES)
    return connection.execute(f"SELECT {kept} FROM {table} ORDER BY 1, 2").fetchall()


@contextmanager
def unchanged(app: Flask) -> Iterator[None]:
    """Inside, nothing may change: no row, no revision, no audit entry."""
    before = state(app)
    yield
    after = state(app)
    changed = {table: after[table] for table in after if after[table] != before[table]}
    assert not changed, changed
