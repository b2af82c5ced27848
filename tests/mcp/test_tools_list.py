"""What assistants are told of the tools: who sees which, and whether it is worth reading."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from app.credentials import TOKEN
from app.mcp.methods import INSTRUCTIONS
from app.operations import OFFERED
from tests.mcp.client import Assistant, assert_protocol_error, tool_name
from tests.test_contract import THE_ELEVEN

FOR_PROJECTS = [one.tool for one in OFFERED if one.who != "admin"]
READING = {"list-domains", "list-users", "list-nodes", "list-records", "check-domain"}
DESTROYING = {
    "disable-email",
    "remove-user",
    "update-password",
    "send-password-link",
    "remove-domain",
    "unlink-domain",
    "rotate-node-key",
    "lose-node",
    "set-home-node",
    "remove-node",
}
ADDING_UP = {
    "add-user",
    "invite-user",
    "send-password-link",
    "add-domain",
    "add-node",
    "rotate-node-key",
}


def listed(assistant: Assistant, who: str = "root") -> dict[str, dict[str, Any]]:
    """The tools by name."""
    return {tool["name"]: tool for tool in assistant.result("tools/list", who)["tools"]}


def test_it_works(mcp: Assistant) -> None:
    tools = listed(mcp)
    assert list(tools) == [one.tool for one in OFFERED]
    assert {tool_name(endpoint) for endpoint in THE_ELEVEN} <= tools.keys()


def test_it_works_after_a_handshake(mcp: Assistant, old: Assistant) -> None:
    assert listed(old) == listed(mcp)


def test_customers_see_no_tools_of_admins(mcp: Assistant, old: Assistant) -> None:
    for who in ("alice", "bob", "charlie"):
        assert list(listed(mcp, who)) == FOR_PROJECTS
        assert list(listed(old, who)) == FOR_PROJECTS
    assert tool_name("add-node") not in FOR_PROJECTS


def test_a_list_may_be_kept_by_who_asked_for_it_only(mcp: Assistant) -> None:
    for method in ("tools/list", "server/discover"):
        result = mcp.result(method)
        assert result["cacheScope"] == "private"
        assert 0 < result["ttlMs"] <= 3600_000


def test_there_is_no_second_page(mcp: Assistant, old: Assistant) -> None:
    assert "nextCursor" not in mcp.result("tools/list")
    assert_protocol_error(mcp.ask("tools/list", cursor="x"), 400, -32602)
    assert_protocol_error(old.ask("tools/list", cursor="x"), 200, -32602)


def test_the_project_is_asked_of_who_reaches_several(mcp: Assistant) -> None:
    for who, is_required in (("root", True), ("alice", False), ("bob", False)):
        for name, tool in listed(mcp, who).items():
            schema = tool["inputSchema"]
            if name in FOR_PROJECTS:
                assert schema["properties"]["project_id"]["type"] == "integer"
                assert ("project_id" in schema.get("required", [])) is is_required
            elif name != tool_name("add-domain"):  # which has one of its own
                assert "project_id" not in schema["properties"]


@pytest.mark.parametrize("operation", OFFERED, ids=lambda one: one.name)
def test_its_hints_say_what_it_does(mcp: Assistant, operation: Any) -> None:
    tool = listed(mcp)[operation.tool]
    assert tool["annotations"] == {
        "title": tool["title"],
        "readOnlyHint": operation.name in READING,
        "destructiveHint": operation.name in DESTROYING,
        "idempotentHint": operation.name not in ADDING_UP,
        "openWorldHint": False,
    }


@pytest.mark.parametrize("operation", OFFERED, ids=lambda one: one.name)
def test_it_is_described(mcp: Assistant, operation: Any) -> None:
    tool = listed(mcp)[operation.tool]
    assert len(tool["name"]) <= 64
    assert tool["title"].startswith("Email accounts: ")
    assert len(tool["title"]) > len(tool["name"]), "a title that says no more than the name"
    assert tool["description"].endswith(".")
    assert tool["description"].lower() not in (tool["title"].lower(), tool["name"])
    for schema in (tool["inputSchema"], tool["outputSchema"]):
        for name, field in properties(schema):
            assert field.get("description", "").strip(), name
            assert "title" not in field, name


@pytest.mark.parametrize("operation", OFFERED, ids=lambda one: one.name)
def test_its_schemas_are_valid(mcp: Assistant, operation: Any) -> None:
    tool = listed(mcp)[operation.tool]
    for schema in (tool["inputSchema"], tool["outputSchema"]):
        Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object", "clients of older revisions take nothing else"
    assert tool["inputSchema"]["additionalProperties"] is False


def test_other_tools_have_the_names_they_have_here(mcp: Assistant) -> None:
    for tool in listed(mcp).values():
        for operation in OFFERED:
            assert operation.name not in tool["description"], tool["name"]
    assert "email_account_restore_user" in listed(mcp)["email_account_add_user"]["description"]


def test_no_answer_has_room_for_a_password_or_hash(mcp: Assistant) -> None:
    keys = []
    for name, tool in listed(mcp).items():
        fields = {field for field, _schema in properties(tool["outputSchema"])}
        assert not [field for field in fields if "password" in field or "hash" in field]
        keys += [name] if "sync_key" in fields else []
    assert {"email_account_add_node", "email_account_rotate_node_key"} <= set(keys)


def test_passwords_are_marked(mcp: Assistant) -> None:
    for tool in listed(mcp).values():
        for name, field in properties(tool["inputSchema"]):
            if name == "password":
                assert (field["format"], field["writeOnly"]) == ("password", True)


def test_the_server_says_what_it_is_for(mcp: Assistant, old: Assistant) -> None:
    discovered = mcp.result("server/discover")
    begun = old.result(
        "initialize",
        protocolVersion="2025-11-25",
        capabilities={},
        clientInfo={"name": "test", "version": "1"},
    )
    assert discovered["instructions"] == begun["instructions"] == INSTRUCTIONS
    assert discovered["capabilities"] == begun["capabilities"] == {"tools": {}}
    assert discovered["supportedVersions"][:2] == ["2026-07-28", "2025-11-25"]
    assert begun["serverInfo"]["name"] == "mailcote"
    assert TOKEN not in INSTRUCTIONS


def properties(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of a schema, however deep."""
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            yield from schema["properties"].items()
        for member in schema.values():
            yield from properties(member)
    elif isinstance(schema, list):
        for member in schema:
            yield from properties(member)
