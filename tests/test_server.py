"""`mailcote serve`: the production server, its signals, and what it refuses by itself."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app import heartbeats
from app.config import Settings
from tests.cli.mailcote import COMMAND, Mailcote, environment
from tests.conftest import PASSWORD, Cast, cheap_settings
from tests.databases import NEWER, NEWEST
from tests.processes import eventually, free_port, is_listening, process

ROOT = Path(__file__).parents[1]
PUBLIC = "panel.example.nl"


@dataclass
class Server:
    """A running server: its master, where it listens, and what it logs."""

    master: subprocess.Popen[bytes]
    port: int
    settings: Settings
    cast: Cast
    log: Path

    def ask(
        self, path: str, host: str | None = None, token: str | None = None, **body: object
    ) -> int:
        """The status of a GET, or of a POST with these fields as alice sends them."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Host": host or f"127.0.0.1:{self.port}", "Connection": "close"}
        headers["Authorization"] = f"Bearer {token or self.cast.tokens['alice']}"
        with closing(connection):
            if body:
                headers["Content-Type"] = "application/json"
                connection.request("POST", path, json.dumps(body), headers)
            else:
                connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status

    def tell(self, request: bytes) -> int:
        """The status of the answer to these very bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(request)
            with suppress(ConnectionResetError), connection.makefile("rb") as answer:
                return int(answer.readline().split()[1])
        return 0

    def add_user(self, name: str) -> int:
        path = "/iapi/project/1/email_account/add-user"
        return self.ask(path, email=f"{name}@example.nl", password=PASSWORD)

    def counted(self, face: str) -> float:
        """How many requests of a face its workers have answered, dead ones too."""
        with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=60) as answer:
            told = answer.read().decode()
        return sum(
            sample.value
            for family in text_string_to_metric_families(told)
            for sample in family.samples
            if sample.name == "mailcote_requests_total" and sample.labels["face"] == face
        )

    def heard_of(self) -> dict[str, float]:
        """The threads of its workers, and the seconds since the one last heard of."""
        with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=60) as answer:
            told = answer.read().decode()
        pattern = r'^mailcote_thread_seconds_since_beat\{thread="(\w+)"\} (\S+)$'
        return {name: float(seconds) for name, seconds in re.findall(pattern, told, re.M)}

    def workers(self) -> set[int]:
        """The processes that answer requests."""
        children = Path(f"/proc/{self.master.pid}/task/{self.master.pid}/children")
        return set(map(int, children.read_text().split()))


@contextmanager
def serve(
    folder: Path, staged_panel: tuple[Path, Cast], *, program: list[str] = COMMAND, **changed: str
) -> Iterator[Server]:
    """A server with two workers, started where another program keeps a package `app`."""
    file, cast = staged_panel
    settings = cheap_settings(folder / "instance")
    settings.instance.mkdir()
    shutil.copy(file, settings.instance / "panel.db")
    (folder / "app").mkdir()
    (folder / "app" / "__init__.py").write_text("raise SystemExit('this is another program')")
    port = free_port()
    command = ["env", "-C", str(folder), *program, "serve", "--port", str(port)]
    variables = environment(
        settings, MAILCOTE_PUBLIC_URL=f"https://{PUBLIC}", MAILCOTE_WORKERS="2", **changed
    )
    log = folder / "log"
    with log.open("wb") as stderr, process(command, variables, stderr) as master:
        server = Server(master, port, settings, cast, log)
        eventually(lambda: is_listening(port))
        assert server.ask("/iapi/openapi.json") == 200
        yield server


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, staged_panel: tuple[Path, Cast]
) -> Iterator[Server]:
    """One server for all tests that leave it running."""
    with serve(tmp_path_factory.mktemp("server"), staged_panel) as running:
        yield running


@pytest.mark.real
def test_its_pid_is_that_of_the_master(server: Server) -> None:
    command = Path(f"/proc/{server.master.pid}/cmdline").read_bytes()
    assert b"gunicorn" in command
    eventually(lambda: len(server.workers()) == 2)
    assert server.add_user("first") == 201


@pytest.mark.real
def test_other_commands_work_beside_it(server: Server) -> None:
    mailcote = Mailcote(server.settings)
    mailcote.done("project", "add", "Bakery")
    token = mailcote.done("token", "add", "--project", "1").last_line
    assert server.ask("/iapi/project/1/email_account/list-users", token=token) == 200
    for command in ("check", "purge", "confirm-shrink"):
        mailcote.done(command)
    file = server.settings.instance / "backup"
    mailcote.done("backup", str(file))
    assert server.add_user("after-the-backup") == 201
    mailcote.done("restore", str(file))
    assert server.add_user("after-the-backup") == 201


@pytest.mark.real
@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:8000", "localhost", "LOCALHOST:1", "[::1]", "[::1]:8000", PUBLIC],
)
def test_it_answers_for_its_own_hosts(server: Server, host: str) -> None:
    assert server.ask("/iapi/openapi.json", host) == 200


@pytest.mark.real
@pytest.mark.parametrize(
    "headers",
    [
        "Host: evil.nl",
        f"Host: evil.nl:{8000}",
        f"Host: {PUBLIC}.evil.nl",
        f"Host: evil.{PUBLIC}",
        f"Host: {PUBLIC}@evil.nl",
        f"Host: evil.nl@{PUBLIC}",
        f"Host: {PUBLIC}/evil.nl",
        f"Host: {PUBLIC}?evil.nl",
        f"Host: {PUBLIC}:8000:evil.nl",
        "Host: [::1",
        "Host:",
        "",
        f"Host: {PUBLIC}\r\nHost: evil.nl",
        "Host: evil.nl\r\nX-Forwarded-Host: " + PUBLIC,
    ],
)
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_it_answers_for_no_other_host(server: Server, headers: str, version: str) -> None:
    lines = [f"GET /iapi/openapi.json HTTP/{version}", "Connection: close", headers]
    request = "\r\n".join(filter(None, lines)) + "\r\n\r\n"
    assert server.tell(request.encode()) == 400


@pytest.mark.real
@pytest.mark.parametrize(
    "request_line_and_headers",
    [
        f"GET /{'x' * 9000} HTTP/1.1",
        f"GET /iapi/openapi.json?{'x' * 9000} HTTP/1.1",
        f"GET /iapi/openapi.json HTTP/1.1\r\nX: {'x' * 9000}",
        "GET /iapi/openapi.json HTTP/1.1" + "".join(f"\r\nX{n}: x" for n in range(200)),
        "GET /iapi/openapi.json HTTP/9.9",
        "GET",
        "GET /iapi/openapi.json HTTP/1.1\r\nno header",
    ],
    ids=lambda text: text[:40],
)
def test_it_refuses_what_is_too_long_or_no_http(
    server: Server, request_line_and_headers: str
) -> None:
    request = f"{request_line_and_headers}\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert server.tell(request.encode()) in range(400, 500)


@pytest.mark.real
def test_a_killed_worker_is_replaced(server: Server) -> None:
    eventually(lambda: len(server.workers()) == 2)
    before = server.workers()
    killed = min(before)
    os.kill(killed, signal.SIGKILL)
    for _ in range(20):
        assert server.ask("/iapi/openapi.json") == 200
    eventually(lambda: len(server.workers() - before) == 1 and len(server.workers()) == 2)
    assert server.add_user(f"killed-{killed}") == 201
    # Of the threads that died with it, nobody is missed.
    eventually(lambda: {"housekeeping", "zones"} <= server.heard_of().keys())
    assert all(age < heartbeats.PATIENCE[name] for name, age in server.heard_of().items())


@pytest.mark.real
def test_it_reloads_without_refusing_a_request(server: Server) -> None:
    statuses, enough = list[int](), threading.Event()
    before_all = server.counted("api")

    def keep_asking() -> None:
        while not enough.is_set():
            statuses.append(server.ask("/iapi/project/1/email_account/list-users"))

    asking = [threading.Thread(target=keep_asking) for _ in range(2)]
    for thread in asking:
        thread.start()
    try:
        for _ in range(2):
            eventually(lambda: len(server.workers()) == 2)
            before = server.workers()
            server.master.send_signal(signal.SIGHUP)
            eventually(partial(are_new, server, before))
            so_far = len(statuses)
            eventually(partial(has_grown, statuses, so_far + 10))
    finally:
        enough.set()
        for thread in asking:
            thread.join()
    assert set(statuses) == {200}
    assert server.master.poll() is None
    # Those of the workers that are gone by now are counted, too, whichever worker is asked.
    assert [server.counted("api") - before_all for _ in range(5)] == [len(statuses)] * 5


@pytest.mark.real
def test_its_log_is_lines_of_json_without_what_was_sent(server: Server) -> None:
    canary = "canary-that-must-not-sing"
    server.ask(f"/iapi/project/1/email_account/list-users?domain={canary}")
    server.ask(f"/welcome/{canary}", token=canary)
    server.ask("/iapi/project/1/email_account/add-user", email=canary, password=canary)
    server.tell(f"GET /?{canary} HTTP/9.9\r\nHost: localhost\r\n\r\n".encode())
    server.tell(f"GET /{canary} HTTP/1.1\r\nHost: {canary}\r\nConnection: close\r\n\r\n".encode())
    said = server.log.read_text().splitlines()
    assert said.pop(0).startswith("Mailcote listens on 127.0.0.1")
    lines = [json.loads(line) for line in said]
    routes = [line["route"] for line in lines if line["logger"] == "app.request_log"]
    assert "/welcome/<token>" in routes
    assert all({"at", "level", "logger", "message"} <= line.keys() for line in lines)
    assert [line for line in said if canary in line or server.cast.tokens["alice"] in line] == []


def has_grown(statuses: list[int], size: int) -> bool:
    """Whether there are as many answers by now."""
    return len(statuses) >= size


def are_new(server: Server, before: set[int]) -> bool:
    """Whether none of the workers is one of before."""
    now = server.workers()
    return len(now) == 2 and not now & before


@contextmanager
def writers_wait(settings: Settings) -> Iterator[Path]:
    """Keep everybody from writing; the file whose lock they wait for."""
    path = settings.instance / "panel.db.lock"
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield path


def somebody_waits_for(path: Path, processes: set[int]) -> bool:
    """Whether one of these processes has come to the lock on this file (proc(5), /proc/PID/fd)."""
    descriptors = (link for pid in processes for link in Path(f"/proc/{pid}/fd").glob("*"))
    return any(link.resolve() == path.resolve() for link in descriptors)


@pytest.mark.real
def test_it_ends_gracefully_while_it_works(tmp_path: Path, staged_panel: tuple[Path, Cast]) -> None:
    statuses = list[int]()
    with serve(tmp_path, staged_panel, MAILCOTE_MAILBOX_BCRYPT_COST="12") as server:
        slow = threading.Thread(target=lambda: statuses.append(server.add_user("slow")))
        with writers_wait(server.settings) as lock:
            slow.start()
            eventually(lambda: somebody_waits_for(lock, server.workers()))
            eventually(lambda: len(server.workers()) == 2)
            server.master.terminate()
            # The one that has nothing to do ends at once; the other one finishes its work.
            eventually(lambda: len(server.workers()) == 1)
            assert server.master.poll() is None
        slow.join()
        assert statuses == [201]
        assert server.master.wait(60) == 0
        assert not is_listening(server.port)


@pytest.mark.real
@pytest.mark.parametrize("how", ["TERM", pytest.param("HUP", marks=pytest.mark.long)])
def test_a_node_that_waits_does_not_keep_it_from_ending(
    tmp_path: Path, staged_panel: tuple[Path, Cast], how: str
) -> None:
    """It waits for nearly as long as a test has patience; it is told that nothing has changed."""
    statuses = list[int]()
    with serve(tmp_path, staged_panel) as server:
        node = threading.Thread(target=partial(wait_for_change, server, statuses))
        node.start()
        eventually(lambda: has_applied(server))  # which is noted just before it waits
        eventually(lambda: nodes_waiting(server) == 1)
        before = server.workers()
        server.master.send_signal(signal.Signals[f"SIG{how}"])
        if how == "HUP":
            eventually(partial(are_new, server, before))
            assert nodes_waiting(server) == 0
        else:
            assert server.master.wait(60) == 0
        node.join()
    assert statuses == [304]


def wait_for_change(server: Server, statuses: list[int]) -> None:
    """Fetch the state as a node does, then ask for what is newer, and wait for it."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=90)
    headers = {"Authorization": f"Bearer {server.cast.sync_key}"}
    with closing(connection):
        connection.request("GET", "/sync/v1/export", headers=headers)
        answer = connection.getresponse()
        answer.read()
        headers["If-None-Match"] = str(answer.getheader("ETag"))
        connection.request("GET", "/sync/v1/export?wait=55", headers=headers)
        statuses.append(connection.getresponse().status)


