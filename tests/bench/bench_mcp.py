"""What a tool costs beside the same operation by JSON, and beside an answer with nothing in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial

from tests.bench.measure import Figure, in_turns, medians, show
from tests.bench.panel import Server, get, panel, post, served, served_bare

USERS = 10
TIMES = 500
TOOL = "email_account_list_users"
MODERN = "2026-07-28"
_META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
}


def figures() -> Iterator[Figure]:
    """The CPU of tools/call of list-users, in both eras of the protocol."""
    with (
        panel(USERS) as made,
        served(made.folder) as ours,
        served_bare("tests.bench.bare:hello()", made.folder) as other,
        ours.connection() as asking,
        other.connection() as greeting,
    ):
        key = f"Bearer {made.tokens[0]}"
        ours_each = (
            _modern(key),
            _of_handshake(key),
            post("/iapi/project/1/email_account/list-users", b"{}", Authorization=key),
        )
        rounds = in_turns(
            *(partial(_computed, ours, partial(asking.ask, each, 200)) for each in ours_each),
            partial(_computed, other, partial(greeting.ask, get("/"), 200)),
        )
    modern, of_handshake, by_json, bare = medians(rounds)
    for era, index, took in ((MODERN, 0, modern), ("after a handshake", 1, of_handshake)):
        for name, beside, goal, floor in (
            ("the same by JSON", 2, 2.5, by_json),
            ("a bare Flask route", 3, 4.0, bare),
        ):
            yield Figure(
                f"tools/call, {era}, beside {name}",
                medians((row[index] / row[beside],) for row in rounds)[0],
                "x",
                goal=goal,
                details=f"CPU {took:.3f} ms, {name} {floor:.3f} ms",
            )


def _modern(key: str) -> bytes:
    params = {"name": TOOL, "arguments": {}, "_meta": _META}
    return post(
        "/mcp-token",
        _message(params),
        Authorization=key,
        MCP_Protocol_Version=MODERN,
        Mcp_Method="tools/call",
        Mcp_Name=TOOL,
    )


def _of_handshake(key: str) -> bytes:
    params = {"name": TOOL, "arguments": {}}
    return post(
        "/mcp-token", _message(params), Authorization=key, MCP_Protocol_Version="2025-11-25"
    )


def _message(params: Mapping[str, object]) -> bytes:
    return json.dumps(
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    ).encode()


def _computed(server: Server, work: partial[bytes]) -> float:
    """Milliseconds the workers compute for one request."""
    before = server.computed()
    for _ in range(TIMES):
        work()
    return (server.computed() - before) / TIMES


if __name__ == "__main__":
    show(figures())
