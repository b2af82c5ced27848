"""Who may call which tool, in which project: everything else is refused in the tool's result."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from app.operations import OFFERED
from tests.api.answers import unchanged
from tests.api.test_bad_input import GOOD
from tests.api.test_refusals import ABOUT_ALICE
from tests.conftest import PASSWORD
from tests.mcp.client import Assistant, done, refused

NEW = {"email": "info@example.nl", "password": PASSWORD}
CHANGING = [one.name for one in OFFERED if not one.reads]
FOR_ADMINS = [one.name for one in OFFERED if one.who == "admin"]
FOR_PROJECTS = [one.name for one in OFFERED if one.who == "project"]


@pytest.fixture
def info(mcp: Assistant) -> str:
    """A mailbox of alice's."""
    email: str = done(mcp("add-user", **NEW))["user"]["email"]
    return email


def test_it_works(app: Flask, mcp: Assistant) -> None:
    with unchanged(app):
        error = refused(mcp("update-password", **NEW), "MAILBOX_NOT_FOUND", "email")
    assert "email_account_list_users" in error["recovery"]


@pytest.mark.parametrize(("name", "body", "code", "field"), ABOUT_ALICE)
def test_it_hides_from_strangers(
    app: Flask, mcp: Assistant, info: str, name: str, body: dict[str, Any], code: str, field: str
) -> None:
    with unchanged(app):
        refused(mcp(name, "charlie", **body), code, field)
        theirs = mcp(name, "charlie", project_id=1, **body)
        absent = mcp(name, "charlie", project_id=99, **body)
        refused(theirs, "PROJECT_NOT_FOUND", "project_id")
        assert theirs == absent
        refused(mcp(name, "root", project_id=2, **body), code, field)


@pytest.mark.parametrize("name", FOR_PROJECTS)
def test_a_customer_acts_in_no_project_but_their_own(
    app: Flask, mcp: Assistant, info: str, name: str
) -> None:
    with unchanged(app):
        for who, project_id in (("charlie", 1), ("bob", 2), ("alice", 2), ("alice", 99)):
            answer = mcp(name, who, project_id=project_id, **GOOD[name])
            refused(answer, "PROJECT_NOT_FOUND", "project_id")


@pytest.mark.parametrize("name", FOR_PROJECTS)
def test_an_admin_says_in_which_project(app: Flask, mcp: Assistant, info: str, name: str) -> None:
    with unchanged(app):
        refused(mcp(name, "root", **GOOD[name]), "INVALID_INPUT", "project_id")
        answer = mcp(name, "root", project_id=99, **GOOD[name])
        refused(answer, "PROJECT_NOT_FOUND", "project_id")


@pytest.mark.parametrize("name", FOR_ADMINS)
def test_customers_cannot_do_what_admins_do(app: Flask, mcp: Assistant, name: str) -> None:
    with unchanged(app):
        for who in ("alice", "bob", "charlie"):
            refused(mcp(name, who, **GOOD[name]), "FORBIDDEN")


@pytest.mark.parametrize("name", CHANGING)
def test_a_token_that_may_read_changes_nothing(
    app: Flask, mcp: Assistant, info: str, name: str
) -> None:
    with unchanged(app):
        refused(mcp(name, "bob", **GOOD[name]), "FORBIDDEN")


@pytest.mark.parametrize("value", [None, True, "1", 1.5, 0, -1, 2**31, 10**30, [1], {"a": 1}, ""])
def test_a_project_is_a_number(app: Flask, mcp: Assistant, value: object) -> None:
    with unchanged(app):
        for who in ("alice", "root"):
            answer = mcp("enable-email", who, domain="parked.nl", project_id=value)
            refused(answer, "INVALID_INPUT", "project_id")


def test_1_0_is_a_project(mcp: Assistant) -> None:
    done(mcp("enable-email", "root", domain="parked.nl", project_id=1.0))


def test_admins_tools_have_no_project_but_that_of_a_domain(app: Flask, mcp: Assistant) -> None:
    with unchanged(app):
        refused(mcp("list-nodes", "root", project_id=1), "INVALID_INPUT", "project_id")
        refused(mcp("add-node", "root", project_id=1, name="x"), "INVALID_INPUT", "project_id")
    done(mcp("add-domain", "root", domain="nobody.nl"))
    done(mcp("enable-email", "root", domain="parked.nl", project_id=1))
    refused(
        mcp("enable-email", "root", domain="nobody.nl", project_id=1), "DOMAIN_NOT_FOUND", "domain"
    )


@pytest.mark.parametrize("name", [one.name for one in OFFERED])
@pytest.mark.parametrize("odd", ["caller", "self", "_meta", "token", ""])
def test_an_argument_that_is_not_there_is_refused(
    app: Flask, mcp: Assistant, info: str, name: str, odd: str
) -> None:
    project = {} if name in FOR_ADMINS else {"project_id": 1}
    with unchanged(app):
        answer = mcp(name, "root", **{**GOOD[name], **project, odd: "x"})
        refused(answer, "INVALID_INPUT", odd)
