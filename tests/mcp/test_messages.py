"""Messages: what is answered, and what is refused before anything is looked at or done."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import mcp_types
import mcp_types.version
import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from mcp_types import jsonrpc

from app import create_app
from app.config import Settings
from app.credentials import make
from app.extensions import db
from app.mcp import MAX_BODY, messages
from tests.api.answers import assert_failure, unchanged
from tests.conftest import PASSWORD, Cast
from tests.mcp.client import META, MODERN, URL, Assistant, assert_protocol_error, done

LIST = {"jsonrpc": "2.0", "id": 7, "method": "tools/list"}
CALL = {"name": "email_account_list_users", "arguments": {}}
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"


def test_it_works(mcp: Assistant) -> None:
    answer = mcp.ask("tools/call", **CALL)
    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Mcp-Session-Id" not in answer.headers
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/mcp-token"])
def test_each_address_answers(app: Flask, mcp: Assistant, path: str) -> None:
    answer = app.test_client().post(path, json=LIST, headers=mcp.as_("alice"))
    assert answer.status_code == 200
    assert answer.get_json()["result"]["tools"]


@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/mcp-token"])
def test_nothing_but_post_is_answered(app: Flask, mcp: Assistant, path: str) -> None:
    for verb in ("GET", "DELETE", "PUT", "PATCH", "OPTIONS", "HEAD"):
        for headers in ({}, mcp.as_("alice"), {**mcp.as_("alice"), "Mcp-Session-Id": "x"}):
            answer = app.test_client().open(path, method=verb, headers=headers)
            assert (answer.status_code, answer.headers["Allow"]) == (405, "POST"), verb


@pytest.mark.parametrize("path", ["/mcp-token/", "/mcp/x", "/mcp//", "/mcp/sse", "/mcps"])
def test_there_is_no_other_address(app: Flask, mcp: Assistant, path: str) -> None:
    answer = app.test_client().post(path, json=LIST, headers=mcp.as_("alice"))
    assert_failure(answer, 404, "NOT_FOUND")


@pytest.mark.parametrize("path", ["/mcp", "/mcp-token"])
def test_a_wrong_credential_is_refused_before_anything_is_read(app: Flask, path: str) -> None:
    with unchanged(app):
        for header in ("", "Bearer", "Bearer x", "Basic eDp5", f"Bearer {make('wpa_')}"):
            for body in (b"", b"nonsense", json.dumps(LIST).encode(), b"x" * 100_000):
                answer = app.test_client().post(path, data=body, headers={"Authorization": header})
                assert_failure(answer, 401, "UNAUTHORIZED")


def test_nothing_tells_of_an_authorization_server(app: Flask) -> None:
    """Clients would look for it, and drop the token they were told to send."""
    client = app.test_client()
    for name in (
        "oauth-protected-resource",
        "oauth-protected-resource/mcp-token",
        "oauth-authorization-server",
        "openid-configuration",
    ):
        assert client.get(f"/.well-known/{name}").status_code == 404
    assert client.post("/mcp-token").headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("where", ["query", "form", "cookie"])
def test_a_token_elsewhere_opens_nothing(app: Flask, cast: Cast, where: str) -> None:
    client, token = app.test_client(), cast.tokens["alice"]
    sent: dict[str, Any] = {"json": LIST}
    if where == "query":
        sent["query_string"] = {"access_token": token}
    elif where == "form":
        sent = {"data": {"access_token": token}}
    else:
        client.set_cookie("Authorization", f"Bearer {token}")
    assert_failure(client.post(URL, **sent), 401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://evil.nl",
        "https://localhost",
        "http://localhost:1",
        "http://localhost.evil.nl",
        "http://localhost@evil.nl",
        "http://localhost/",
        "HTTP://LOCALHOST",
        "http://localhost, http://localhost",
    ],
)
def test_pages_of_other_sites_are_refused(app: Flask, mcp: Assistant, origin: str) -> None:
    with unchanged(app):
        answer = mcp.post(LIST, mcp.as_("alice") | {"Origin": origin})
        assert_failure(answer, 403, "FORBIDDEN")


@pytest.fixture
def public(cast: Cast, settings: Settings) -> Iterator[FlaskClient]:
    """The panel under a public address."""
    app = create_app(replace(settings, public_url="https://panel.example.nl"))
    yield app.test_client()
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def test_pages_of_the_panel_are_not(mcp: Assistant, public: FlaskClient) -> None:
    assert mcp.post(LIST, mcp.as_("alice") | {"Origin": "http://localhost"}).status_code == 200
    headers = mcp.as_("alice") | {"Host": "panel.example.nl", "Origin": "https://panel.example.nl"}
    assert public.post(URL, json=LIST, headers=headers).status_code == 200
    headers["Origin"] = "https://evil.nl"
    assert_failure(public.post(URL, json=LIST, headers=headers), 403, "FORBIDDEN")


@pytest.mark.parametrize("host", ["evil.nl", "evil.nl:80", "localhost.evil.nl", "a b"])
def test_other_hosts_are_refused(mcp: Assistant, host: str) -> None:
    """A name of somebody else's that points here (DNS rebinding), whatever its Origin is."""
    for origin in ({}, {"Origin": f"http://{host}"}):
        answer = mcp.post(LIST, mcp.as_("alice") | {"Host": host} | origin)
        assert answer.status_code == 400


