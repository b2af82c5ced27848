"""What is lost when processes are killed, what a reload refuses, whether sign-in tells who exists,
and how long a backup takes under load."""

from __future__ import annotations

import http.client
import json
import re
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from app import backup
from app.caller import command_line
from app.operations import OPERATIONS
from tests.bench.measure import Figure, elapsed, in_turns, ratio, show
from tests.bench.panel import DOMAIN, Connection, Panel, Server, panel, served
from tests.storm import lost, rage

MAILBOXES = 100_000
PERSON, PASSWORD = "somebody@people.example", "correct horse battery"
ADD_USER = "/iapi/project/1/email_account/add-user"


def figures() -> Iterator[Figure]:
    """Each figure of its own panel."""
    yield _killed()
    yield _reloaded()
    yield _told_apart()
    yield _backed_up()


def _killed() -> Figure:
    with panel(0) as made:
        # Its hashes are cheap, so that many are under way whenever something is killed.
        storm = rage(made.app.extensions["mailcote"], made.tokens[0], 30, domain=DOMAIN)
        count = len(lost(made.app, storm))
    details = (
        f"{len(storm.acknowledged)} acknowledged while {storm.workers} workers were killed, and "
        f"{storm.masters} times all at once"
    )
    return Figure("acknowledged changes lost by 30 s of kill -9", count, "", 0, details=details)


def _reloaded() -> Figure:
    with (
        panel(0) as made,
        served(made.folder, mailbox_bcrypt_cost=4, rate_writes=0) as server,
        _writing(made, server) as counts,
    ):
        for _ in range(4):
            time.sleep(1)
            server.process.send_signal(signal.SIGHUP)
        time.sleep(2)
    failed = sum(count for status, count in counts.items() if status != 201)
    details = f"{counts.get(201, 0)} requests while it was told to reload 4 times"
    return Figure("requests failed by reloading under load", failed, "", 0, details=details)


def _told_apart() -> Figure:
    with panel(0) as made:
        with made.app.app_context():
            OPERATIONS["add-person"](command_line(), email=PERSON, password=PASSWORD, projects=[1])
        with served(made.folder, rate_sign_ins=0) as server, server.connection() as asking:
            send = _sign_in(server.port, asking)
            rounds = in_turns(partial(send, PERSON), partial(send, "nobody@people.example"))
    found = ratio(rounds)
    apart = abs(found - 1) * 100
    return Figure("sign-in, a known account beside an unknown one", apart, " %", 5)


def _sign_in(port: int, asking: Connection) -> Callable[[str], float]:
    """What tries a wrong password five times; the milliseconds that took."""
    fresh = http.client.HTTPConnection("localhost", port)
    fresh.request("GET", "/sign-in", headers={"Host": "localhost"})
    answer = fresh.getresponse()
    cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
    token = re.search(r'name="csrf_token" value="([^"]+)"', answer.read().decode())
    assert token
    fresh.close()

    def send(email: str) -> float:
        form = urlencode({"csrf_token": token[1], "email": email, "password": "wrong password"})
        request = (
            "POST /sign-in HTTP/1.1\r\nHost: localhost\r\n"
            f"Cookie: {cookie}\r\nReferer: http://localhost/sign-in\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(form)}\r\n\r\n{form}"
        ).encode()
        return elapsed(lambda: [asking.ask(request, 422) for _ in range(5)])

    return send


def _backed_up() -> Figure:
    with (
        panel(MAILBOXES) as made,
        served(made.folder, mailbox_bcrypt_cost=4, rate_writes=0) as server,
        TemporaryDirectory() as folder,
        _writing(made, server) as counts,
    ):
        target = Path(folder) / "backup.db"
        time.sleep(1)
        with made.app.app_context():
            seconds = elapsed(lambda: backup.back_up(target)) / 1000
        with closing(sqlite3.connect(target)) as copy:
            (verdict,) = copy.execute("PRAGMA integrity_check").fetchone()
            (mailboxes,) = copy.execute("SELECT count(*) FROM mailboxes").fetchone()
    assert verdict == "ok"
    assert mailboxes >= MAILBOXES
    details = f"sound; {counts.get(201, 0)} mailboxes were added meanwhile"
    return Figure("backup of 100 000 mailboxes under load", seconds, " s", 30, details=details)


@contextmanager
def _writing(made: Panel, server: Server) -> Iterator[dict[int, int]]:
    """Four programs add mailboxes meanwhile, each on a new connection; their answers' statuses."""
    counts: dict[int, int] = {}
    over, lock = threading.Event(), threading.Lock()

    def write(number: int) -> None:
        count = 0
        while not over.is_set():
            count += 1
            connection = http.client.HTTPConnection("localhost", server.port, timeout=30)
            body = {"email": f"n{number}-{count}@{DOMAIN}", "password": PASSWORD}
            headers = {"Authorization": f"Bearer {made.tokens[0]}"}
            headers["Content-Type"] = "application/json"
            try:
                connection.request("POST", ADD_USER, json.dumps(body), headers)
                status = connection.getresponse().status
            except (OSError, http.client.HTTPException):
                status = 0
            finally:
                connection.close()
            with lock:
                counts[status] = counts.get(status, 0) + 1

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        over.set()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    show(figures())
