"""What the export of 100 000 users costs beside reading the rows and encoding them."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import orjson

from app import export
from app.export.rows import ALL_USERS
from tests.bench.measure import Figure, computed, in_turns, medians, ratio, show
from tests.bench.panel import Panel, get, panel, served

USERS = 100_000


def figures() -> Iterator[Figure]:
    """Building it, building it compressed, and the server's memory after both."""
    with panel(USERS) as made:
        with made.app.app_context():
            _refuse_difference(made)
            yield _beside_floor(
                "full export", 2.0, 1.5, export.build, partial(_floor, made.database)
            )
            yield _beside_floor(
                "full export, gzip",
                1.5,
                None,
                lambda: export.build().compressed(1),
                lambda: gzip.compress(_floor(made.database), compresslevel=1, mtime=0),
            )
        yield _memory(made)


def _beside_floor(
    name: str,
    goal: float,
    stricter: float | None,
    ours: Callable[[], object],
    floor: Callable[[], bytes],
) -> Figure:
    rounds = in_turns(partial(computed, ours), partial(computed, floor))
    took, least = medians(rounds)
    details = f"{took:.0f} ms of CPU, sqlite3 and orjson alone {least:.0f} ms"
    return Figure(f"{name} of {USERS} users", ratio(rounds), "x", goal, stricter, details)


def _floor(database: Path) -> bytes:
    """The same rows in the same form, as plainly as can be."""
    connection = sqlite3.connect(database)
    rows = connection.execute(ALL_USERS).fetchall()
    connection.close()
    return orjson.dumps(
        [
            {
                "deliver": receive == 1,
                "email": email,
                "id": key,
                "login": login == 1,
                "password": password,
                "quota_mb": quota_mb,
            }
            for key, email, password, quota_mb, login, receive in rows
        ]
    )


def _refuse_difference(made: Panel) -> None:
    """What is compared has to be the same."""
    users = json.loads(b"".join(export.build().chunks(1)))["users"]
    if len(users) != USERS or users != json.loads(_floor(made.database)):
        raise RuntimeError("the export and its floor are not of the same users")


def _memory(made: Panel) -> Figure:
    path, key = "/sync/v1/export", f"Bearer {made.sync_key}"
    with served(made.folder, workers=1) as server, server.connection() as connection:
        at_first = server.peak_megabytes()
        connection.ask(get(path, Authorization=key), 200)
        plain = server.peak_megabytes()
        connection.ask(get(path, Authorization=key, Accept_Encoding="gzip"), 200)
        peak = server.peak_megabytes()
    return Figure(
        "memory of the process that exports",
        peak,
        " MB",
        goal=300,
        details=f"peak RSS; {at_first:.0f} MB before, {plain:.0f} MB after one without gzip",
    )


if __name__ == "__main__":
    show(figures())
