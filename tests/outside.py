"""A mail server and a web server on this machine, and a panel that tells them."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from email import message_from_string
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from app import clock
from app.config import Settings
from app.database import write_transaction
from app.extensions import db
from app.models import NodeAlert, Notice


@dataclass
class Outside:
    """What arrived outside: mails with their recipients, and what was posted."""

    mails: list[tuple[list[str], str]] = field(default_factory=list)
    posts: list[dict[str, Any]] = field(default_factory=list)
    status: int = 204
    refused: str = ""  # a recipient
    on_mail: Callable[[], None] = lambda: None
    smtp: int = 0
    http: int = 0

    @property
    def events(self) -> list[str]:
        """What was told by webhook, in order."""
        return [f"{post['node']} {post['event']}" for post in self.posts]

    @property
    def subjects(self) -> list[str]:
        """The subjects of the mails, in order."""
        return [str(message_from_string(text)["Subject"]) for _, text in self.mails]


@contextmanager
def _mail_server(outside: Outside) -> Iterator[None]:
    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 sink ESMTP\r\n")
            to: list[str] = []
            while line := self.rfile.readline().decode().strip():
                verb = line.upper()
                if outside.refused and outside.refused in line:
                    self.wfile.write(b"550 no such user\r\n")
                    continue
                if verb.startswith("RCPT TO:"):
                    to.append(line.partition("<")[2].partition(">")[0])
                if verb == "DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = iter(lambda: self.rfile.readline().decode(), ".\r\n")
                    outside.mails.append((to, "".join(lines)))
                    outside.on_mail()
                self.wfile.write(b"221 bye\r\n" if verb == "QUIT" else b"250 fine\r\n")

    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)) as port:
        outside.smtp = port
        yield


@contextmanager
def _web_server(outside: Outside) -> Iterator[None]:
    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            outside.posts.append({**body, "path": self.path})
            self.send_response(outside.status)
            self.send_header("Location", f"http://127.0.0.1:{outside.http}/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Hook)) as port:
        outside.http = port
        yield


@contextmanager
def serving(server: socketserver.TCPServer) -> Iterator[int]:
    """Serve for a while; the port."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    with server:
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def outside() -> Iterator[Outside]:
    """A mail server and a web server that take everything."""
    made = Outside()
    with _mail_server(made), _web_server(made):
        yield made


@pytest.fixture
def settings(settings: Settings, outside: Outside) -> Settings:
    """A panel that tells them."""
    return replace(
        settings,
        smtp_url=f"smtp://127.0.0.1:{outside.smtp}",
        mail_from="panel@mailcote.example",
        alert_webhook=f"http://127.0.0.1:{outside.http}/hook?key=7",
    )


def after(seconds: int) -> None:
    """Let it be so long since news were tried; what waits behind them was not yet."""
    moment = clock.from_now(seconds=-seconds)
    with write_transaction() as session:
        for kind in (NodeAlert, Notice):
            tried = db.update(kind).where(kind.tried_at.is_not(None))
            session.execute(tried.values(tried_at=moment))