def test_an_answer_nobody_could_read_is_not_made(mcp: Assistant) -> None:
    for accept in ("text/html", "text/event-stream", "application/json;q=0"):
        answer = mcp.post(LIST, mcp.as_("alice") | {"Accept": accept})
        assert_failure(answer, 406, "NOT_ACCEPTABLE")
    for accept in ("application/json", "*/*", "application/*", "text/event-stream, */*;q=0.1"):
        assert mcp.post(LIST, mcp.as_("alice") | {"Accept": accept}).status_code == 200
    without = {"Authorization": mcp.as_("alice")["Authorization"]}
    assert mcp.post(LIST, without).status_code == 200


def test_nobody_waits_for_an_endless_list_of_what_is_accepted(mcp: Assistant) -> None:
    for accept in (f"a{' ' * 20_000}a", f"application/json;q={' ' * 20_000}1"):
        answer = mcp.post(LIST, {"Accept": accept})
        assert_failure(answer, 406, "NOT_ACCEPTABLE")


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"],
)
def test_what_is_not_json_is_refused(mcp: Assistant, content_type: str) -> None:
    answer = mcp.client.post(
        URL, data=json.dumps(LIST), headers=mcp.as_("alice"), content_type=content_type
    )
    assert_failure(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


def test_a_body_has_a_limit(mcp: Assistant) -> None:
    body = json.dumps(LIST).ljust(MAX_BODY)
    assert _send(mcp, body).status_code == 200
    assert_failure(_send(mcp, body + " "), 413, "BODY_TOO_LARGE")


def test_a_body_without_a_length_has_a_limit(mcp: Assistant) -> None:
    for length, status in ((MAX_BODY - 1, 200), (MAX_BODY + 1, 413), (4 * MAX_BODY, 413)):
        answer = mcp.client.post(
            URL,
            input_stream=io.BytesIO(json.dumps(LIST).encode().ljust(length)),
            headers=mcp.as_("alice") | {"Transfer-Encoding": "chunked"},
            content_type="application/json",
            environ_overrides={"wsgi.input_terminated": True},
        )
        assert answer.status_code == status, length


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"{'a': 1}",
        b'{"jsonrpc": "2.0", "id": 1, "id": 2, "method": "ping"}',
        b'{"jsonrpc": "2.0", "id": NaN, "method": "ping"}',
        b'\xef\xbb\xbf{"jsonrpc": "2.0", "id": 1, "method": "ping"}',
        b'{"jsonrpc": "2.0", "id": 1, "method": "p\xffng"}',
        '{"jsonrpc": "2.0", "id": 1, "method": "ping"}'.encode("utf-16"),
        b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": ' + b"[" * 99 + b"]" * 99 + b"}",
        b"[" * 100_000,
        b'{"id": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_cannot_be_read_is_an_error(mcp: Assistant, body: bytes) -> None:
    assert_protocol_error(_send(mcp, body), 400, messages.PARSE_ERROR, None)