def nodes_waiting(server: Server) -> float:
    """How many nodes wait, by the figures."""
    with urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=60) as answer:
        (told,) = re.findall(r"^mailcote_nodes_waiting (\S+)$", answer.read().decode(), re.M) or [0]
    return float(told)


def has_applied(server: Server) -> bool:
    """Whether the node has said what it holds."""
    with closing(sqlite3.connect(server.settings.instance / "panel.db")) as database:
        (revision,) = database.execute("SELECT applied_revision FROM nodes").fetchone()
    return revision is not None


RUN_FROM = "import sys; sys.path.insert(0, sys.argv.pop(1)); from app.cli import main; main()"


@pytest.mark.real
def test_reloading_takes_over_what_is_installed_by_then(
    tmp_path: Path, staged_panel: tuple[Path, Cast]
) -> None:
    code = tmp_path / "code"
    for folder in ("app", "templates", "static"):
        shutil.copytree(ROOT / folder, code / folder, ignore=shutil.ignore_patterns("*.pyc"))
    program = [sys.executable, "-P", "-c", RUN_FROM, str(code)]
    with serve(tmp_path, staged_panel, program=program) as server:
        assert server.ask("/new") == 404
        installed = code / "app" / "factory.py"
        new = installed.read_text().replace(
            "    return app\n",
            "    view = doors.opens_to('nothing')(lambda: 'new')\n"
            "    app.add_url_rule('/new', view_func=view)\n    return app\n",
        )
        installed.write_text(new)
        migrations = code / "app" / "migrations" / "versions"
        (migrations / "9001_newer.py").write_text(NEWER.replace("{newest}", NEWEST))
        server.master.send_signal(signal.SIGHUP)
        eventually(lambda: server.ask("/new") == 200)
        with closing(sqlite3.connect(server.settings.instance / "panel.db")) as panel:
            assert panel.execute("SELECT version_num FROM alembic_version").fetchall() == [
                ("9001",)
            ]


