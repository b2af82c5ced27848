"""Two servers on one PostgreSQL: what waiting costs it, and how soon the other one tells a change.

Run it with `python -m tests.bench.bench_told`; it needs PostgreSQL's programs.
"""

from __future__ import annotations

import http.client
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from math import inf
from pathlib import Path
from statistics import median

import psycopg

from app import create_app
from tests import postgres
from tests.applications import let_go
from tests.bench.measure import Figure, show
from tests.bench.panel import Connection, Server, post, served
from tests.conftest import Cast, set_the_stage
from tests.databases import new_panel

CHANGES, IDLE = 40, 10
EXPORT = "/sync/v1/export?wait=55"
COUNT = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'postgres'"


def figures() -> Iterator[Figure]:
    """Nothing where there is no PostgreSQL."""
    if postgres.binaries() is None:
        return
    with postgres.server() as url, tempfile.TemporaryDirectory(prefix="bench.") as name:
        app = create_app(new_panel(Path(name), url.replace(":", "+psycopg:", 1)))
        cast = set_the_stage(app)
        let_go(app)
        shared = {"database_url": url, "secret_key": "x" * 32, "rate_writes": 0, "workers": 1}
        with _host(name, "here", shared) as here, _host(name, "there", shared) as there:
            yield from _measured(url, cast, here, there)


@contextmanager
def _host(folder: str, name: str, shared: dict[str, object]) -> Iterator[Server]:
    own = Path(folder) / name
    own.mkdir()
    with served(own, **shared, mailbox_bcrypt_cost=4) as server:
        yield server


def _measured(url: str, cast: Cast, here: Server, there: Server) -> Iterator[Figure]:
    with here.connection() as changing:
        _change(changing, cast, "add-user", password="correct horse battery")
        waits = [Waiting(server, cast) for server in (here, there)]
        time.sleep(2)
        yield Figure("transactions while two processes wait", _transactions(url), " a second", inf,
                     details=f"counted by PostgreSQL over {IDLE} s")  # fmt: skip
        took = []
        for number in range(CHANGES):
            waits[1].told.clear()
            begun = time.perf_counter()
            _change(changing, cast, "update-user", quota_mb=2000 + number)
            waits[1].told.wait(30)
            took.append(waits[1].told_at - begun)
            time.sleep(0.1)
        for waiting in waits:
            waiting.is_over = True
        _change(changing, cast, "update-user", quota_mb=1)
    yield Figure("change through one to answer of the other", median(took), " s", goal=0.15,
                 details=f"at most {max(took):.3f} s of {CHANGES}, from before a call")  # fmt: skip


class Waiting(threading.Thread):
    """A node that waits at one of the servers, again and again."""

    def __init__(self, server: Server, cast: Cast) -> None:
        super().__init__(daemon=True)
        self.server, self.cast = server, cast
        self.told, self.told_at, self.is_over = threading.Event(), 0.0, False
        self.start()

    def run(self) -> None:
        """Ask, and note when the answer came."""
        tag = "none"
        with closing(http.client.HTTPConnection("127.0.0.1", self.server.port)) as connection:
            while not self.is_over:
                headers = {"Authorization": f"Bearer {self.cast.sync_key}", "If-None-Match": tag}
                connection.request("GET", EXPORT, headers=headers)
                answer = connection.getresponse()
                answer.read()
                tag, self.told_at = answer.headers["ETag"], time.perf_counter()
                self.told.set()


def _change(changing: Connection, cast: Cast, endpoint: str, **fields: object) -> None:
    body = json.dumps({"email": "info@example.nl", **fields}).encode()
    path = f"/iapi/project/1/email_account/{endpoint}"
    expected = 201 if endpoint == "add-user" else 200
    changing.ask(post(path, body, Authorization=f"Bearer {cast.tokens['alice']}"), expected)


def _transactions(url: str) -> float:
    with psycopg.connect(url, autocommit=True) as connection:
        counts = []
        for pause in (IDLE, 1):
            [(count,)] = connection.execute(COUNT).fetchall()
            counts.append(int(count))
            time.sleep(pause)
        return (counts[1] - counts[0]) / IDLE


if __name__ == "__main__":
    show(figures())
