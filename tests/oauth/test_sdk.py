"""MCP's own client, from knowing nothing but an address to calling tools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthToken,
)
from pydantic import AnyUrl

from app.config import Settings
from tests.conftest import PASSWORD
from tests.oauth.certified import https
from tests.oauth.served import Served, serve

CALLBACK = "http://localhost:3030/callback"
LIST, ADD = "email_account_list_users", "email_account_add_user"

pytestmark = pytest.mark.real


@pytest.fixture
def served(settings: Settings) -> Iterator[Served]:
    """The panel."""
    with serve(settings) as panel:
        yield panel


class Memory:
    """Where a client keeps what it is given."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        """What it has."""
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """What it got."""
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """Who it is."""
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Who it became."""
        self.client = client_info


def provider(served: Served, memory: Memory, document: str | None = None) -> OAuthClientProvider:
    """The SDK's client for OAuth, whose person is alice."""
    back: dict[str, str] = {}

    async def redirect(address: str) -> None:
        back.update(await anyio.to_thread.run_sync(served.answer, address))

    async def wait() -> AuthorizationCodeResult:
        return AuthorizationCodeResult(code=back["code"], state=back["state"], iss=back["iss"])

    described = OAuthClientMetadata(redirect_uris=[AnyUrl(CALLBACK)], client_name="SDK")
    return OAuthClientProvider(
        f"{served.url}/mcp", described, memory, redirect, wait, client_metadata_url=document
    )


async def call(
    served: Served, auth: OAuthClientProvider, tool: str, mode: Any = "auto", **values: Any
) -> Any:
    """The result of a tool."""
    async with (
        httpx2.AsyncClient(auth=auth, timeout=60) as http,
        Client(streamable_http_client(f"{served.url}/mcp", http_client=http), mode=mode) as client,
    ):
        return (await client.call_tool(tool, values)).structured_content


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_it_works_by_registration(served: Served, mode: str) -> None:
    async def story() -> None:
        memory = Memory()
        auth = provider(served, memory)
        assert (await call(served, auth, LIST, mode))["total"] == 0
        assert memory.client
        assert memory.client.client_id
        assert memory.client.client_id.startswith("wpc_")
        assert memory.tokens
        first = memory.tokens.access_token
        await call(served, auth, ADD, mode, email="info@example.nl", password=PASSWORD)
        auth.context.token_expiry_time = 1  # it is over, as far as the client knows
        assert (await call(served, auth, LIST, mode))["total"] == 1
        assert memory.tokens.access_token != first
        assert len(served.asked) == 1

    anyio.run(story)


def test_it_works_by_a_document(served: Served, tmp_path: Path) -> None:
    with https(tmp_path) as web:
        served.app.extensions["client_documents"] = web.reach
        document = web.url("/client.json")
        described = {"client_id": document, "client_name": "SDK", "redirect_uris": [CALLBACK]}
        content = json.dumps(described).encode()
        web.pages["/client.json"] = (200, {"Content-Type": "application/json"}, content)

        async def story() -> None:
            memory = Memory()
            auth = provider(served, memory, document)
            assert (await call(served, auth, LIST))["total"] == 0
            assert memory.client
            assert memory.client.client_id == document

        anyio.run(story)
        assert [path for path, _headers in web.asked] == ["/client.json"]


def test_it_asks_again_for_what_it_may_not_yet(served: Served) -> None:
    """Its person allows reading; for a change the client asks anew, and is allowed that, too."""

    async def story() -> None:
        served.may = "read"
        auth = provider(served, Memory())
        await call(served, auth, LIST)
        served.may = "write"
        made = await call(served, auth, ADD, email="info@example.nl", password=PASSWORD)
        assert made["user"]["email"] == "info@example.nl"
        assert len(served.asked) == 2

    anyio.run(story)
