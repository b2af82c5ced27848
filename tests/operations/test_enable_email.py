"""enable-email."""

from __future__ import annotations

import pytest

from app.operations.domains import add_domain, disable_email, enable_email
from app.operations.mailboxes import add_user, list_users, remove_user, restore_user
from tests.conftest import PASSWORD, Cast
from tests.operations import ledger


def test_it_works(core: Cast) -> None:
    with ledger.recorded():
        answer = enable_email(core.alice, domain="parked.nl").to_answer()["domain"]
    assert (answer["domain"], answer["email_enabled"]) == ("parked.nl", True)
    assert (answer["mailboxes"], answer["active_mailboxes"]) == (0, 0)
    assert "parked.nl" in ledger.exported()["domains"]


def test_the_audit_entry_says_who_did_what(core: Cast) -> None:
    enable_email(core.alice, domain="Parked.NL.")
    entry = ledger.entries()[-1]
    assert (entry.actor, entry.action, entry.object) == (
        "token 1 (alice)",
        "enable-email",
        "parked.nl",
    )
    assert (entry.project_id, entry.given, entry.revision) == (1, "domain", ledger.revision())


def test_doing_it_again_changes_nothing(core: Cast) -> None:
    with ledger.recorded(revisions=0):
        answer = enable_email(core.alice, domain="example.nl").to_answer()
    assert answer["domain"]["email_enabled"] is True


def test_the_name_may_be_written_in_any_way(core: Cast) -> None:
    add_domain(core.root, domain="bücher.example", project_id=1)
    answer = enable_email(core.alice, domain="XN--BCHER-KVA.Example.").to_answer()["domain"]
    assert answer["domain"] == "xn--bcher-kva.example"
    assert answer["domain_unicode"] == "bücher.example"


def test_only_admins_are_told_the_project(core: Cast) -> None:
    assert "project_id" not in enable_email(core.alice, domain="parked.nl").to_answer()["domain"]
    assert enable_email(core.root, domain="parked.nl").to_answer()["domain"]["project_id"] == 1


def test_it_brings_removed_mailboxes_back_to_the_list(core: Cast) -> None:
    add_user(core.alice, email="info@example.nl", password=PASSWORD)
    remove_user(core.alice, email="info@example.nl")
    disable_email(core.alice, domain="example.nl")
    answer = enable_email(core.alice, domain="example.nl").to_answer()["domain"]
    assert (answer["mailboxes"], answer["active_mailboxes"]) == (1, 0)
    assert [user["active"] for user in list_users(core.alice).to_answer()["users"]] == [False]
    assert restore_user(core.alice, email="info@example.nl").mailbox.is_active


def test_it_hides_from_strangers(core: Cast) -> None:
    with ledger.refused("DOMAIN_NOT_FOUND", "domain"):
        enable_email(core.charlie, domain="parked.nl")
    assert enable_email(core.alice, domain="parked.nl").domain.email_enabled


def test_absent_and_not_yours_read_the_same(core: Cast) -> None:
    messages = []
    for name in ("parked.nl", "absent.nl"):
        with pytest.raises(Exception, match=name) as refusal:
            enable_email(core.charlie, domain=name)
        messages.append(str(refusal.value).replace(name, "…"))
    assert messages[0] == messages[1]


def test_it_rejects_what_only_resembles_a_linked_domain(core: Cast) -> None:
    for name in ["sub.example.nl", "xexample.nl", "example.nl.evil.nl", "e.nl"]:
        with ledger.refused("DOMAIN_NOT_FOUND", "domain"):
            enable_email(core.alice, domain=name)


def test_it_rejects_a_domain_of_no_project(core: Cast) -> None:
    add_domain(core.root, domain="free.nl")
    with ledger.refused("DOMAIN_NOT_FOUND", "domain"):
        enable_email(core.alice, domain="free.nl")
    with ledger.refused("DOMAIN_NOT_FOUND", "domain"):
        enable_email(core.root, domain="free.nl")


def test_it_rejects_a_domain_of_another_project_even_for_an_admin(core: Cast) -> None:
    with ledger.refused("DOMAIN_NOT_FOUND", "domain"):
        enable_email(core.root, domain="charlie.nl")


def test_it_rejects_a_token_that_may_only_read(core: Cast) -> None:
    with ledger.refused("FORBIDDEN"):
        enable_email(core.caller("bob"), domain="parked.nl")


def test_it_rejects_what_is_no_domain_name(core: Cast) -> None:
    for value in ["localhost", "", " parked.nl", 1, True, None, ["parked.nl"]]:
        with ledger.refused("INVALID_INPUT", "domain"):
            enable_email(core.alice, domain=value)


def test_it_rejects_a_missing_domain(core: Cast) -> None:
    with ledger.refused("INVALID_INPUT", "domain"):
        enable_email(core.alice)


def test_it_rejects_an_unknown_field_by_its_name(core: Cast) -> None:
    for field in ["project_id", "id", "is_admin", "caller", "self", "revision"]:
        with ledger.refused("INVALID_INPUT", field):
            enable_email(core.alice, **{"domain": "parked.nl", field: 2})
