"""restore-user."""

from __future__ import annotations

import pytest

from app.caller import command_line
from app.operations.mailboxes import add_user, remove_user, restore_user
from app.operations.panel import purge
from app.passwords import matches
from tests.conftest import PASSWORD, Cast
from tests.operations import ledger

EMAIL = "info@example.nl"


@pytest.fixture(autouse=True)
def mailbox(core: Cast) -> str:
    """The id of a mailbox that was removed."""
    made = add_user(core.alice, email=EMAIL, password=PASSWORD, quota_mb=77).mailbox
    remove_user(core.alice, email=EMAIL)
    return made.id


def test_it_works(core: Cast, mailbox: str) -> None:
    with ledger.recorded():
        user = restore_user(core.alice, email=EMAIL).to_answer()["user"]
    assert (user["active"], user["quota_mb"], "purge_at" in user) == (True, 77, False)
    assert user.get("sync") == {"revision": ledger.revision(), "nodes": 1, "nodes_applied": 0}
    assert ledger.exported_users()[EMAIL]["id"] == mailbox


def test_the_password_still_works(core: Cast) -> None:
    restore_user(core.alice, email=EMAIL)
    assert matches(PASSWORD, ledger.exported_users()[EMAIL]["password"])


def test_a_live_mailbox_stays_as_it_is(core: Cast) -> None:
    before = restore_user(core.alice, email=EMAIL).to_answer()["user"]
    with ledger.recorded(revisions=0):
        assert restore_user(core.alice, email=EMAIL).to_answer()["user"] == before


def test_it_rejects_a_purged_mailbox(core: Cast) -> None:
    ledger.let_grace_periods_end()
    purge(command_line())
    with ledger.refused("MAILBOX_NOT_FOUND", "email"):
        restore_user(core.alice, email=EMAIL)


def test_it_rejects_a_domain_whose_email_is_off(core: Cast) -> None:
    with ledger.refused("EMAIL_NOT_ENABLED", "email"):
        restore_user(core.alice, email="info@parked.nl")


def test_it_hides_from_strangers(core: Cast) -> None:
    with ledger.refused("MAILBOX_NOT_FOUND", "email"):
        restore_user(core.charlie, email=EMAIL)
    assert restore_user(core.alice, email=EMAIL).mailbox.is_active


def test_it_rejects_a_token_that_may_only_read(core: Cast) -> None:
    with ledger.refused("FORBIDDEN"):
        restore_user(core.caller("bob"), email=EMAIL)
