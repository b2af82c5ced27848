"""Rows that somebody damaged are kept from the nodes, which would refuse everything with them; and
what nobody has accounted for may not shrink what a node holds.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask

from app.caller import command_line
from app.operations import OPERATIONS
from tests.conftest import Api
from tests.sync.node import Node, execute, fill

GOOD = "{BLF-CRYPT}$2y$10$" + "a" * 53
DAMAGED_USERS = {
    "no scheme": ("password_hash", GOOD.removeprefix("{BLF-CRYPT}")),
    "a plain password": ("password_hash", "{PLAIN}geheim"),
    "another scheme": ("password_hash", "{PLAIN-MD5}" + "0" * 32),
    "another variant": ("password_hash", GOOD.replace("$2y$", "$2x$")),
    "too cheap": ("password_hash", GOOD.replace("$10$", "$03$")),
    "too dear": ("password_hash", GOOD.replace("$10$", "$31$")),
    "cut": ("password_hash", GOOD[:-1]),
    "too long": ("password_hash", GOOD + "a"),
    "a line end": ("password_hash", GOOD + "\n"),
    "a space": ("password_hash", GOOD + " "),
    "more fields": ("password_hash", GOOD[:-4] + ":0:0"),
    "empty": ("password_hash", ""),
    "bytes": ("password_hash", GOOD.encode()),
    "upper case": ("email", "Info@example.nl"),
    "a plus": ("email", "in+fo@example.nl"),
    "a path": ("email", "../../info@example.nl"),
    "a colon": ("email", "in:fo@example.nl"),
    "a second line": ("email", "info@example.nl\nroot:x"),
    "a line end after it": ("email", "info@example.nl\n"),
    "NUL": ("email", "info\0@example.nl"),
    "a variable": ("email", "%{env:PATH}@example.nl"),
    "two dots": ("email", "in..fo@example.nl"),
    "a dot first": ("email", ".info@example.nl"),
    "65 characters": ("email", "a" * 65 + "@example.nl"),
    "no domain": ("email", "info"),
    "another domain": ("email", "info@elsewhere.nl"),
    "a domain with email off": ("email", "info@parked.nl"),
    "two at signs": ("email", "info@info@example.nl"),
    "unicode": ("email", "ïnfo@example.nl"),
    "a short id": ("id", "abc"),
    "an id in capitals": ("id", "A" * 32),
    "an id that is a path": ("id", "../" + "a" * 29),
    "a fraction of a megabyte": ("quota_mb", 1.5),
    "no quota": ("quota_mb", 0),
    "a negative quota": ("quota_mb", -1),
    "a quota too large": ("quota_mb", 1_048_577),
    "a quota in words": ("quota_mb", "1M userdb_uid=0"),
    "a quota in bytes": ("quota_mb", b"1024"),
}
DAMAGED_DOMAINS = [
    "Charlie.nl",
    "charlie",
    "charlie.nl.",
    "charlie_.nl",
    "-charlie.nl",
    "charlie.nl\n",
    "a/../b.nl",
    "chärlie.nl",
    "1.2.3.4",
    "",
    "a" * 64 + ".nl",
    ".".join(["a" * 50] * 6),
]


@pytest.fixture
def filled(api: Api) -> Api:
    """Two mailboxes; info@ is the one that gets damaged."""
    fill(api, "info", "sales")
    return api


@pytest.mark.parametrize("what", DAMAGED_USERS)
def test_it_works(
    app: Flask, filled: Api, node: Node, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    column, value = DAMAGED_USERS[what]
    assert node.fetch()["allow_shrink"] is True
    damage(app, f"UPDATE mailboxes SET {column} = ? WHERE email = 'info@example.nl'", value)
    document = node.fetch()
    assert [user["email"] for user in document["users"]] == ["sales@example.nl"]
    assert document["counts"]["users"] == 1
    assert document["allow_shrink"] is False, "nodes that hold more keep what they have"
    alarms = [record for record in caplog.records if record.levelno >= logging.CRITICAL]
    assert alarms
    assert "damaged" in alarms[0].getMessage()
    assert "$2y$" not in caplog.text
    assert "geheim" not in caplog.text


@pytest.mark.parametrize("name", DAMAGED_DOMAINS, ids=ascii)
def test_a_damaged_domain_is_kept_back_with_its_users(
    app: Flask, filled: Api, node: Node, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    damage(app, "UPDATE domains SET name = ? WHERE name = 'example.nl'", name)
    document = node.fetch()
    assert (document["domains"], document["users"]) == (["charlie.nl"], [])
    assert document["allow_shrink"] is False
    assert "a domain is kept from the nodes" in caplog.text


@pytest.mark.parametrize("key", ["abc", "", "A" * 32, "../" + "a" * 29, "a" * 32 + "\n"], ids=ascii)
def test_a_damaged_purge_order_is_kept_back(
    app: Flask, filled: Api, node: Node, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    filled("remove-user", email="info@example.nl", hard_delete=True)
    damage(app, "UPDATE purge_orders SET mailbox_id = ?", key)
    assert node.fetch()["purge"] == []
    assert "a purge order is kept from the nodes" in caplog.text


def test_mail_of_a_mailbox_that_is_there_is_never_purged(
    app: Flask, filled: Api, node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    damage(
        app,
        "INSERT INTO purge_orders (mailbox_id, due_at, is_released, revision) "
        "SELECT id, ?, 1, 0 FROM mailboxes",
        "2020-01-01T00:00:00Z",
    )
    document = node.fetch()
    assert document["purge"] == []
    assert len(document["users"]) == 2
    assert "a purge order is kept from the nodes" in caplog.text


def test_a_flag_that_is_no_flag_keeps_somebody_out(app: Flask, filled: Api, node: Node) -> None:
    damage(app, "UPDATE mailboxes SET can_login = ?, can_receive = 'x'", 2)
    for user in node.fetch()["users"]:
        assert (user["login"], user["deliver"]) == (False, False)


def test_a_row_that_is_mended_comes_back(app: Flask, filled: Api, node: Node) -> None:
    damage(app, "UPDATE mailboxes SET password_hash = ? WHERE email = 'info@example.nl'", "x")
    assert node.emails() == ["sales@example.nl"]
    answer = filled("update-password", email="info@example.nl", password="another battery")
    assert answer.status_code == 200
    assert node.emails() == ["info@example.nl", "sales@example.nl"]
    assert node.fetch()["allow_shrink"] is True


def test_audited_removals_may_shrink_what_a_node_holds(api: Api, node: Node) -> None:
    fill(api, *(f"user{number}" for number in range(6)))
    for number, hard_delete in ((0, False), (1, True), (2, False), (3, True)):
        api("remove-user", email=f"user{number}@example.nl", hard_delete=hard_delete)
        assert node.fetch()["allow_shrink"] is True
    api("remove-user", email="user0@example.nl", hard_delete=True)
    api("restore-user", email="user2@example.nl")
    document = node.fetch()
    assert (document["allow_shrink"], document["counts"]["users"]) == (True, 3)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM mailboxes WHERE email = ?",
        "UPDATE mailboxes SET purge_at = '2999-01-01T00:00:00Z' WHERE email = ?",
        "UPDATE domains SET email_enabled = 0 WHERE name = substr(?, 6)",
    ],
)
def test_rows_that_vanished_otherwise_may_not(
    app: Flask, filled: Api, node: Node, statement: str
) -> None:
    damage(app, statement, "info@example.nl")
    document = node.fetch()
    assert document["counts"]["users"] < 2
    assert document["allow_shrink"] is False
    filled("enable-email", "alice", domain="parked.nl")
    assert node.fetch()["allow_shrink"] is False, "and one change that is meant is no excuse"


def test_a_restored_panel_may_not_until_it_is_confirmed(
    app: Flask, filled: Api, node: Node
) -> None:
    execute(app, "UPDATE feed SET shrink_is_meant = false")
    damage(app, "DELETE FROM mailboxes WHERE email = ?", "info@example.nl")
    before = node.fetch()
    assert before["allow_shrink"] is False
    with app.app_context():
        _confirm()
    after = node.fetch()
    assert after["allow_shrink"] is True
    assert after["revision"] > before["revision"]


def _confirm() -> None:
    confirm: Callable[..., object] = OPERATIONS["confirm-shrink"]
    confirm(command_line())


def damage(app: Flask, statement: str, *values: object) -> None:
    """Write what the panel never would, as another program might, into a new revision."""
    with closing(sqlite3.connect(Path(app.instance_path) / "panel.db")) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(statement, values)
        connection.execute("UPDATE feed SET revision = revision + 1")
        connection.commit()