@pytest.mark.parametrize(
    "message",
    [
        [],
        [LIST],
        [LIST, LIST],
        1,
        None,
        "tools/list",
        {},
        {**LIST, "jsonrpc": "1.0"},
        {**LIST, "jsonrpc": 2.0},
        {"id": 7, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": 7, "result": {}},
        {"jsonrpc": "2.0", "id": 7},
        {**LIST, "method": 1},
        {**LIST, "method": None},
        {**LIST, "params": None},
        {**LIST, "params": []},
        {**LIST, "params": "x"},
        {**LIST, "id": None},
        {**LIST, "id": True},
        {**LIST, "id": 1.5},
        {**LIST, "id": [1]},
        {**LIST, "id": {"a": 1}},
        {**LIST, "id": 2**53},
        {**LIST, "id": -(10**30)},
        {**LIST, "id": "\ud800"},
        {**LIST, "id": "\0"},
        {**LIST, "id": "x" * 1025},
    ],
)
def test_what_is_no_request_is_an_error(app: Flask, mcp: Assistant, message: object) -> None:
    with unchanged(app):
        answer = _send(mcp, json.dumps(message))
    assert_protocol_error(answer, 400, messages.INVALID_REQUEST, None)


@pytest.mark.parametrize("id_", [0, -1, 2**53 - 1, "", "é", "7", "x" * 1024])
def test_the_answer_has_the_id_of_the_request(mcp: Assistant, id_: object) -> None:
    answer = mcp.post({**LIST, "id": id_}, mcp.as_("alice")).get_json()
    assert answer["id"] == id_
    assert type(answer["id"]) is type(id_)


def test_notifications_are_accepted_and_do_nothing(app: Flask, mcp: Assistant) -> None:
    add = {"name": "email_account_add_user", "arguments": {"email": "info@example.nl"}}
    with unchanged(app):
        for method, params in (
            ("notifications/initialized", {}),
            ("notifications/cancelled", {"requestId": 1}),
            ("tools/call", {**add, "_meta": META}),
            ("made/up", {}),
        ):
            message = {"jsonrpc": "2.0", "method": method, "params": params}
            for version in ("2025-11-25", MODERN):
                headers = mcp.as_("alice") | {"MCP-Protocol-Version": version}
                if version == MODERN or "_meta" not in params:
                    answer = mcp.post(message, headers)
                    assert (answer.status_code, answer.data) == (202, b"")
        unknown = mcp.as_("alice") | {"MCP-Protocol-Version": "1999-01-01"}
        answer = mcp.post({"jsonrpc": "2.0", "method": "made/up"}, unknown)
        assert_protocol_error(answer, 400, messages.UNSUPPORTED_VERSION, None)


@pytest.mark.parametrize(
    "method", ["made/up", "", "initialize", "ping", "prompts/list", "resources/read", "tasks/get"]
)
def test_an_unknown_method_is_an_error(mcp: Assistant, old: Assistant, method: str) -> None:
    assert_protocol_error(mcp.ask(method), 404, messages.METHOD_NOT_FOUND)
    if method not in ("initialize", "ping"):
        assert_protocol_error(old.ask(method), 200, messages.METHOD_NOT_FOUND)


def test_an_unknown_tool_is_an_error(mcp: Assistant, old: Assistant) -> None:
    for name in ("nope", "", "add-user", "email_account_add_person", "email_account_purge"):
        assert_protocol_error(mcp.ask("tools/call", name=name), 400, messages.INVALID_PARAMS)
        assert_protocol_error(old.ask("tools/call", name=name), 200, messages.INVALID_PARAMS)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"name": None},
        {"name": 1},
        {"name": ["email_account_list_users"]},
        {"name": "email_account_list_users", "arguments": []},
        {"name": "email_account_list_users", "arguments": "{}"},
        {"name": "email_account_list_users", "arguments": 1},
    ],
)
def test_params_that_do_not_fit_are_an_error(
    mcp: Assistant, old: Assistant, params: dict[str, Any]
) -> None:
    answer = old.ask("tools/call", **params)
    assert_protocol_error(answer, 200, messages.INVALID_PARAMS)
    message = {**LIST, "method": "tools/call", "params": {**params, "_meta": META}}
    name = params.get("name")
    routing = mcp.routing("tools/call", name if isinstance(name, str) else None)
    answer = mcp.post(message, mcp.as_("alice") | routing)
    assert_protocol_error(answer, 400, messages.INVALID_PARAMS)


