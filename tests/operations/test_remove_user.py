"""remove-user."""

from __future__ import annotations

import pytest

from app import clock
from app.operations.mailboxes import (
    add_user,
    list_users,
    remove_user,
    restore_user,
    update_password,
)
from tests.conftest import PASSWORD, Cast
from tests.operations import ledger

EMAIL = "info@example.nl"
DAY = 24 * 60 * 60


@pytest.fixture(autouse=True)
def mailbox(core: Cast) -> str:
    """The id of a mailbox to remove."""
    return add_user(core.alice, email=EMAIL, password=PASSWORD).mailbox.id


def test_it_works(core: Cast, mailbox: str) -> None:
    with ledger.recorded():
        user = remove_user(core.alice, email=EMAIL).to_answer()["user"]
    assert (user["email"], user.get("active")) == (EMAIL, False)
    assert user.get("sync") == {"revision": ledger.revision(), "nodes": 1, "nodes_applied": 0}
    assert ledger.mailbox(EMAIL).id == mailbox
    assert ledger.exported_users() == {}


def test_it_is_kept_for_the_grace_period(core: Cast) -> None:
    user = remove_user(core.alice, email=EMAIL).to_answer()["user"]
    left = -clock.seconds_since(str(user.get("purge_at")))
    assert 29 * DAY < left <= 30 * DAY
    assert ledger.orders() == {}


def test_removing_it_again_changes_nothing(core: Cast) -> None:
    remove_user(core.alice, email=EMAIL)
    before = ledger.mailbox(EMAIL)
    with ledger.recorded(revisions=0):
        answer = remove_user(core.alice, email=EMAIL).to_answer()["user"]
    assert answer.get("purge_at") == before.purge_at
    assert answer.get("updated_at") == before.updated_at


def test_with_hard_delete_it_is_gone_for_good(core: Cast, mailbox: str) -> None:
    with ledger.recorded():
        answer = remove_user(core.alice, email=EMAIL, hard_delete=True).to_answer()
    assert answer == {"user": {"email": EMAIL, "removed": True}}
    assert list_users(core.alice).to_answer()["total"] == 0
    assert (ledger.exported_users(), ledger.exported()["purge"]) == ({}, [mailbox])


def test_with_hard_delete_a_removed_one_goes_for_good(core: Cast, mailbox: str) -> None:
    remove_user(core.alice, email=EMAIL)
    with ledger.recorded():
        remove_user(core.alice, email=EMAIL, hard_delete=True)
    assert ledger.orders() == {mailbox: True}
    with ledger.refused("MAILBOX_NOT_FOUND", "email"):
        restore_user(core.alice, email=EMAIL)


def test_one_that_is_gone_cannot_be_removed_again(core: Cast) -> None:
    remove_user(core.alice, email=EMAIL, hard_delete=True)
    with ledger.refused("MAILBOX_NOT_FOUND", "email"):
        remove_user(core.alice, email=EMAIL, hard_delete=True)


def test_the_next_owner_of_the_address_gets_another_mailbox(core: Cast, mailbox: str) -> None:
    remove_user(core.alice, email=EMAIL, hard_delete=True)
    again = add_user(core.alice, email=EMAIL, password="another horse battery").mailbox
    assert again.id != mailbox
    assert ledger.exported()["purge"] == [mailbox]


def test_a_removed_mailbox_cannot_be_changed(core: Cast) -> None:
    remove_user(core.alice, email=EMAIL)
    with ledger.refused("MAILBOX_REMOVED", "email"):
        update_password(core.alice, email=EMAIL, password="another horse battery")


def test_the_address_may_be_written_in_any_case(core: Cast) -> None:
    remove_user(core.alice, email="INFO@Example.NL.")
    assert not ledger.mailbox(EMAIL).is_active


def test_it_hides_from_strangers(core: Cast) -> None:
    for hard_delete in (False, True):
        with ledger.refused("MAILBOX_NOT_FOUND", "email"):
            remove_user(core.charlie, email=EMAIL, hard_delete=hard_delete)
    assert remove_user(core.alice, email=EMAIL).to_answer()["user"]["email"] == EMAIL


def test_absent_and_not_yours_read_the_same(core: Cast) -> None:
    messages = []
    for email in (EMAIL, "absent@example.nl", "info@absent.nl", "absent@charlie.nl"):
        with pytest.raises(Exception, match=email) as refusal:
            remove_user(core.charlie, email=email)
        messages.append(str(refusal.value).replace(email, "…"))
    assert len(set(messages)) == 1


def test_it_rejects_an_absent_mailbox(core: Cast) -> None:
    with ledger.refused("MAILBOX_NOT_FOUND", "email"):
        remove_user(core.alice, email="absent@example.nl")


def test_it_rejects_a_domain_whose_email_is_off(core: Cast) -> None:
    with ledger.refused("EMAIL_NOT_ENABLED", "email"):
        remove_user(core.alice, email="info@parked.nl")


def test_it_rejects_a_token_that_may_only_read(core: Cast) -> None:
    with ledger.refused("FORBIDDEN"):
        remove_user(core.caller("bob"), email=EMAIL)


def test_it_rejects_a_hard_delete_that_is_no_boolean(core: Cast) -> None:
    for value in ["true", 1, 0, None, "", []]:
        with ledger.refused("INVALID_INPUT", "hard_delete"):
            remove_user(core.alice, email=EMAIL, hard_delete=value)
