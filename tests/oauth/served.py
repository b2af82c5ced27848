"""A panel that listens, with a browser at it in which somebody can be signed in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from flask import Flask
from werkzeug.serving import make_server

from app import create_app
from app.config import Settings
from tests.applications import let_go
from tests.oauth.program import came_back
from tests.processes import free_port
from tests.web.conftest import Browser


@dataclass
class Served:
    """The panel, and what alice answers when she is asked."""

    app: Flask
    url: str
    browser: Browser
    may: str = "write"
    asked: list[str] = field(default_factory=list)

    def answer(self, address: str) -> dict[str, str]:
        """Go where a program sends her, and let it in; what its address is told."""
        assert address.startswith(f"{self.url}/oauth/authorize?")
        self.asked.append(address)
        path = address.removeprefix(self.url)
        assert self.browser.get(path).status_code == 200
        back = self.browser.post(path, reach="1", may=self.may, answer="allow")
        self.sent_to = back.location
        return came_back(back)


@contextmanager
def serve(settings: Settings) -> Iterator[Served]:
    """Listen on a port that its settings know of."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    app = create_app(replace(settings, public_url=url))
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    browser = Browser(app, app.test_client())
    browser.sign_in("alice@people.example")
    try:
        yield Served(app, url, browser)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        let_go(app)
