"""A program that wants to be let in, as little of it as the tests need."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.mcp.client import tool_name
from tests.web.conftest import Browser

PANEL = "http://127.0.0.1:8000"  # as its settings say
ISSUER, RESOURCE = f"{PANEL}/oauth", f"{PANEL}/mcp"
CALLBACK = "http://127.0.0.1:33418/callback"
VERIFIER = "correct-horse-battery-staple_0123456789.~abc"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode()[:43]


@dataclass
class Program:
    """Registers, asks, exchanges, and calls; everything it sends can be replaced."""

    client: FlaskClient
    client_id: str = ""
    access: str = ""
    refresh_token: str = ""
    granted: dict[str, Any] = field(default_factory=dict)

    def register(self, **values: Any) -> TestResponse:
        """Describe itself; what it is called from then on it remembers."""
        described = {"client_name": "Helper", "redirect_uris": ["http://127.0.0.1/callback"]}
        answer = self.client.post("/oauth/register", json={**described, **values})
        self.client_id = (answer.get_json(silent=True) or {}).get("client_id", self.client_id)
        return answer

    def request(self, **changes: str | None) -> dict[str, str]:
        """What it asks for; None leaves a parameter out."""
        asked: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "scope": "read write",
            "state": "st&te=1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "resource": RESOURCE,
            **changes,
        }
        return {name: text for name, text in asked.items() if text is not None}

    def address(self, **changes: str | None) -> str:
        """Where it sends the browser."""
        return f"/oauth/authorize?{urlencode(self.request(**changes))}"

    def ask(self, browser: Browser, answer: str = "allow", /, **changes: Any) -> dict[str, str]:
        """Have somebody asked, who answers; what comes back to its address."""
        form = {"reach": changes.pop("reach", "1"), "may": changes.pop("may", "write")}
        address = self.address(**changes)
        page = browser.get(address)
        assert page.status_code == 200, page.text
        back = browser.post(address, answer=answer, **form)
        assert back.status_code == 303, back.text
        return came_back(back)

    def token(self, **form: str | None) -> TestResponse:
        """Ask for tokens with this form."""
        sent = {name: text for name, text in form.items() if text is not None}
        return self.client.post("/oauth/token", data=sent)

    def exchange(self, code: str, /, **changes: str | None) -> TestResponse:
        """Exchange a code, and remember what came of it."""
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "client_id": self.client_id,
            "code_verifier": VERIFIER,
            "resource": RESOURCE,
            **changes,
        }
        return self._remember(self.token(**form))

    def refresh(self, **changes: str | None) -> TestResponse:
        """Exchange the refresh token, and remember what came of it."""
        form: dict[str, str | None] = {
            "grant_type": "refresh_token",
            "refresh_token": self.refresh_token,
            "client_id": self.client_id,
            **changes,
        }
        return self._remember(self.token(**form))

    def connect(self, browser: Browser, **changes: Any) -> Program:
        """All of it, until it can call."""
        answer = self.exchange(self.ask(browser, **changes)["code"])
        assert answer.status_code == 200, answer.text
        return self

    def call(self, operation: str, **arguments: Any) -> TestResponse:
        """Call a tool."""
        params = {"name": tool_name(operation), "arguments": arguments}
        return self.send({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params})

    def send(self, message: object, path: str = "/mcp", access: str | None = None) -> TestResponse:
        """Send a message with the access token."""
        credential = self.access if access is None else access
        headers = {"Authorization": f"Bearer {credential}"}
        return self.client.post(path, json=message, headers=headers)

    def result(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """The result of a tool that may be called."""
        answer = self.call(operation, **arguments)
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.get_json()["result"]
        return result

    @property
    def is_connected(self) -> bool:
        """Whether its access token opens anything."""
        return self.call("list-domains").status_code == 200

    def _remember(self, answer: TestResponse) -> TestResponse:
        if answer.status_code == 200:
            self.granted = answer.get_json()
            self.access = self.granted["access_token"]
            self.refresh_token = self.granted["refresh_token"]
        return answer


def came_back(answer: TestResponse) -> dict[str, str]:
    """The parameters with which a browser is sent back to the program."""
    return told(answer.location)


def offered(page: TestResponse) -> dict[str, str]:
    """What the program is told if the person goes back; nothing takes them there by itself."""
    assert (page.status_code, page.headers.get("Location")) == (400, None)
    assert "http-equiv" not in page.text
    link = re.search(r'href="([^"]+)" rel="noreferrer"', page.text)
    assert link
    assert link[1].startswith(CALLBACK)
    return told(unescape(link[1]))


def told(address: str) -> dict[str, str]:
    """The parameters in an address, each of them once."""
    query = parse_qs(urlsplit(address).query, strict_parsing=True)
    return {name: texts[0] for name, texts in query.items() if len(texts) == 1}


def assert_oauth_error(answer: TestResponse, error: str, status: int = 400) -> str:
    """The sentence of a refusal as RFC 6749, section 5.2, has it; "" when there is none."""
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.get_json()
    assert body.keys() <= {"error", "error_description"}
    assert body["error"] == error, body
    sentence: str = body.get("error_description", "")
    return sentence
