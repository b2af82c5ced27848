"""update-password."""

from __future__ import annotations

import pytest

from app.errors import Invalid
from app.operations.domains import add_domain, enable_email
from app.operations.mailboxes import add_user, remove_user, update_password
from app.passwords import matches
from tests.conftest import PASSWORD, Cast
from tests.operations import ledger

EMAIL = "info@example.nl"
OTHER = "another horse battery"


@pytest.fixture(autouse=True)
def mailbox(core: Cast) -> str:
    """The id of a mailbox."""
    return add_user(core.alice, email=EMAIL, password=PASSWORD).mailbox.id


def test_it_works(core: Cast, mailbox: str) -> None:
    with ledger.recorded():
        user = update_password(core.alice, email=EMAIL, password=OTHER).to_answer()["user"]
    assert user.get("sync") == {"revision": ledger.revision(), "nodes": 1, "nodes_applied": 0}
    stored = ledger.exported_users()[EMAIL]
    assert (stored["id"], matches(OTHER, stored["password"])) == (mailbox, True)
    assert not matches(PASSWORD, stored["password"])


def test_nothing_else_of_the_mailbox_changes(core: Cast) -> None:
    before = ledger.exported_users()[EMAIL]
    update_password(core.alice, email=EMAIL, password=OTHER)
    after = ledger.exported_users()[EMAIL]
    assert {name for name in after if after[name] != before[name]} == {"password"}


def test_the_answer_and_the_audit_log_do_not_tell_it(core: Cast) -> None:
    answer = update_password(core.alice, email=EMAIL, password=OTHER).to_answer()
    entry = ledger.entries()[-1]
    assert (entry.action, entry.object, entry.given) == ("update-password", EMAIL, "email password")
    assert "password" not in answer["user"]
    assert OTHER not in repr(answer)


def test_the_same_password_again_is_a_new_hash(core: Cast) -> None:
    before = ledger.exported_users()[EMAIL]["password"]
    with ledger.recorded():
        update_password(core.alice, email=EMAIL, password=PASSWORD)
    after = ledger.exported_users()[EMAIL]["password"]
    assert after != before
    assert matches(PASSWORD, after)


def test_it_rejects_a_removed_mailbox(core: Cast) -> None:
    remove_user(core.alice, email=EMAIL)
    with ledger.refused("MAILBOX_REMOVED", "email"):
        update_password(core.alice, email=EMAIL, password=OTHER)


def test_it_rejects_an_absent_mailbox(core: Cast) -> None:
    with ledger.refused("MAILBOX_NOT_FOUND", "email"):
        update_password(core.alice, email="absent@example.nl", password=OTHER)


def test_it_rejects_a_domain_whose_email_is_off(core: Cast) -> None:
    with ledger.refused("EMAIL_NOT_ENABLED", "email"):
        update_password(core.alice, email="info@parked.nl", password=OTHER)


def test_it_hides_from_strangers(core: Cast) -> None:
    with ledger.refused("MAILBOX_NOT_FOUND", "email"):
        update_password(core.charlie, email=EMAIL, password=OTHER)
    assert update_password(core.alice, email=EMAIL, password=OTHER).mailbox.email == EMAIL


def test_it_rejects_a_token_that_may_only_read(core: Cast) -> None:
    with ledger.refused("FORBIDDEN"):
        update_password(core.caller("bob"), email=EMAIL, password=OTHER)


def test_it_rejects_an_unusable_password(core: Cast) -> None:
    for password in [
        "",
        "short",
        "a" * 73,
        "with\ttab in it",
        "password1",
        "INFO@example.nl",
        12345678,
        None,
    ]:
        with ledger.refused("INVALID_INPUT", "password"):
            update_password(core.alice, email=EMAIL, password=password)

    def test_it_rejects_the_name_of_the_domain_in_either_writing(core: Cast) -> None:
        add_domain(core.root, domain="bücher.example", project_id=1)
        enable_email(core.alice, domain="bücher.example")
        add_user(core.alice, email="a@bücher.example", password=PASSWORD)
        for name in (
            "bücher.example",
            "BÜCHER.Example",
            "xn--bcher-kva.example",
            "a@bücher.example",
        ):
            with ledger.refused("INVALID_INPUT", "password"):
                update_password(core.alice, email="a@bücher.example", password=name)

    def test_the_refusal_does_not_repeat_it(core: Cast) -> None:
        with pytest.raises(Invalid) as refusal:
            update_password(core.alice, email=EMAIL, password="hunter2")
        assert "hunter2" not in repr(vars(refusal.value))
        assert refusal.value.__cause__ is None
