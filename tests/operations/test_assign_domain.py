"""assign-domain: an operator's word on whose a domain is."""

from __future__ import annotations

from app.caller import command_line
from app.operations.domains import add_domain, assign_domain, enable_email, list_domains
from app.operations.mailboxes import add_user, list_users, remove_user, restore_user
from tests.conftest import PASSWORD, Cast
from tests.operations import ledger

EMAIL = "info@example.nl"


def test_it_works(core: Cast) -> None:
    with ledger.recorded(revisions=0):
        answer = assign_domain(command_line(), domain="New.NL", project_id=2).to_answer()["domain"]
    assert (answer["domain"], answer.get("project_id")) == ("new.nl", 2)
    assert enable_email(core.charlie, domain="new.nl").domain.email_enabled


def test_a_registered_domain_of_nobody_is_linked(core: Cast) -> None:
    add_domain(core.root, domain="free.nl")
    assign_domain(core.root, domain="free.nl", project_id=2)
    assert ledger.domain("free.nl").project_id == 2


def test_doing_it_again_changes_nothing(core: Cast) -> None:
    add_user(core.alice, email=EMAIL, password=PASSWORD)
    with ledger.recorded(revisions=0):
        assign_domain(core.root, domain="example.nl", project_id=1)
    assert ledger.domain("example.nl").email_enabled
    assert EMAIL in ledger.exported_users()


def test_its_email_is_off_in_its_new_project(core: Cast) -> None:
    with ledger.recorded():
        assign_domain(core.root, domain="example.nl", project_id=2)
    assert list_domains(core.alice).to_answer()["total"] == 0
    assert ledger.exported()["domains"] == ["charlie.nl"]


def test_what_was_removed_stays_with_its_former_project(core: Cast) -> None:
    mailbox = add_user(core.alice, email=EMAIL, password=PASSWORD).mailbox.id
    remove_user(core.alice, email=EMAIL)
    assign_domain(core.root, domain="example.nl", project_id=2)
    enable_email(core.charlie, domain="example.nl")
    assert (ledger.orders(), list_users(core.charlie).rows) == ({mailbox: False}, [])
    with ledger.refused("MAILBOX_NOT_FOUND", "email"):
        restore_user(core.charlie, email=EMAIL)
    with ledger.refused("MAILBOX_NOT_FOUND", "email"):
        restore_user(core.alice, email=EMAIL)


def test_it_rejects_a_domain_in_use_elsewhere(core: Cast) -> None:
    add_user(core.alice, email=EMAIL, password=PASSWORD)
    with ledger.refused("MAILBOXES_EXIST", "domain"):
        assign_domain(core.root, domain="example.nl", project_id=2)


def test_it_rejects_a_project_that_is_not_there(core: Cast) -> None:
    with ledger.refused("PROJECT_NOT_FOUND", "project_id"):
        assign_domain(core.root, domain="new.nl", project_id=99)


def test_it_rejects_customers(core: Cast) -> None:
    with ledger.refused("FORBIDDEN"):
        assign_domain(core.alice, domain="charlie.nl", project_id=1)
