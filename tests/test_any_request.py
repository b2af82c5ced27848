"""Whatever is sent to whatever address, by whoever: never a fault, and a JSON face answers JSON.

Addresses, methods, headers and bodies are made of what means something somewhere, of what means
something elsewhere, and of what means nothing; more of them with `-m long`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from app import create_app
from app.caller import command_line
from app.config import Settings
from app.operations import OFFERED, OPERATIONS
from tests.applications import let_go
from tests.conftest import PASSWORD, Cast, cheap_settings
from tests.oauth.conftest import signed_in
from tests.web.conftest import peopled_panel

__all__ = ["peopled_panel"]

TEXTS = st.one_of(
    st.sampled_from(
        ("", "0", "1", "-1", "2147483648", "9" * 30, "1e9", "true", "null", "info@example.nl",
         "example.nl", "mpi01", "user@xn--", "..", "../../etc", "%", "%00", "\0", "\n", "\r\nX: y",
         "é", "\u202e", "\ufeff", "😀" * 9, "x" * 1100, "$2y$10$", "{{7*7}}", "<svg onload=1>", "'",
         PASSWORD, "alice@people.example", "2026-02-31T00:00:00Z", "http://127.0.0.1/x", "S256",
         "code", "authorization_code", "refresh_token", "//evil.example", "/\\evil")
    ),
    st.text(max_size=12).filter(lambda text: not any(0xD800 <= ord(one) < 0xE000 for one in text)),
)  # fmt: skip
NAMES = st.one_of(
    st.sampled_from(
        ("email", "password", "domain", "project", "project_id", "name", "q", "page", "per", "sort",
         "state", "next", "token", "code", "quota_mb", "limit", "cursor", "since", "wait", "reach",
         "client_id", "redirect_uri", "redirect_uris", "client_name", "grant_type", "refresh_token",
         "response_type", "code_challenge", "code_challenge_method", "scope", "resource", "answer",
         "code_verifier", "method", "params", "id", "jsonrpc", "epoch", "revision", "sha256",
         "counts", "usage", "last_login", "purged", "error", "rejected", "chosen", "local_part",
         "can_login", "can_receive", "ip_address", "typed", "proof", "days", "theme", "")
    ),
    st.text(max_size=5).filter(str.isprintable),
)  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), TEXTS,
        st.sampled_from((2**31, 2**63, -(2**63), 1.0, 1e308)),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
JSON = st.one_of(st.dictionaries(NAMES, VALUES, max_size=6), VALUES).map(json.dumps).map(str.encode)
ODD_BODIES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        (b"", b"{", b"[" * 5000, b'{"a":' * 200 + b"1" + b"}" * 200, b'{"email":1,"email":2}',
         b"\xef\xbb\xbf{}", '{"a":"b"}'.encode("utf-16"), b'{"a":"\\ud800"}', b'{"a":NaN}',
         b'{"a":' + b"9" * 5000 + b"}", b"{}" * 40_000, b'"' + b"x" * 70_000 + b'"', b"\0")
    ),
    JSON.map(lambda body: body[: len(body) // 2]),
)  # fmt: skip
TYPES = st.sampled_from(
    ("application/json",) * 4
    + ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", "",
       "application/json; charset=utf-16", "application/json;;;", "x", "application/JSON")
)  # fmt: skip
HEADERS = st.dictionaries(
    st.sampled_from(
        ("Accept", "Accept-Encoding", "Accept-Language", "Content-Encoding", "Cookie", "Expect",
         "If-None-Match", "If-Modified-Since", "Range", "Origin", "Referer", "User-Agent", "Via",
         "X-Forwarded-For", "X-Forwarded-Host", "X-Request-Id", "X-HTTP-Method-Override",
         "MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "HX-Request", "HX-Request-Type",
         "HX-Current-URL", "X-Poll", "Authorization")
    ),
    st.one_of(
        st.sampled_from(
            ("", '"', 'W/"x', "*", "gzip;q=x", "identity;q=0", "Bearer", "Bearer wpa_",
             "Basic Og==", "2026-07-28", "tools/call", "=?base64?x?=", "bytes=0-", "http://[",
             "::1", "partial", "__Host-session=x; a=b", "é".encode().decode("latin-1"))
        ),
        st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=12),
    ),
    max_size=3,
)  # fmt: skip
FORMS = st.dictionaries(NAMES.filter(bool), TEXTS, max_size=6)


def of_programs(path: str) -> bool:
    """Whether a face is there that programs talk to."""
    return path.startswith(("/iapi/", "/papi/", "/oauth/token", "/oauth/reg", "/sync/v1/", "/mcp"))


PLACES = ("1", "1", "1", "2", "info@example.nl", "example.nl", "mpi01", "list-users")


class Everybody:
    """All who could send something, at one panel that goes on whatever they do."""

    def __init__(self, app: Flask, cast: Cast) -> None:
        self.app = app
        self.browsers = {name: signed_in(app, name) for name in ("alice", "root")}
        for browser in self.browsers.values():
            browser.get("/account")
        self.credentials = {**cast.tokens, "node": cast.sync_key}
        found = {
            (rule.rule, method)
            for rule in app.url_map.iter_rules()
            for method in rule.methods or ()
            if rule.endpoint != "static" and rule.rule != "/sign-out"
            if method not in ("HEAD", "OPTIONS")
        }
        self.pages = sorted(one for one in found if not of_programs(one[0]))
        self.programs = sorted(one for one in found if of_programs(one[0]))
        self.operations = [
            (f"/iapi/project/{project}/email_account/{name}", "POST")
            for name in sorted(operation.name for operation in OFFERED)
            for project in (1, 1, 1, 2, "<id>")
        ]

    def send(
        self, who: str, address: str, method: str, headers: dict[str, str], **sent: Any
    ) -> TestResponse:
        """Send it, with the credential that they have."""
        client: FlaskClient = self.app.test_client()
        if who in self.credentials and "Authorization" not in headers:
            headers = {**headers, "Authorization": f"Bearer {self.credentials[who]}"}
        if browser := self.browsers.get(who.removesuffix("'s browser")):
            client = browser.client
            headers = {"X-CSRFToken": browser.csrf_token, **headers}
        return client.open(address, method=method, headers=headers, **sent)


@pytest.fixture(scope="module")
def everybody(
    peopled_panel: Path,
    staged_panel: tuple[Path, Cast],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Everybody]:
    """One panel for all of it."""
    folder = tmp_path_factory.mktemp("panel")
    (folder / "panel.db").write_bytes(peopled_panel.read_bytes())
    settings: Settings = cheap_settings(folder)
    app = create_app(settings)
    with app.app_context():
        caller = command_line().in_project(1)
        OPERATIONS["add-user"](caller, email="info@example.nl", password=PASSWORD)
    yield Everybody(app, staged_panel[1])
    let_go(app)


@st.composite
def requests(draw: Any, everybody: Everybody) -> dict[str, Any]:
    """Somebody's request: an address there is, with anything in it."""
    faces = (everybody.pages, everybody.programs, everybody.operations)
    rule, method = draw(st.sampled_from(draw(st.sampled_from(faces))))
    address = "/".join(
        quote(draw(st.sampled_from(PLACES) | TEXTS), safe="%") if part.startswith("<") else part
        for part in rule.split("/")
    )
    sent: dict[str, Any] = {}
    how = draw(st.integers(0, 5))
    if method in ("POST", "PUT", "PATCH") and how:
        if how < 3:
            sent = {"data": draw(JSON if how == 1 else ODD_BODIES), "content_type": draw(TYPES)}
        else:
            sent = {"data": draw(FORMS)}
    if draw(st.booleans()):
        sent["query_string"] = draw(FORMS)
    return {
        "who": draw(st.sampled_from(("alice", "root", "node", "alice's browser", "root's browser",
                                     "nobody"))),
        "address": address,
        "method": draw(st.sampled_from((*[method] * 18, "PUT", "HEAD"))),
        "headers": draw(HEADERS),
        **sent,
    }  # fmt: skip


@pytest.mark.parametrize("count", [200, pytest.param(4000, marks=pytest.mark.long)])
def test_it_works(everybody: Everybody, count: int) -> None:
    @examples(max_examples=count, suppress_health_check=list(HealthCheck), database=None)
    @given(requests(everybody))
    def send(request: dict[str, Any]) -> None:
        answer = everybody.send(**request)
        assert answer.status_code < 500, answer.text
        if of_programs(request["address"]) and answer.status_code >= 400:
            assert answer.mimetype == "application/json", answer.headers
            assert request["method"] == "HEAD" or answer.get_json()
        assert "Traceback" not in answer.text

    send()
