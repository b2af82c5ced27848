"""What an access token opens: /mcp, as far as its person still may, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import text

from app.caller import command_line
from app.credentials import ACCESS, make
from app.errors import OperationError
from app.extensions import db
from app.operations import OFFERED, OPERATIONS
from tests.api.answers import assert_failure, same_answer, state, unchanged
from tests.api.test_bad_input import GOOD
from tests.mcp.client import META, MODERN, done, refused, tool_name
from tests.oauth.program import PANEL, Program
from tests.oauth.test_token import set_back
from tests.web.conftest import Browser

WHERE = f"{PANEL}/.well-known/oauth-protected-resource/mcp"
ALL = f'scope="read write", resource_metadata="{WHERE}"'
ALICE = "alice@people.example"


@pytest.fixture
def helper(alice: Browser, program: Program) -> Program:
    """A program that alice let in, to read and change."""
    return program.connect(alice)


def change(app: Flask, statement: str) -> None:
    """Change something behind the panel's back."""
    with app.app_context():
        db.session.execute(text(statement))
        db.session.commit()


def test_it_works(helper: Program) -> None:
    for path in ("/mcp", "/mcp/"):
        answer = helper.send({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, path)
        names = [tool["name"] for tool in answer.get_json()["result"]["tools"]]
        assert tool_name("add-user") in names
        assert tool_name("add-node") not in names


def test_who_comes_without_one_is_told_where_to_get_it(app: Flask, program: Program) -> None:
    for path in ("/mcp", "/mcp/"):
        answer = app.test_client().post(path, json={})
        assert answer.headers["WWW-Authenticate"] == f"Bearer {ALL}"
        answer = program.send({}, path, access=make(ACCESS))
        assert_failure(answer, 401, "UNAUTHORIZED")
        assert answer.headers["WWW-Authenticate"] == f'Bearer error="invalid_token", {ALL}'


def test_it_opens_nothing_else(app: Flask, helper: Program) -> None:
    bearer = {"Authorization": f"Bearer {helper.access}"}
    with unchanged(app):
        for verb, path in (
            ("POST", "/mcp-token"),
            ("GET", "/iapi/project/1/integrations"),
            ("POST", "/iapi/project/1/email_account/list-users"),
            ("GET", "/papi/project/1/pages"),
            ("GET", "/sync/v1/export"),
        ):
            answer = app.test_client().open(path, method=verb, headers=bearer, json={})
            assert answer.status_code == 401, path
            assert "resource_metadata" not in answer.headers["WWW-Authenticate"]
        answer = app.test_client().get("/account", headers=bearer)
        assert answer.location.startswith("/sign-in")


def test_nothing_else_is_one(app: Flask, helper: Program) -> None:
    nothing = helper.send({}, access=make(ACCESS))
    for wrong in (
        helper.refresh_token,
        helper.access[:-1],
        f"{helper.access}0",
        helper.access.swapcase(),
        "wpo_' OR 1=1 --",
        "wpo_" + "é" * 38,
    ):
        assert same_answer(helper.send({}, access=wrong), nothing), wrong


def _lose_project(app: Flask) -> None:
    with app.app_context():
        OPERATIONS["update-person"](command_line(), email=ALICE, projects=[])


def _disable(app: Flask) -> None:
    with app.app_context():
        OPERATIONS["update-person"](command_line(), email=ALICE, is_disabled=True)


def _come_back(app: Flask) -> None:
    with app.app_context():
        run = OPERATIONS["update-person"]
        run(command_line(), email=ALICE, projects=[1], is_disabled=False)


ENDS: dict[str, Callable[[Flask], None]] = {
    "the person lost the project": _lose_project,
    "the person is disabled": _disable,
    "the membership is gone": lambda app: change(app, "DELETE FROM memberships"),
    "it was revoked": lambda app: change(app, "UPDATE assistants SET revoked_at = created_at"),
    "it is over": lambda app: set_back(app, "oauth_tokens"),
    "the panel is another": lambda app: change(
        app, "UPDATE assistants SET resource = 'https://other.example/mcp'"
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_it_opens_nothing_at_once_when(app: Flask, helper: Program, end: str) -> None:
    assert helper.is_connected
    ENDS[end](app)
    with unchanged(app):
        answer = helper.call("list-users")
        assert_failure(answer, 401, "UNAUTHORIZED")
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
        if end != "the panel is another":
            assert helper.refresh().get_json()["error"] == "invalid_grant"


def test_who_returns_lets_it_in_anew(app: Flask, helper: Program) -> None:
    """What was let in before does not come back by itself."""
    for leave in (_lose_project, _disable):
        leave(app)
        _come_back(app)
        assert not helper.is_connected


def test_an_admin_who_is_one_no_longer_opens_nothing(
    app: Flask, root: Browser, program: Program
) -> None:
    with app.app_context():
        run = OPERATIONS["add-person"]
        run(command_line(), email="other@people.example", is_admin=True)
        db.session.execute(text("UPDATE people SET password_hash = 'x' WHERE is_admin"))
        db.session.commit()
    everywhere, here = (replace(program).connect(root, reach=reach) for reach in ("all", "1"))
    assert everywhere.is_connected
    assert here.is_connected
    with app.app_context():
        run = OPERATIONS["update-person"]
        run(command_line(), email="root@people.example", is_admin=False)
    for one in (everywhere, here):
        assert one.call("list-users", project_id=1).status_code == 401


def test_a_change_that_was_under_way_is_refused(app: Flask, helper: Program) -> None:
    """The right is looked at again when nothing can come between it and the change."""
    from app.authorization import caller_with_access_token

    with app.test_request_context(base_url=PANEL):
        caller = caller_with_access_token(f"Bearer {helper.access}", "").in_project(1)
        db.session.rollback()
        change(app, "UPDATE assistants SET revoked_at = created_at")
        before = state(app)
        with pytest.raises(OperationError, match="no longer connected"):
            OPERATIONS["enable-email"](caller, domain="parked.nl")
        assert state(app) == before


class TestEveryTool:
    """An assistant goes as far as its person let it, whatever the tool."""

    def test_it_reaches_no_other_project(self, app: Flask, helper: Program) -> None:
        with unchanged(app):
            for one in OFFERED:
                if one.who == "project":
                    theirs = helper.result(one.name, project_id=2, **GOOD[one.name])
                    absent = helper.result(one.name, project_id=99, **GOOD[one.name])
                    refused(theirs, "PROJECT_NOT_FOUND", "project_id")
                    assert theirs == absent

    def test_it_does_not_do_what_admins_do(self, app: Flask, helper: Program) -> None:
        with unchanged(app):
            for one in OFFERED:
                if one.who == "admin":
                    refused(helper.result(one.name, **GOOD[one.name]), "FORBIDDEN")

    def test_one_that_may_read_changes_nothing(
        self, app: Flask, alice: Browser, program: Program
    ) -> None:
        """It is told so as the tool's result, and its client as HTTP has it."""
        program.connect(alice, may="read")
        done(program.result("list-users"))
        with unchanged(app):
            for one in OFFERED:
                if not one.reads:
                    answer = program.call(one.name, **GOOD[one.name])
                    assert answer.status_code == 403, one.name
                    challenge = answer.headers["WWW-Authenticate"]
                    assert challenge == f'Bearer error="insufficient_scope", {ALL}'
                    refused(answer.get_json()["result"], "FORBIDDEN")

    def test_it_is_told_in_either_era(self, alice: Browser, program: Program) -> None:
        program.connect(alice, may="read")
        name = tool_name("enable-email")
        params = {"name": name, "arguments": {"domain": "parked.nl"}, "_meta": META}
        headers = {
            "Authorization": f"Bearer {program.access}",
            "MCP-Protocol-Version": MODERN,
            "Mcp-Method": "tools/call",
            "Mcp-Name": name,
        }
        message = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
        answer = program.client.post("/mcp", json=message, headers=headers)
        assert answer.status_code == 403
        assert answer.get_json()["result"]["isError"]


def test_its_use_is_noted(app: Flask, helper: Program) -> None:
    helper.result("list-users")
    with app.app_context():
        assert db.session.execute(text("SELECT last_used_at FROM assistants")).scalar_one()
