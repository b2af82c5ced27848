"""What listing 1000 mailboxes costs beside the query and the encoding of the answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from tests.bench.measure import Figure, in_turns, medians, p50, ratio, show
from tests.bench.panel import panel, post, served

USERS = 1000
TIMES = 200
PATH = "/iapi/project/1/email_account/list-users"
_QUERY = """
SELECT email, quota_mb, can_login, can_receive, created_at, updated_at, purge_at FROM mailboxes
WHERE domain_id IN (SELECT id FROM domains WHERE project_id = 1 AND email_enabled) ORDER BY email
"""


def figures() -> Iterator[Figure]:
    """The answer by HTTP beside the same bytes made by sqlite3 and orjson."""
    with (
        panel(USERS) as made,
        served(made.folder) as server,
        server.connection() as connection,
    ):
        request = post(PATH, b"{}", Authorization=f"Bearer {made.tokens[0]}")
        ask, floor = partial(connection.ask, request, 200), partial(_floor, made.database)
        if ask() != floor():
            raise RuntimeError("the answer and its floor are not the same")
        rounds = in_turns(partial(p50, ask, TIMES), partial(p50, floor, TIMES))
    took, least = medians(rounds)
    yield Figure(
        f"list-users of {USERS} mailboxes",
        ratio(rounds),
        "x",
        goal=3,
        details=f"p50 {took:.2f} ms by HTTP, sqlite3 and orjson alone {least:.2f} ms",
    )


def _floor(database: Path) -> bytes:
    connection = sqlite3.connect(database)
    rows = connection.execute(_QUERY).fetchall()
    connection.close()
    users = [_fields(*row) for row in rows]
    data = {"users": users, "total": len(users), "next_cursor": None}
    return orjson.dumps({"success": True, "data": data})


def _fields(
    email: str, quota_mb: int, login: int, receive: int, created: str, updated: str, purge: Any
) -> dict[str, object]:
    return {
        "email": email,
        "domain": email.partition("@")[2],
        "quota_mb": quota_mb,
        "active": purge is None,
        "can_login": login == 1,
        "can_receive": receive == 1,
        "created_at": created,
        "updated_at": updated,
    }


if __name__ == "__main__":
    show(figures())
