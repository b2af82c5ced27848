"""remove-domain."""

from __future__ import annotations

import pytest

from app.caller import command_line
from app.errors import StillInUse
from app.operations.domains import add_domain, enable_email, list_domains, remove_domain
from app.operations.mailboxes import add_user, list_users, remove_user, restore_user
from app.operations.panel import purge
from tests.conftest import PASSWORD, Cast
from tests.operations import ledger

EMAIL = "info@example.nl"


def test_it_works(core: Cast) -> None:
    with ledger.recorded():
        answer = remove_domain(core.root, domain="Example.NL").to_answer()
    assert answer == {"domain": {"domain": "example.nl", "removed": True}}
    assert list_domains(core.alice).to_answer()["total"] == 0
    assert ledger.exported()["domains"] == ["charlie.nl"]


def test_the_project_an_admin_acts_in_does_not_matter(core: Cast) -> None:
    remove_domain(core.root, domain="charlie.nl")
    entry = ledger.entries()[-1]
    assert (entry.action, entry.object, entry.project_id) == ("remove-domain", "charlie.nl", None)


def test_nodes_need_not_know_when_its_email_was_off(core: Cast) -> None:
    with ledger.recorded(revisions=0):
        remove_domain(core.root, domain="parked.nl")


def test_it_rejects_a_domain_with_active_mailboxes(core: Cast) -> None:
    add_user(core.alice, email=EMAIL, password=PASSWORD)
    with ledger.refused("MAILBOXES_EXIST", "domain"):
        remove_domain(core.root, domain="example.nl")
    with pytest.raises(StillInUse, match="1 active mailbox"):
        remove_domain(core.root, domain="example.nl")


def test_removed_mailboxes_become_orders_with_their_own_dates(core: Cast) -> None:
    mailbox = add_user(core.alice, email=EMAIL, password=PASSWORD).mailbox.id
    due_at = remove_user(core.alice, email=EMAIL).to_answer()["user"].get("purge_at")
    remove_domain(core.root, domain="example.nl")
    assert ledger.orders() == {mailbox: False}
    assert ledger.order(mailbox).due_at == due_at
    assert ledger.exported()["purge"] == []


def test_the_orders_go_out_when_their_time_comes(core: Cast) -> None:
    mailbox = add_user(core.alice, email=EMAIL, password=PASSWORD).mailbox.id
    remove_user(core.alice, email=EMAIL)
    remove_domain(core.root, domain="example.nl")
    ledger.let_grace_periods_end()
    with ledger.recorded():
        purge(command_line())
    assert ledger.exported()["purge"] == [mailbox]


def test_who_gets_the_domain_later_sees_none_of_it(core: Cast) -> None:
    add_user(core.alice, email=EMAIL, password=PASSWORD)
    remove_user(core.alice, email=EMAIL)
    remove_domain(core.root, domain="example.nl")
    add_domain(core.root, domain="example.nl", project_id=2)
    enable_email(core.charlie, domain="example.nl")
    assert list_users(core.charlie).to_answer()["total"] == 0
    with ledger.refused("MAILBOX_NOT_FOUND", "email"):
        restore_user(core.charlie, email=EMAIL)
    assert add_user(core.charlie, email=EMAIL, password=PASSWORD).mailbox.is_active


def test_it_rejects_a_domain_that_is_not_there(core: Cast) -> None:
    remove_domain(core.root, domain="parked.nl")
    with ledger.refused("DOMAIN_NOT_FOUND", "domain"):
        remove_domain(core.root, domain="parked.nl")


def test_it_rejects_customers_their_own_domains_too(core: Cast) -> None:
    for who in ("alice", "bob", "charlie"):
        with ledger.refused("FORBIDDEN"):
            remove_domain(core.caller(who), domain="parked.nl")
