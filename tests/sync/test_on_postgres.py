"""The export from PostgreSQL: another driver, another order of text, other transactions."""

from __future__ import annotations

import logging

import pytest
from flask import Flask

from tests.conftest import PASSWORD, Api, cast, needs_postgres, settings
from tests.sync.node import Node, execute, fill

__all__ = ["cast", "settings"]  # on an empty panel rather than on a copy
pytestmark = [pytest.mark.real, needs_postgres]
OTHER_EPOCH = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def database() -> str:
    """These tests are about PostgreSQL."""
    return "postgresql"


def test_it_works(api: Api, node: Node) -> None:
    fill(api, "info", "a-b", "a.b", "ab", "a_b")
    api("update-user", email="ab@example.nl", can_login=False)
    document = node.fetch()
    assert document["counts"] == {"domains": 2, "users": 5, "aliases": 0}
    assert {user["email"]: user["login"] for user in document["users"]}["ab@example.nl"] is False
    assert document["allow_shrink"] is True
    assert node.ask().data == node.ask().data
    tag = node.ask().headers["ETag"]
    assert node.ask(If_None_Match=tag).status_code == 304


def test_changes_are_in_the_very_next_export(api: Api, node: Node) -> None:
    revision = node.fetch()["revision"]
    fill(api, "info")
    (user,) = node.fetch()["users"]
    api("remove-user", email="info@example.nl", hard_delete=True)
    document = node.fetch()
    assert document["purge"] == [user["id"]]
    assert document["revision"] == revision + 2


def test_domains_are_in_byte_order(api: Api, node: Node) -> None:
    for name in ("a-b.nl", "ab.nl", "a.nl", "a1.nl"):
        api("add-domain", "root", domain=name, project_id=1)
        api("enable-email", domain=name)
    names = node.fetch()["domains"]
    assert names == sorted(names, key=str.encode)
    listed = api("list-domains").get_json()["data"]["domains"]
    assert [one["domain"] for one in listed] == [name for name in names if name != "charlie.nl"]


def test_what_a_node_says_is_never_too_large_to_note(api: Api, node: Node) -> None:
    for tag in (f'"{OTHER_EPOCH}-{10**9 - 1}-mpi01"', f'"{OTHER_EPOCH}-{10**17}-mpi01"'):
        assert (
            node.ask(If_None_Match=tag, User_Agent="mailcote-agent/" + "9" * 99).status_code == 200
        )


def test_a_damaged_row_is_kept_back(
    app: Flask, api: Api, node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    fill(api, "info", "sales")
    execute(app, "UPDATE mailboxes SET password_hash = 'x' WHERE email = 'info@example.nl'")
    execute(app, "UPDATE feed SET revision = revision + 1")
    document = node.fetch()
    assert document["counts"]["users"] == 1
    assert document["allow_shrink"] is False
    assert "damaged" in caplog.text


def test_a_row_the_database_refuses_is_logged_without_its_values(
    app: Flask, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    """PostgreSQL's message shows the whole row, the hash of the password included."""
    caplog.set_level(logging.DEBUG)
    execute(app, "ALTER TABLE mailboxes ADD CONSTRAINT fault CHECK (quota_mb <> 7)")
    try:
        answer = api("add-user", email="info@example.nl", password=PASSWORD, quota_mb=7)
    finally:
        execute(app, "ALTER TABLE mailboxes DROP CONSTRAINT fault")
    assert answer.status_code == 500
    assert "fault" in caplog.text
    assert "$2y$" not in caplog.text
    assert "info@example.nl" not in caplog.text
    assert "fault" not in answer.text
