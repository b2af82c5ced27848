"""Calling tools: an operation each, the same in both eras and as by JSON."""

from __future__ import annotations

from tests.conftest import PASSWORD
from tests.mcp.client import Assistant, done, refused


def test_it_works(mcp: Assistant) -> None:
    user = done(mcp("add-user", email="info@example.nl", password=PASSWORD))["user"]
    assert (user["email"], user["quota_mb"]) == ("info@example.nl", 1024)
    assert done(mcp("list-users"))["total"] == 1


def test_it_works_after_a_handshake(old: Assistant) -> None:
    user = done(old("add-user", email="info@example.nl", password=PASSWORD))["user"]
    assert user["email"] == "info@example.nl"
    again = refused(
        old("add-user", email="info@example.nl", password=PASSWORD), "MAILBOX_EXISTS", "email"
    )
    assert "email_account_update_user" in again["recovery"]