# What it refuses before it starts


def test_it_refuses_a_port_in_use(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        sentence = Mailcote(settings).refused("serve", "--port", str(port))
    assert sentence == f"Cannot listen on 127.0.0.1, port {port}: Address already in use."


@pytest.mark.parametrize(
    "host", ["192.0.2.1", "127.0.0.1.5", "127.0.0.1:80", "1:2", "x" * 100, "-", "..", "::1::"]
)
def test_it_refuses_a_host_it_cannot_listen_on(settings: Settings, host: str) -> None:
    sentence = Mailcote(settings).refused("serve", f"--host={host}", "--port", str(free_port()))
    assert sentence.startswith(f"Cannot listen on {host}, port ")


@pytest.mark.parametrize(
    "host", ["[::1]", "a b", "http://localhost", "*", "x" * 254, "ünï.nl", "$"]
)
def test_it_refuses_a_host_that_is_none(settings: Settings, host: str) -> None:
    assert Mailcote(settings).refused("serve", "--host", host).startswith("MAILCOTE_HOST takes ")


@pytest.mark.parametrize("command", ["serve", "demo"])
@pytest.mark.parametrize("port", ["0", "-1", "65536", "http", ""])
def test_it_refuses_a_port_that_is_none(settings: Settings, command: str, port: str) -> None:
    assert "'--port'" in Mailcote(settings).used_wrongly(command, f"--port={port}")


def has_ipv6() -> bool:
    """Whether this machine has the loopback address of IPv6."""
    with suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


@pytest.mark.real
@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_it_listens_on_ipv6(settings: Settings) -> None:
    port = free_port()
    command = [*COMMAND, "serve", "--host", "::1", "--port", str(port)]

    def answers() -> bool:
        with suppress(OSError):
            connection = http.client.HTTPConnection("::1", port, timeout=60)
            with closing(connection):
                connection.request("GET", "/iapi/openapi.json")
                return connection.getresponse().status == 200
        return False

    with process(command, environment(settings, MAILCOTE_WORKERS="1")):
        eventually(answers)
