"""A panel as it runs in production, for the real clients of MCP."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.cli.mailcote import COMMAND, environment
from tests.conftest import Cast, cheap_settings
from tests.processes import eventually, free_port, is_listening, process


@dataclass(frozen=True)
class Served:
    """A running panel with the cast in place."""

    port: int
    cast: Cast

    @property
    def url(self) -> str:
        """Where assistants with a token connect to."""
        return f"http://127.0.0.1:{self.port}/mcp-token"


@contextmanager
def serve(folder: Path, staged_panel: tuple[Path, Cast]) -> Iterator[Served]:
    """`mailcote serve` on a copy of the panel."""
    file, cast = staged_panel
    shutil.copy(file, folder / "panel.db")
    port = free_port()
    variables = environment(cheap_settings(folder), MAILCOTE_WORKERS="2")
    with process([*COMMAND, "serve", "--port", str(port)], variables):
        eventually(lambda: is_listening(port))
        yield Served(port, cast)


@contextmanager
def with_token(served: Served, who: str) -> Iterator[str]:
    """The address of a proxy that adds somebody's token, for clients that cannot send one."""
    proxy = _Proxy(served.port, served.cast.tokens[who])
    thread = threading.Thread(target=proxy.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{proxy.server_port}/mcp-token"
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()


class _Proxy(ThreadingHTTPServer):
    """Passes everything on as it is, Host and Origin too: some tests are about them."""

    daemon_threads = True

    def __init__(self, upstream: int, token: str) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.upstream = upstream
        self.token = token

    def handle_error(self, *_arguments: object) -> None:
        """Clients that hang up are no news."""


class _Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Proxy

    def pass_on(self) -> None:
        """Ask the panel, and answer what it does."""
        with closing(HTTPConnection("127.0.0.1", self.server.upstream, timeout=60)) as upstream:
            answer = self._ask(upstream)
            content = answer.read()
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _ask(self, upstream: HTTPConnection) -> HTTPResponse:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("connection", "content-length", "authorization"):
                upstream.putheader(name, value)
        upstream.putheader("Authorization", f"Bearer {self.server.token}")
        upstream.putheader("Content-Length", str(len(body)))
        upstream.endheaders(body)
        return upstream.getresponse()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


for _verb in ("GET", "POST", "DELETE", "OPTIONS"):
    setattr(_Passing, f"do_{_verb}", _Passing.pass_on)
