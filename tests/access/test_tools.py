"""Every tool with every credential: which ones are listed, and which may be called."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask

from app.operations import OFFERED
from tests.access.keyring import Keyring
from tests.access.table import AT_TOOLS, OPENING_NOTHING, OPERATIONS_OF
from tests.mcp.client import tool_name

CREDENTIALS = list(next(iter(AT_TOOLS.values())))
GROUPS = {name: group for group, names in OPERATIONS_OF.items() for name in names}
IN_PROJECTS = (*OPERATIONS_OF["reads"], *OPERATIONS_OF["changes"])


def ask(keys: Keyring, credential: str, method: str, **params: Any) -> tuple[int, dict[str, Any]]:
    """The status and the result."""
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    client, headers = keys.app.test_client(), keys.headers(credential)
    answer = client.post("/mcp", json=message, headers=headers)
    return answer.status_code, answer.get_json().get("result", {})


def told(keys: Keyring, credential: str, name: str) -> str:
    """What who calls a tool in project 1 is answered, in the table's words.

    The call is one that cannot be done: who may is told so.
    """
    arguments: dict[str, Any] = {"no_such_field": 1}
    if name in IN_PROJECTS:
        arguments["project_id"] = 1
    status, result = ask(keys, credential, "tools/call", name=tool_name(name), arguments=arguments)
    if status == 401:
        return "401"
    assert result["isError"], (credential, name)
    error = json.loads(result["content"][0]["text"])["error"]
    assert (status == 403) <= (error["code"] == "FORBIDDEN")
    words = {"INVALID_INPUT": "in", "FORBIDDEN": "403", "PROJECT_NOT_FOUND": "404"}
    return words[error["code"]]


def test_the_table_has_every_operation_once_and_no_other() -> None:
    listed = sorted(name for names in OPERATIONS_OF.values() for name in names)
    assert listed == sorted(operation.name for operation in OFFERED)


@pytest.mark.parametrize("credential", CREDENTIALS)
def test_it_works(keys: Keyring, app: Flask, credential: str) -> None:
    for name, group in GROUPS.items():
        assert told(keys, credential, name) == AT_TOOLS[group][credential], name


@pytest.mark.parametrize("credential", CREDENTIALS)
def test_only_admins_are_told_of_their_tools(keys: Keyring, credential: str) -> None:
    status, result = ask(keys, credential, "tools/list")
    is_admin = AT_TOOLS["admin-reads"][credential] == "in"
    assert status == 200
    assert {tool["name"] for tool in result["tools"]} == {
        tool_name(name)
        for name, group in GROUPS.items()
        if is_admin or not group.startswith("admin")
    }


@pytest.mark.parametrize("credential", ["nothing", "node", "figures", *OPENING_NOTHING])
def test_it_rejects_everything_else(keys: Keyring, credential: str) -> None:
    for name in GROUPS:
        assert told(keys, credential, name) == "401", name
    assert ask(keys, credential, "tools/list") == (401, {})
