"""The panel that is measured: as many mailboxes as are wanted, and the production server."""

from __future__ import annotations

import os
import random
import socket
import sqlite3
import string
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from flask import Flask

from app import clock, create_app, upgrade
from app.caller import command_line
from app.config import PREFIX, Settings
from app.extensions import db
from app.operations import OPERATIONS
from tests.bench.measure import peak_megabytes

ROOT = Path(__file__).resolve().parents[2]
DOMAIN = "example.nl"
_BASE64 = "./" + string.ascii_letters + string.digits
_INSERT = """
INSERT INTO mailboxes (id, domain_id, email, password_hash, quota_mb, can_login, can_receive,
  created_at, updated_at, revision) VALUES (?, 1, ?, ?, 1024, 1, 1, ?, ?, 1)
"""


@dataclass
class Panel:
    """A panel with one project, one domain and its mailboxes, tokens to use it, and a node."""

    folder: Path
    app: Flask
    tokens: list[str] = field(default_factory=list)
    sync_key: str = ""

    @property
    def database(self) -> Path:
        """The file with the data."""
        return self.folder / "panel.db"


@contextmanager
def panel(mailboxes: int, *, tokens: int = 1) -> Iterator[Panel]:
    """A panel in a folder that is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="bench.") as name:
        app = create_app(Settings(instance=Path(name)))
        made = Panel(Path(name), app)
        with app.app_context():
            upgrade.bring_up_to_date()
            _set_up(made, tokens)
            _fill(made.database, mailboxes)
            OPERATIONS["confirm-shrink"](command_line())  # counts them, and nodes have been told
        try:
            yield made
        finally:
            with app.app_context():
                db.session.remove()
                db.engine.dispose()


def _set_up(made: Panel, tokens: int) -> None:
    run, operator = OPERATIONS, command_line()
    run["add-project"](operator, name="Example")
    run["assign-domain"](operator, domain=DOMAIN, project_id=1)
    run["enable-email"](operator.in_project(1), domain=DOMAIN)
    made.sync_key = run["add-node"](operator, name="mpi01").sync_key
    made.tokens = [
        run["add-token"](operator, name="bench", project_id=1).text for _ in range(tokens)
    ]


def _fill(database: Path, mailboxes: int) -> None:
    """Insert mailboxes past the operations: hashing 100 000 passwords would take hours."""
    chance, now = random.Random(1), clock.now()
    rows = (
        (
            uuid.UUID(int=chance.getrandbits(128), version=4).hex,
            f"user{number}@{DOMAIN}",
            "{BLF-CRYPT}$2y$10$" + "".join(chance.choices(_BASE64, k=53)),
            now,
            now,
        )
        for number in range(mailboxes)
    )
    connection = sqlite3.connect(database)
    with connection:
        connection.executemany(_INSERT, rows)
    connection.close()


class Connection:
    """One keep-alive connection that does next to nothing itself, to measure the server alone."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes, expected: int) -> bytes:
        """Send a request; the body of the answer, which has to have the expected status."""
        self._socket.sendall(request)
        answer = self._socket.recv(65536)
        while b"\r\n\r\n" not in answer:
            answer += self._received()
        head, _, body = answer.partition(b"\r\n\r\n")
        if int(head[9:12]) != expected:
            raise RuntimeError(f"answered {head!r} {body[:500]!r}")
        _, has_length, rest = head.lower().partition(b"\r\ncontent-length: ")
        missing = int(rest.partition(b"\r\n")[0]) - len(body) if has_length else 0
        parts = [body]
        while missing > 0:
            parts.append(self._received())
            missing -= len(parts[-1])
        return b"".join(parts)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _received(self) -> bytes:
        piece = self._socket.recv(1 << 20)
        if not piece:
            raise ConnectionError("the server hung up")
        return piece


def get(path: str, **headers: str) -> bytes:
    """A GET request."""
    return _request("GET", path, headers, b"")


def post(path: str, body: bytes, **headers: str) -> bytes:
    """A POST request with JSON."""
    return _request("POST", path, {"Content-Type": "application/json", **headers}, body)


def _request(method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass
class Server:
    """A running server."""

    process: subprocess.Popen[bytes]
    port: int
    seconds: float  # from its start to its first answer

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection to it."""
        connection = Connection(self.port)
        try:
            yield connection
        finally:
            connection.close()

    def workers(self) -> list[int]:
        """The process ids of its workers."""
        pid = self.process.pid
        return [*map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    def computed(self) -> float:
        """Milliseconds its workers have computed so far."""
        statistics = [
            path.read_text().split()
            for pid in self.workers()
            for path in Path(f"/proc/{pid}/task").glob("*/schedstat")
        ]
        return sum(int(nanoseconds) for nanoseconds, *_ in statistics) / 1e6

    def peak_megabytes(self) -> float:
        """The most memory that one of its processes has used."""
        return max(peak_megabytes(pid) for pid in (self.process.pid, *self.workers()))


@contextmanager
def served(folder: Path, **settings: object) -> Iterator[Server]:
    """`mailcote serve` with a panel's folder, every setting at its default unless it is given."""
    port = _free_port()
    command = [sys.executable, "-m", "app.cli", "serve", "--port", str(port)]
    with _running(command, port, folder, settings) as server:
        yield server


@contextmanager
def served_bare(application: str, folder: Path, *options: str) -> Iterator[Server]:
    """Another application on gunicorn; without options with the settings of the panel's server."""
    port = _free_port()
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", application]
    chosen = options or ("--config", f"file:{ROOT / 'app' / 'server.py'}")
    with _running([*command, *chosen], port, folder, {}) as server:
        yield server


@contextmanager
def _running(
    command: Sequence[str | Path], port: int, folder: Path, settings: dict[str, object]
) -> Iterator[Server]:
    environment = {name: text for name, text in os.environ.items() if not name.startswith(PREFIX)}
    environment |= {PREFIX + name.upper(): str(value) for name, value in settings.items()}
    environment[PREFIX + "INSTANCE"] = str(folder)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installation has its bytecode at hand
    begun = time.perf_counter()
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log)
    try:
        _wait_until_it_answers(process, port)
        yield Server(process, port, time.perf_counter() - begun)
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int) -> None:
    while process.poll() is None:
        with suppress(OSError):
            connection = Connection(port)
            connection.ask(get("/nothing"), 404)
            connection.close()
            return
        time.sleep(0.005)
    raise RuntimeError("the server ended before it answered")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
