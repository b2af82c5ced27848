"""An assistant's client, as little of it as the tests need, and what its answers look like."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from flask.testing import FlaskClient
from mcp_types.methods import validate_server_result
from werkzeug.test import TestResponse

from tests.api.answers import TYPES
from tests.conftest import Cast

URL = "/mcp-token"
MODERN, LAST_WITH_HANDSHAKE = "2026-07-28", "2025-11-25"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass
class Assistant:
    """Sends messages with somebody's token, in one era of the protocol or the other."""

    client: FlaskClient
    cast: Cast
    is_modern: bool = True

    def __call__(self, tool: str, who: str = "alice", /, **arguments: Any) -> dict[str, Any]:
        """The result of a tool, named as its operation is: add-user."""
        params = {"name": tool_name(tool), "arguments": arguments}
        return self.result("tools/call", who, **params)

    def result(self, method: str, who: str = "alice", /, **params: Any) -> dict[str, Any]:
        """The result of a request, which has the shape that the revision says."""
        answer = self.ask(method, who, **params)
        assert answer.status_code == 200, answer.text
        body = answer.get_json()
        assert body.keys() == {"jsonrpc", "id", "result"}, body
        assert (body["jsonrpc"], body["id"]) == ("2.0", 7)
        version = MODERN if self.is_modern else LAST_WITH_HANDSHAKE
        validate_server_result(method, version, body["result"])
        if self.is_modern:
            assert body["result"].pop("resultType") == "complete"
            server = body["result"].pop("_meta")["io.modelcontextprotocol/serverInfo"]
            assert server["name"] == "mailcote"
        result: dict[str, Any] = body["result"]
        return result

    def ask(self, method: str, who: str = "alice", /, **params: Any) -> TestResponse:
        """The whole answer to a request."""
        message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
        headers = self.as_(who)
        if self.is_modern:
            params["_meta"] = META
            headers |= self.routing(method, params.get("name"))
        elif method != "initialize":
            headers["MCP-Protocol-Version"] = LAST_WITH_HANDSHAKE
        return self.post(message, headers)

    def post(self, message: object, headers: dict[str, str]) -> TestResponse:
        """The whole answer to any message."""
        return self.client.post(URL, json=message, headers=headers)

    def as_(self, who: str) -> dict[str, str]:
        """The headers that carry somebody's token, and what each client sends."""
        return {
            "Authorization": f"Bearer {self.cast.tokens[who]}",
            "Accept": "application/json, text/event-stream",
        }

    def routing(self, method: str, name: str | None = None) -> dict[str, str]:
        """The headers that repeat what the body says."""
        headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
        return headers if name is None else {**headers, "Mcp-Name": name}


def tool_name(operation: str) -> str:
    """The name of an operation's tool."""
    return "email_account_" + operation.replace("-", "_")


def done(result: dict[str, Any]) -> dict[str, Any]:
    """What a tool has done; both forms of it say the same."""
    assert result.keys() == {"content", "structuredContent", "isError"}, result
    assert result["isError"] is False
    (block,) = result["content"]
    assert block["type"] == "text"
    assert json.loads(block["text"]) == result["structuredContent"]
    data: dict[str, Any] = result["structuredContent"]
    return data


def refused(result: dict[str, Any], code: str, field: str | None = None) -> dict[str, Any]:
    """Why a tool has refused, which is said in one text."""
    assert result.keys() == {"content", "isError"}, result
    assert result["isError"] is True
    (block,) = result["content"]
    body = json.loads(block["text"])
    assert body.keys() == {"success", "error"}
    assert body["success"] is False
    error: dict[str, Any] = body["error"]
    assert (error["code"], error.get("field")) == (code, field), error
    assert error["type"] in TYPES.values()
    assert error["message"].endswith((".", "…", "?"))
    return error


def assert_protocol_error(answer: TestResponse, status: int, code: int, id_: object = 7) -> Any:
    """The error of a message that is not answered; its data, if it has some."""
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.get_json()
    assert body.keys() == {"jsonrpc", "id", "error"}
    assert (body["jsonrpc"], body["id"], body["error"]["code"]) == ("2.0", id_, code), body
    assert body["error"]["message"].endswith(".")
    return body["error"].get("data")
