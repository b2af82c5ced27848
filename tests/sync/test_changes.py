"""Every kind of change is in the very next export, and nothing else raises the revision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from app.caller import Caller, command_line
from app.operations import OPERATIONS
from tests.conftest import PASSWORD, Api
from tests.sync.node import Node, execute, fill

Change = Callable[[Api], Any]
INFO = {"email": "info@example.nl"}


def _operator(operation: str, /, **values: object) -> Change:
    def run(api: Api) -> object:
        with api.client.application.app_context():
            caller: Caller = command_line()
            return OPERATIONS[operation](caller, **values)

    return run


def _restore(api: Api) -> object:
    return api("restore-user", email="gone@example.nl")


# Each begins with info@ live and gone@ removed on example.nl, and parked.nl with its e-mail off.
CHANGES: dict[str, Change] = {
    "a new mailbox": lambda api: api("add-user", email="new@example.nl", password=PASSWORD),
    "a removed mailbox": lambda api: api("remove-user", **INFO),
    "a restored mailbox": _restore,
    "a mailbox gone for good": lambda api: api("remove-user", **INFO, hard_delete=True),
    "a removed mailbox gone for good": lambda api: api(
        "remove-user", email="gone@example.nl", hard_delete=True
    ),
    "a new password": lambda api: api("update-password", **INFO, password="another battery"),
    "the same password": lambda api: api("update-password", **INFO, password=PASSWORD),
    "another quota": lambda api: api("update-user", **INFO, quota_mb=5),
    "no more signing in": lambda api: api("update-user", **INFO, can_login=False),
    "no more mail": lambda api: api("update-user", **INFO, can_receive=False),
    "a domain turned on": lambda api: api("enable-email", domain="parked.nl"),
    "a domain turned off": lambda api: api("disable-email", "charlie", domain="charlie.nl"),
    "a domain removed": lambda api: api("remove-domain", "root", domain="charlie.nl"),
    "a domain in another project": _operator("assign-domain", domain="charlie.nl", project_id=1),
}
# What nodes need not know, and what is refused.
NO_CHANGES: dict[str, Change] = {
    "a read": lambda api: api("list-users"),
    "a domain registered": lambda api: api("add-domain", "root", domain="new.nl"),
    "a domain with email off removed": lambda api: api("remove-domain", "root", domain="parked.nl"),
    "a node": lambda api: api("add-node", "root", name="mpi02"),
    "a token": _operator("add-token", name="another", project_id=1),
    "a revoked token": _operator("revoke-token", token_id=3),
    "a project": _operator("add-project", name="Another"),
    "a person": _operator("add-person", email="anna@example.nl"),
    "a purge with nothing to do": _operator("purge"),
    "a domain linked where it is": _operator("assign-domain", domain="example.nl", project_id=1),
    "a mailbox removed again": lambda api: api("remove-user", email="gone@example.nl"),
    "a live mailbox restored": lambda api: api("restore-user", **INFO),
    "the same quota": lambda api: api("update-user", **INFO, quota_mb=1024),
    "settings that are so already": lambda api: api(
        "update-user", **INFO, can_login=True, can_receive=True
    ),
    "no settings": lambda api: api("update-user", **INFO),
    "a domain turned on again": lambda api: api("enable-email", domain="example.nl"),
    "a domain turned off again": lambda api: api("disable-email", domain="parked.nl"),
    "an address that is taken": lambda api: api("add-user", **INFO, password=PASSWORD),
    "a removed address": lambda api: api("add-user", email="gone@example.nl", password=PASSWORD),
    "a stranger's domain": lambda api: api(
        "add-user", "charlie", email="x@example.nl", password=PASSWORD
    ),
    "a stranger's password": lambda api: api(
        "update-password", "charlie", **INFO, password="another battery"
    ),
    "a stranger's removal": lambda api: api("remove-user", "charlie", **INFO, hard_delete=True),
    "a reader's change": lambda api: api("update-user", "bob", **INFO, quota_mb=5),
    "a bad password": lambda api: api("update-password", **INFO, password="short"),
    "a bad quota": lambda api: api("update-user", **INFO, quota_mb=0),
    "one bad setting of two": lambda api: api("update-user", **INFO, can_login=False, quota_mb="5"),
    "a domain with mailboxes turned off": lambda api: api("disable-email", domain="example.nl"),
    "a domain with mailboxes removed": lambda api: api(
        "remove-domain", "root", domain="example.nl"
    ),
}


@pytest.fixture
def filled(api: Api) -> Api:
    """One live mailbox and one that is removed."""
    fill(api, "info", "gone")
    api("remove-user", email="gone@example.nl")
    return api


@pytest.mark.parametrize("what", CHANGES)
def test_it_works(filled: Api, node: Node, what: str) -> None:
    before = node.fetch()
    CHANGES[what](filled)
    after = node.fetch()
    assert after["revision"] == before["revision"] + 1
    assert after["epoch"] == before["epoch"]
    is_different = {name for name in after if after[name] != before[name]} - {"revision"}
    assert is_different, "and not only the revision"


@pytest.mark.parametrize("what", NO_CHANGES)
def test_what_nodes_need_not_know_raises_nothing(filled: Api, node: Node, what: str) -> None:
    answer = node.ask()
    NO_CHANGES[what](filled)
    assert node.ask(If_None_Match=answer.headers["ETag"]).status_code == 304
    assert node.ask().data == answer.data


def test_a_change_tells_its_revision_and_where_it_is_live(api: Api, node: Node) -> None:
    sync = api("add-user", **INFO, password=PASSWORD).get_json()["data"]["user"]["sync"]
    assert (sync["nodes"], sync["nodes_applied"]) == (1, 0)
    assert node.fetch()["revision"] == sync["revision"]
    again = api("restore-user", **INFO).get_json()["data"]["user"]["sync"]
    assert again == sync, "not before the node says so"
    node.ask(If_None_Match=node.ask().headers["ETag"])
    live = api("restore-user", **INFO).get_json()["data"]["user"]["sync"]
    assert live == {**sync, "nodes_applied": 1}


def test_purging_tells_the_nodes(app: Flask, filled: Api, node: Node) -> None:
    before = node.fetch()
    execute(app, "UPDATE mailboxes SET purge_at = '2020-01-01T00:00:00Z' WHERE purge_at > ''")
    _operator("purge")(filled)
    after = node.fetch()
    assert after["revision"] == before["revision"] + 1
    assert len(after["purge"]) == 1
    assert after["users"] == before["users"]


def test_mail_of_a_domain_that_left_is_purged_when_its_time_comes(
    app: Flask, filled: Api, node: Node
) -> None:
    filled("remove-user", **INFO)
    filled("remove-domain", "root", domain="example.nl")
    assert node.fetch()["purge"] == []
    execute(app, "UPDATE purge_orders SET due_at = '2020-01-01T00:00:00Z'")
    _operator("purge")(filled)
    assert len(node.fetch()["purge"]) == 2
