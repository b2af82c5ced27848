"""Clients that other people made, against the production server: the Python SDK, the inspector."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import anyio
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent

from tests.conftest import PASSWORD, Cast
from tests.mcp.parts import MODULES, lacking, node
from tests.mcp.served import Served, serve

MISSING = list(lacking())
PATIENCE = 120  # seconds
LIST = "email_account_list_users"

pytestmark = pytest.mark.real
needs_inspector = pytest.mark.skipif(bool(MISSING), reason=f"NOT TESTED. {MISSING}")


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, staged_panel: tuple[Path, Cast]
) -> Iterator[Served]:
    """A panel for all of them."""
    with serve(tmp_path_factory.mktemp("clients"), staged_panel) as running:
        yield running


@pytest.mark.parametrize(("mode", "version"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
def test_it_works_with_the_sdk(
    served: Served, mode: Literal["auto", "legacy"], version: str
) -> None:
    anyio.run(_use, served, mode, version)


async def _use(served: Served, mode: Literal["auto", "legacy"], version: str) -> None:
    email = f"{mode}@example.nl"
    headers = {"Authorization": f"Bearer {served.cast.tokens['alice']}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http,
        Client(streamable_http_client(served.url, http_client=http), mode=mode) as client,
    ):
        assert client.protocol_version == version
        assert client.server_info
        assert client.server_info.name == "mailcote"
        tools = (await client.list_tools()).tools
        assert LIST in [tool.name for tool in tools]
        new = {"email": email, "password": PASSWORD}
        made = await client.call_tool("email_account_add_user", new)
        assert (made.is_error, made.structured_content["user"]["email"]) == (False, email)
        again = await client.call_tool("email_account_add_user", new)
        assert again.is_error
        (block,) = again.content
        assert isinstance(block, TextContent)
        assert json.loads(block.text)["error"]["code"] == "MAILBOX_EXISTS"
        with pytest.raises(MCPError):
            await client.call_tool("nope", {})


@needs_inspector
@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_finds_nothing_to_complain_of(
    served: Served, tmp_path: Path, era: str
) -> None:
    found = inspect(
        served, tmp_path, "root", "--protocol-era", era, "--method", "tools/list", "--strict"
    )
    assert LIST in [tool["name"] for tool in found["result"]["tools"]]


@needs_inspector
def test_the_inspector_calls_tools(served: Served, tmp_path: Path) -> None:
    call = ["--method", "tools/call", "--tool-name"]
    found = inspect(served, tmp_path, "alice", *call, LIST)
    assert found["result"]["structuredContent"]["next_cursor"] is None
    arguments = json.dumps({"email": "info@charlie.nl", "password": PASSWORD})
    refused = inspect(
        served,
        tmp_path,
        "alice",
        *call,
        "email_account_add_user",
        "--tool-args-json",
        arguments,
        expected=5,
    )
    assert "DOMAIN_NOT_FOUND" in refused["result"]["content"][0]["text"]


def inspect(
    served: Served, home: Path, who: str, *arguments: str, expected: int = 0
) -> dict[str, Any]:
    """What the inspector's command line says, which ends with the expected code."""
    launcher = MODULES / "inspector" / "clients" / "launcher" / "build" / "index.js"
    where = ["--cli", "--server-url", served.url, "--transport", "http", "--format", "json"]
    token = ["--header", f"Authorization: Bearer {served.cast.tokens[who]}"]
    done = subprocess.run(
        [str(node()), str(launcher), *where, *token, *arguments],
        cwd=home,
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == expected, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
