"""disable-email."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from flask import Flask

from app.errors import StillInUse
from app.operations.domains import disable_email, enable_email, list_domains
from app.operations.mailboxes import add_user, list_users, remove_user, restore_user
from tests.conftest import PASSWORD, Cast
from tests.operations import ledger


def test_it_works(core: Cast) -> None:
    with ledger.recorded():
        answer = disable_email(core.alice, domain="example.nl").to_answer()["domain"]
    assert (answer["domain"], answer["email_enabled"]) == ("example.nl", False)
    assert "example.nl" not in ledger.exported()["domains"]
    assert list_domains(core.alice).to_answer() == {"domains": [], "total": 0}


def test_the_domain_stays_linked(core: Cast) -> None:
    disable_email(core.alice, domain="example.nl")
    assert ledger.domain("example.nl").project_id == 1
    assert enable_email(core.alice, domain="example.nl").domain.email_enabled


def test_doing_it_again_changes_nothing(core: Cast) -> None:
    with ledger.recorded(revisions=0):
        answer = disable_email(core.alice, domain="parked.nl").to_answer()
    assert answer["domain"]["email_enabled"] is False


@pytest.mark.parametrize(("count", "words"), [(1, "1 active mailbox."), (2, "2 active mailboxes.")])
def test_it_rejects_a_domain_with_active_mailboxes(core: Cast, count: int, words: str) -> None:
    for number in range(count):
        add_user(core.alice, email=f"info{number}@example.nl", password=PASSWORD)
    with ledger.refused("MAILBOXES_EXIST", "domain"):
        disable_email(core.alice, domain="example.nl")
    with pytest.raises(StillInUse, match=words) as refusal:
        disable_email(core.alice, domain="example.nl")
    assert "remove-user" in str(refusal.value.recovery)


def test_it_keeps_removed_mailboxes_for_their_grace_period(core: Cast) -> None:
    removed_id = add_user(core.alice, email="info@example.nl", password=PASSWORD).mailbox.id
    remove_user(core.alice, email="info@example.nl")
    answer = disable_email(core.alice, domain="example.nl").to_answer()["domain"]
    assert (answer["mailboxes"], answer["active_mailboxes"]) == (1, 0)
    assert ledger.mailbox("info@example.nl").id == removed_id
    assert ledger.orders() == {}


def test_mailboxes_cannot_be_reached_while_it_is_off(core: Cast) -> None:
    add_user(core.alice, email="info@example.nl", password=PASSWORD)
    remove_user(core.alice, email="info@example.nl")
    disable_email(core.alice, domain="example.nl")
    assert list_users(core.alice).to_answer()["total"] == 0
    with ledger.refused("EMAIL_NOT_ENABLED", "domain"):
        list_users(core.alice, domain="example.nl")
    with ledger.refused("EMAIL_NOT_ENABLED", "email"):
        restore_user(core.alice, email="info@example.nl")
    with ledger.refused("EMAIL_NOT_ENABLED", "email"):
        remove_user(core.alice, email="info@example.nl", hard_delete=True)


def test_it_sees_what_others_did_since_the_caller_looked(app: Flask, core: Cast) -> None:
    caller = core.alice
    kept = disable_email(caller, domain="example.nl")
    _as_another_process_would(app, lambda: enable_email(caller, domain="example.nl"))
    disable_email(caller, domain="example.nl")
    assert ledger.exported()["domains"] == ["charlie.nl"]
    assert kept.domain.email_enabled is False


def _as_another_process_would(app: Flask, do: Callable[[], object]) -> None:
    def run() -> None:
        with app.app_context():
            do()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def test_it_hides_from_strangers(core: Cast) -> None:
    with ledger.refused("DOMAIN_NOT_FOUND", "domain"):
        disable_email(core.charlie, domain="example.nl")
    assert not disable_email(core.alice, domain="example.nl").domain.email_enabled


def test_it_rejects_a_token_that_may_only_read(core: Cast) -> None:
    with ledger.refused("FORBIDDEN"):
        disable_email(core.caller("bob"), domain="example.nl")
