"""A thousand nodes that wait: how soon the last is told of a change, and what pages feel of it.

Run it with `python -m tests.bench.bench_waiting`; the nodes are one process beside the server.
"""

from __future__ import annotations

import json
import selectors
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median

from app.credentials import SYNC_KEY, digest, make
from tests.bench.measure import Figure, elapsed, show
from tests.bench.panel import DOMAIN, Panel, Server, get, panel, post, served

NODES, USERS = 1000, 100_000
ROUNDS, PAGES = 5, 200
EXPORT = "/sync/v1/export"
_SETTINGS = "/iapi/project/1/email_account/update-user"
_quotas = count(2000)


def figures() -> Iterator[Figure]:
    """With many nodes on a small panel, then one change on a large one."""
    with panel(1000) as made:
        keys = _nodes(made)
        with served(made.folder) as server:
            yield from _fleet(made, server, keys)
    with panel(USERS) as made, served(made.folder, workers=1) as server:
        yield _one_change(made, server)


def _fleet(made: Panel, server: Server, keys: list[str]) -> Iterator[Figure]:
    first = _tag(made)
    idle = [_page(server) for _ in range(PAGES)]
    before = _megabytes(server)
    fleet = Fleet(server.port, keys)
    fleet.wait(first)
    beside = [_page(server) for _ in range(PAGES)]
    memory = _megabytes(server) - before
    told, pages = [], []
    for _ in range(ROUNDS):
        storm: list[float] = []
        told.append(fleet.until_told(partial(_change, made, server), partial(_look, server, storm)))
        pages += storm
        fleet.wait(_tag(made))
    fleet.close()
    yield Figure(f"until {NODES} waiting nodes are told", median(told), " s", goal=1,
                 details=f"at most {max(told):.2f} s, from before the change is sent")  # fmt: skip
    yield Figure(f"memory of {NODES} waiting nodes", memory * 1024 / NODES, " kB each", goal=100,
                 details=f"{memory:.0f} MB in all workers")  # fmt: skip
    yield Figure("a page beside waiting nodes", median(beside) / median(idle), "x", goal=1.5,
                 details=f"p50 {median(beside):.2f} ms, idle {median(idle):.2f} ms")  # fmt: skip
    worst = sorted(pages)[int(len(pages) * 0.99)]
    yield Figure("a page while they are told", median(pages) / median(idle), "x", goal=20,
                 details=f"p50 {median(pages):.1f} ms, p99 {worst:.0f} ms")  # fmt: skip


def _one_change(made: Panel, server: Server) -> Figure:
    """From the change that is answered to the delta in hand, by a node that has fetched before."""
    key = f"Bearer {made.sync_key}"
    took = []
    with server.connection() as connection:
        connection.ask(get(EXPORT, Authorization=key), 200)
        for number in range(ROUNDS + 1):
            revision = _revision(made)
            _change(made, server)
            ask = get(f"{EXPORT}?since={revision}", Authorization=key)
            answer: list[bytes] = []
            passed = elapsed(partial(_keep, answer, partial(connection.ask, ask, 200)))
            delta = json.loads(answer[0])
            if delta["full"] or len(delta["users"]) != 1:
                raise RuntimeError("that was no delta of one change")
            if number:  # the first time is about caches and imports
                took.append(passed)
    return Figure(f"delta of one change among {USERS} users", median(took) / 1000, " s", goal=0.1,
                  details=f"{min(took):.0f} to {max(took):.0f} ms by HTTP")  # fmt: skip


def _keep(answers: list[bytes], ask: partial[bytes]) -> None:
    answers.append(ask())


class Fleet:
    """Nodes that wait, each on its own connection."""

    def __init__(self, port: int, keys: list[str]) -> None:
        self.keys = keys
        self.sockets = [socket.create_connection(("127.0.0.1", port)) for _ in keys]

    def wait(self, tag: str) -> None:
        """Ask for what is newer than this, and leave the server time to have them all seated."""
        for connection in self.sockets:
            _drain(connection)
        for number, (key, connection) in enumerate(zip(self.keys, self.sockets, strict=True)):
            own = tag.replace("mpi01", f"n{number}")
            path = f"{EXPORT}?wait=55&since={tag.split('-')[-2]}"
            connection.sendall(get(path, Authorization=f"Bearer {key}", If_None_Match=own))
        time.sleep(4)

    def until_told(self, change: partial[None], look: partial[None]) -> float:
        """Seconds from a change to the last node's answer; a page is looked at meanwhile."""
        selector = selectors.DefaultSelector()
        for connection in self.sockets:
            selector.register(connection, selectors.EVENT_READ)
        is_over = threading.Event()
        looking = threading.Thread(target=_again, args=(look, is_over))
        looking.start()
        begun, left, last = time.perf_counter(), len(self.sockets), 0.0
        threading.Thread(target=change).start()
        while left:
            for key, _ in selector.select(30) or _nobody():
                answer = key.fileobj.recv(65536)  # type: ignore[union-attr]
                if not answer.startswith(b"HTTP/1.1 200"):
                    raise RuntimeError(f"answered {answer[:200]!r}")
                selector.unregister(key.fileobj)
                left -= 1
                last = time.perf_counter() - begun
        is_over.set()
        looking.join()
        return last

    def close(self) -> None:
        """Hang up."""
        for connection in self.sockets:
            connection.close()


def _drain(connection: socket.socket) -> None:
    """Read what is left of an answer."""
    connection.setblocking(False)
    with suppress(BlockingIOError):
        while connection.recv(65536):
            pass
    connection.setblocking(True)


def _nobody() -> list[tuple[selectors.SelectorKey, int]]:
    raise RuntimeError("somebody is never told")


def _again(look: partial[None], is_over: threading.Event) -> None:
    while not is_over.is_set():
        look()


def _look(server: Server, storm: list[float]) -> None:
    storm.append(_page(server))


def _page(server: Server) -> float:
    """Milliseconds of the page to sign in, on a connection of its own."""
    with server.connection() as connection:
        return elapsed(partial(connection.ask, get("/sign-in"), 200))


def _nodes(made: Panel) -> list[str]:
    keys = [make(SYNC_KEY) for _ in range(NODES)]
    with closing(sqlite3.connect(made.database)) as database, database:
        for number, key in enumerate(keys):
            insert = "INSERT INTO nodes (id, name, is_paused, created_at) VALUES (?, ?, 0, '')"
            database.execute(insert, (number + 2, f"n{number}"))
            database.execute(
                "INSERT INTO sync_keys (node_id, digest, hint, created_at) VALUES (?, ?, '', '')",
                (number + 2, digest(key)),
            )
    return keys


def _change(made: Panel, server: Server) -> None:
    fields = {"email": f"user7@{DOMAIN}", "quota_mb": next(_quotas)}
    with server.connection() as connection:
        token = f"Bearer {made.tokens[0]}"
        connection.ask(post(_SETTINGS, json.dumps(fields).encode(), Authorization=token), 200)


def _tag(made: Panel) -> str:
    with closing(sqlite3.connect(made.database)) as database:
        epoch, revision = database.execute("SELECT epoch, revision FROM feed").fetchone()
    return f'"{epoch}-{revision}-mpi01"'


def _revision(made: Panel) -> int:
    return int(_tag(made).split("-")[-2])


def _megabytes(server: Server) -> float:
    """The memory of all workers, what they share counted once (proc(5), smaps_rollup)."""
    texts = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in server.workers())
    return sum(int(text.partition("\nPss:")[2].split()[0]) for text in texts) / 1024


if __name__ == "__main__":
    show(figures())