@pytest.mark.parametrize(
    "changed",
    [
        {"MCP-Protocol-Version": "2025-11-25"},
        {"MCP-Protocol-Version": ""},
        {"MCP-Protocol-Version": None},
        {"MCP-Protocol-Version": "1999-01-01"},
        {"MCP-Protocol-Version": f"{MODERN}, {MODERN}"},
        {"Mcp-Method": None},
        {"Mcp-Method": "tools/list"},
        {"Mcp-Method": "TOOLS/CALL"},
        {"Mcp-Method": "tools/call,tools/call"},
        {"Mcp-Name": None},
        {"Mcp-Name": ""},
        {"Mcp-Name": "email_account_add_user"},
        {"Mcp-Name": "=?base64?!!!?="},
        {"Mcp-Name": "=?base64?/w==?="},
    ],
)
def test_headers_that_say_something_else_are_an_error(
    app: Flask, mcp: Assistant, changed: dict[str, str | None]
) -> None:
    headers = mcp.as_("alice") | mcp.routing("tools/call", CALL["name"])  # type: ignore[arg-type]
    sent = {name: text for name, text in (headers | changed).items() if text is not None}
    message = {**LIST, "method": "tools/call", "params": {**CALL, "_meta": META}}
    with unchanged(app):
        assert_protocol_error(mcp.post(message, sent), 400, messages.HEADER_MISMATCH)


def test_a_name_may_come_in_base64(mcp: Assistant) -> None:
    coded = base64.b64encode(b"email_account_list_users").decode()
    headers = mcp.as_("alice") | mcp.routing("tools/call", f"=?base64?{coded}?=")
    message = {**LIST, "method": "tools/call", "params": {**CALL, "_meta": META}}
    answer = mcp.post(message, headers)
    assert done({**_without_envelope(answer.get_json()["result"])})["total"] == 0


@pytest.mark.parametrize("version", ["2099-01-01", "2025-11-25", "x", ""])
def test_an_unknown_version_is_an_error_that_names_the_known_ones(
    mcp: Assistant, version: str
) -> None:
    message = {**LIST, "params": {"_meta": {**META, VERSION_KEY: version}}}
    headers = mcp.as_("alice") | mcp.routing("tools/list") | {"MCP-Protocol-Version": version}
    data = assert_protocol_error(mcp.post(message, headers), 400, messages.UNSUPPORTED_VERSION)
    assert data["requested"] == version
    assert data["supported"][0] == MODERN


