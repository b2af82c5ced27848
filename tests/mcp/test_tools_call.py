"""Calling tools: an operation each, the same in both eras and as by JSON."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator

from app.operations import OFFERED
from tests.api.answers import assert_success, state, unchanged
from tests.conftest import PASSWORD, Api
from tests.mcp.client import Assistant, done, refused, tool_name

INFO = {"email": "info@example.nl"}
NEW = {**INFO, "password": PASSWORD}
# A story in which each tool succeeds, in a project where that is the caller's to say.
STORY: list[tuple[str, str, dict[str, Any]]] = [
    ("add-domain", "root", {"domain": "new.nl", "project_id": 1}),
    ("enable-email", "alice", {"domain": "new.nl"}),
    ("disable-email", "alice", {"domain": "new.nl", "project_id": 1}),
    ("list-domains", "alice", {}),
    ("list-domains", "root", {"project_id": 1}),
    ("add-user", "alice", {**NEW, "quota_mb": 5}),
    ("update-user", "alice", {**INFO, "can_login": False}),
    ("update-password", "alice", NEW),
    ("list-users", "bob", {}),
    ("list-users", "bob", {"domain": "example.nl", "limit": 1}),
    ("remove-user", "alice", INFO),
    ("list-users", "alice", {}),
    ("restore-user", "root", {**INFO, "project_id": 1}),
    ("remove-user", "alice", {**INFO, "hard_delete": True}),
    ("invite-user", "alice", {**INFO, "quota_mb": 5}),
    ("send-password-link", "alice", INFO),
    ("revoke-password-link", "root", {**INFO, "project_id": 1}),
    ("link-domain", "alice", {"domain": "wanted.nl"}),
    ("list-records", "bob", {"domain": "wanted.nl"}),
    ("check-domain", "bob", {"domain": "wanted.nl"}),
    ("list-records", "alice", {"domain": "new.nl"}),
    ("check-domain", "alice", {"domain": "example.nl"}),
    ("verify-domain", "alice", {"domain": "example.nl"}),
    ("unlink-domain", "alice", {"domain": "wanted.nl"}),
    ("update-domain", "root", {"domain": "example.nl", "registered_here": True}),
    ("update-domain", "root", {"domain": "example.nl", "registered_here": False}),
    ("remove-domain", "root", {"domain": "new.nl"}),
    ("add-node", "root", {"name": "mpi02"}),
    ("add-node", "root", {"name": "mpi03", "key_as_link": True}),
    ("update-node", "root", {"name": "mpi02", "host": "mpi02.example.net", "mx_priority": 20}),
    ("set-home-node", "root", {"domain": "example.nl", "node": "mpi02"}),
    ("set-home-node", "root", {"domain": "example.nl", "node": ""}),
    ("list-nodes", "root", {}),
    ("rotate-node-key", "root", {"name": "mpi02", "overlap_hours": 1}),
    ("pause-node", "root", {"name": "mpi02"}),
    ("resume-node", "root", {"name": "mpi02"}),
    ("lose-node", "root", {"name": "mpi02"}),
    ("remove-node", "root", {"name": "mpi02"}),
]


def test_it_works(mcp: Assistant) -> None:
    user = done(mcp("add-user", **NEW))["user"]
    assert (user["email"], user["quota_mb"]) == ("info@example.nl", 1024)
    assert done(mcp("list-users"))["total"] == 1


def test_it_works_after_a_handshake(old: Assistant) -> None:
    assert done(old("add-user", **NEW))["user"]["email"] == "info@example.nl"
    refused(old("add-user", **NEW), "MAILBOX_EXISTS", "email")


def test_the_story_has_every_tool() -> None:
    assert {name for name, _who, _arguments in STORY} == {one.name for one in OFFERED}


@pytest.mark.parametrize("era", ["mcp", "old"])
def test_what_comes_and_goes_is_as_the_schemas_say(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture, era: str
) -> None:
    caplog.set_level(logging.DEBUG)
    assistant: Assistant = request.getfixturevalue(era)
    for name, who, arguments in STORY:
        tools = {tool["name"]: tool for tool in assistant.result("tools/list", who)["tools"]}
        tool = tools[tool_name(name)]
        Draft202012Validator(tool["inputSchema"]).validate(arguments)
        answer = done(assistant(name, who, **arguments))
        closed = Draft202012Validator(_closed(tool["outputSchema"]))
        assert list(closed.iter_errors(answer)) == [], name
        assert PASSWORD not in str(answer)
        assert "$2" not in str(answer)
        assert ("sync_key" in str(answer)) == (
            name == "add-node" and "key_as_link" not in arguments
        )
        for secret in (PASSWORD, answer.get("node", {}).get("sync_key", PASSWORD)):
            assert secret not in caplog.text


def test_it_answers_what_json_does(mcp: Assistant, api: Api) -> None:
    done(mcp("add-user", **NEW))
    for name, who, arguments in (
        ("list-users", "alice", {}),
        ("list-users", "bob", {"domain": "example.nl"}),
        ("list-domains", "alice", {}),
        ("list-nodes", "root", {}),
        ("enable-email", "alice", {"domain": "example.nl"}),
    ):
        assert done(mcp(name, who, **arguments)) == assert_success(api(name, who, **arguments))


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("add-user", {"email": "x"}),
        ("add-user", {**NEW, "quota_mb": True}),
        ("add-user", {**NEW, "quota": 5}),
        ("add-user", {"email": "info@parked.nl", "password": PASSWORD}),
        ("add-user", {"email": "info@charlie.nl", "password": PASSWORD}),
        ("update-password", NEW),
        ("enable-email", {"domain": "\ud800"}),
        ("enable-email", {"domain": "x" * 2000}),
        ("enable-email", {"domain": None}),
        ("list-users", {"limit": 0}),
        ("list-users", {"limit": 1.5}),
        ("list-users", {"cursor": "x"}),
    ],
)
def test_it_refuses_what_json_does(
    app: Flask, mcp: Assistant, api: Api, name: str, body: dict[str, Any]
) -> None:
    expected = api(name, **body).get_json()["error"]
    with unchanged(app):
        error = refused(mcp(name, **body), expected["code"], expected.get("field"))
    assert error["message"] == expected["message"]


def test_nothing_happens_by_describing(app: Flask, mcp: Assistant, old: Assistant) -> None:
    with unchanged(app):
        for who in ("alice", "root"):
            mcp.result("tools/list", who)
            mcp.result("server/discover", who)
            old.result("ping", who)


def test_arguments_may_be_left_out(mcp: Assistant, old: Assistant) -> None:
    name = "email_account_list_domains"
    for assistant in (mcp, old):
        assert "domains" in done(assistant.result("tools/call", name=name))
        assert "domains" in done(assistant.result("tools/call", name=name, arguments={}))


def test_a_new_key_of_a_node_stays_out_of_the_conversation(mcp: Assistant, api: Api) -> None:
    for arguments in ({}, {"key_as_link": False}, {"key_as_link": True}):
        node = done(mcp("rotate-node-key", "root", name="mpi01", **arguments))["node"]
        assert "sync_key" not in node
        assert node["key_link"]["url"].endswith("/admin/nodes/mpi01/key")
    assert "sync_key" in assert_success(api("rotate-node-key", "root", name="mpi01"))["node"]


def test_a_change_is_in_the_audit_log(app: Flask, mcp: Assistant) -> None:
    done(mcp("add-user", **NEW))
    columns = [str(value) for value in state(app)["audit_entries"][-1]]
    assert "add-user" in columns
    assert any("alice" in column for column in columns)
    assert PASSWORD not in columns


def _closed(schema: Any) -> Any:
    """The same schema, with room for nothing but what it names."""
    if isinstance(schema, list):
        return [_closed(member) for member in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(member) for name, member in schema.items()}
    return {**closed, "additionalProperties": False} if "properties" in schema else closed
