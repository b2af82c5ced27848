"""update-user."""

from __future__ import annotations

from typing import Any

import pytest

from app.operations.mailboxes import add_user, remove_user, update_user
from tests.conftest import PASSWORD, Cast
from tests.operations import ledger

EMAIL = "info@example.nl"


@pytest.fixture(autouse=True)
def mailbox(core: Cast) -> str:
    """The id of a mailbox."""
    return add_user(core.alice, email=EMAIL, password=PASSWORD).mailbox.id


def test_it_works(core: Cast, mailbox: str) -> None:
    with ledger.recorded():
        user = update_user(core.alice, email=EMAIL, quota_mb=77, can_login=False).to_answer()[
            "user"
        ]
    assert (user["quota_mb"], user["can_login"], user["can_receive"]) == (77, False, True)
    assert user.get("sync") == {"revision": ledger.revision(), "nodes": 1, "nodes_applied": 0}
    stored = ledger.exported_users()[EMAIL]
    assert (stored["id"], stored["quota_mb"], stored["login"], stored["deliver"]) == (
        mailbox,
        77,
        False,
        True,
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"quota_mb": 1}, "email quota_mb"),
        ({"can_receive": False}, "can_receive email"),
        ({"can_login": False, "can_receive": False}, "can_login can_receive email"),
    ],
)
def test_what_is_not_given_stays_as_it_is(core: Cast, given: dict[str, Any], told: str) -> None:
    before = update_user(core.alice, email=EMAIL).to_answer()["user"]
    after = update_user(core.alice, email=EMAIL, **given).to_answer()["user"]
    changed = {name for name, value in after.items() if value != dict(before)[name]}
    assert changed - {"updated_at", "sync"} == given.keys()
    assert ledger.entries()[-1].given == told


def test_what_is_so_already_changes_nothing(core: Cast) -> None:
    repeats: list[dict[str, Any]] = [
        {},
        {"quota_mb": 1024},
        {"can_login": True, "quota_mb": 1024.0},
    ]
    for given in repeats:
        before = ledger.mailbox(EMAIL).updated_at
        with ledger.recorded(revisions=0):
            update_user(core.alice, email=EMAIL, **given)
        assert ledger.mailbox(EMAIL).updated_at == before


def test_two_changes_raise_the_revision_twice(core: Cast) -> None:
    with ledger.recorded(revisions=2, entries=2):
        update_user(core.alice, email=EMAIL, quota_mb=5)
        update_user(core.alice, email=EMAIL, quota_mb=1024)


def test_it_rejects_a_removed_mailbox(core: Cast) -> None:
    remove_user(core.alice, email=EMAIL)
    with ledger.refused("MAILBOX_REMOVED", "email"):
        update_user(core.alice, email=EMAIL, quota_mb=5)


def test_it_rejects_an_absent_mailbox(core: Cast) -> None:
    with ledger.refused("MAILBOX_NOT_FOUND", "email"):
        update_user(core.alice, email="absent@example.nl", quota_mb=5)


def test_it_rejects_a_domain_whose_email_is_off(core: Cast) -> None:
    with ledger.refused("EMAIL_NOT_ENABLED", "email"):
        update_user(core.alice, email="info@parked.nl", quota_mb=5)


def test_it_hides_from_strangers(core: Cast) -> None:
    with ledger.refused("MAILBOX_NOT_FOUND", "email"):
        update_user(core.charlie, email=EMAIL, quota_mb=5)
    assert update_user(core.alice, email=EMAIL, quota_mb=5).mailbox.quota_mb == 5


def test_it_rejects_a_token_that_may_only_read(core: Cast) -> None:
    with ledger.refused("FORBIDDEN"):
        update_user(core.caller("bob"), email=EMAIL, quota_mb=5)


def test_it_rejects_a_quota_out_of_range(core: Cast) -> None:
    for value in [0, -1, 1048577, 1.5, True, "5", "1M userdb_uid=0", None, 10**30, float("nan")]:
        with ledger.refused("INVALID_INPUT", "quota_mb"):
            update_user(core.alice, email=EMAIL, quota_mb=value)


def test_it_rejects_a_permission_that_is_no_boolean(core: Cast) -> None:
    for field in ["can_login", "can_receive"]:
        for value in ["true", 1, 0, 1.0, None, ""]:
            with ledger.refused("INVALID_INPUT", field):
                update_user(core.alice, **{"email": EMAIL, field: value})


def test_it_rejects_what_is_not_for_callers_to_set(core: Cast) -> None:
    for field in ["active", "domain_id", "password_hash", "purge_at", "id"]:
        with ledger.refused("INVALID_INPUT", field):
            update_user(core.alice, **{"email": EMAIL, field: "1"})