@pytest.mark.parametrize("key", [key for key in META if not key.endswith("clientInfo")])
def test_what_a_modern_request_has_to_say(mcp: Assistant, key: str) -> None:
    headers = mcp.as_("alice") | mcp.routing("tools/list")
    for meta in (
        {name: value for name, value in META.items() if name != key},
        {**META, key: None} if "Capabilities" in key else {},
    ):
        answer = mcp.post({**LIST, "params": {"_meta": meta}}, headers)
        assert_protocol_error(answer, 400, messages.INVALID_PARAMS)
    shapeless: list[dict[str, Any]] = [{}, {"_meta": []}, {"_meta": "x"}]
    for params in shapeless:
        answer = mcp.post({**LIST, "params": params}, headers)
        assert_protocol_error(answer, 400, messages.INVALID_PARAMS)


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
    ],
)
def test_a_handshake_settles_the_version(old: Assistant, wanted: str, given: str) -> None:
    client = {"name": "test", "version": "1"}
    begun = old.result("initialize", protocolVersion=wanted, capabilities={}, clientInfo=client)
    assert begun["protocolVersion"] == given


def test_a_handshake_that_says_nothing_is_an_error(old: Assistant) -> None:
    assert_protocol_error(old.ask("initialize"), 200, messages.INVALID_PARAMS)


def test_older_clients_name_their_version_or_none(old: Assistant) -> None:
    for version in ({}, {"MCP-Protocol-Version": "2025-03-26"}, {"Mcp-Session-Id": "anything"}):
        answer = old.post({**LIST, "method": "ping"}, old.as_("alice") | version)
        assert answer.get_json()["result"] == {}


def test_the_constants_are_those_of_the_protocol() -> None:
    assert mcp_types.version.HANDSHAKE_PROTOCOL_VERSIONS == messages.HANDSHAKE_VERSIONS
    assert mcp_types.version.MODERN_PROTOCOL_VERSIONS == (messages.MODERN_VERSION,)
    assert mcp_types.PROTOCOL_VERSION_META_KEY == messages.VERSION_KEY
    assert mcp_types.CLIENT_CAPABILITIES_META_KEY == messages.CAPABILITIES_KEY
    assert jsonrpc.HEADER_MISMATCH == messages.HEADER_MISMATCH
    assert jsonrpc.UNSUPPORTED_PROTOCOL_VERSION == messages.UNSUPPORTED_VERSION


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=5,
)
_PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["email_account_add_user", "email_account_list_nodes"]) | _JSON,
        "arguments": st.dictionaries(
            st.sampled_from(["email", "password", "project_id", "quota_mb"]) | st.text(max_size=5),
            st.sampled_from(["info@example.nl", PASSWORD, 1]) | _JSON,
            max_size=4,
        )
        | _JSON,
        "_meta": st.just(META) | _JSON,
        "protocolVersion": st.just("2025-11-25") | _JSON,
    },
)
_METHODS = ["initialize", "ping", "server/discover", "tools/list", "tools/call"]


@examples(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(_METHODS),
    params=_PARAMS | _JSON,
    id_=st.integers() | st.text(max_size=5) | _JSON,
    is_modern=st.booleans(),
)
def test_whatever_comes_is_answered(
    mcp: Assistant, method: str, params: Any, id_: Any, is_modern: bool
) -> None:
    message = {"jsonrpc": "2.0", "id": id_, "method": method, "params": params}
    headers = mcp.as_("root") | {"Content-Type": "application/json"}
    if is_modern:
        name = params.get("name") if isinstance(params, dict) else None
        usable = isinstance(name, str) and name.isascii() and name.isprintable()
        headers |= mcp.routing(method, name if usable else None)
    answer = _send(mcp, json.dumps(message), headers)
    assert answer.status_code in (200, 400, 404)
    assert "SERVER_ERROR" not in answer.text


def _send(assistant: Assistant, body: str | bytes, headers: dict[str, str] | None = None) -> Any:
    return assistant.client.post(
        URL,
        data=body,
        headers=headers or assistant.as_("alice"),
        content_type="application/json",
    )


def _without_envelope(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name not in ("_meta", "resultType")}
