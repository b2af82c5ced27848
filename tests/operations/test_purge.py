"""purge."""

from __future__ import annotations

from app.caller import command_line
from app.operations.domains import disable_email, remove_domain
from app.operations.mailboxes import add_user, remove_user, restore_user
from app.operations.panel import anything_to_purge, purge
from tests.conftest import PASSWORD, Cast
from tests.operations import ledger


def _removed(core: Cast, *names: str) -> list[str]:
    """The ids of mailboxes that were removed, sorted."""
    ids = []
    for name in names:
        mailbox = add_user(core.alice, email=f"{name}@example.nl", password=PASSWORD).mailbox
        remove_user(core.alice, email=f"{name}@example.nl")
        ids.append(mailbox.id)
    return sorted(ids)


def test_it_works(core: Cast) -> None:
    add_user(core.alice, email="live@example.nl", password=PASSWORD)
    removed = _removed(core, "a", "b")
    ledger.let_grace_periods_end()
    with ledger.recorded():
        purged = purge(command_line())
    assert (purged.mailboxes, purged.orders) == (2, 2)
    assert ledger.exported()["purge"] == removed
    assert list(ledger.exported_users()) == ["live@example.nl"]


def test_what_is_not_due_stays_restorable(core: Cast) -> None:
    _removed(core, "a")
    purged = purge(command_line())
    assert (purged.mailboxes, purged.orders) == (0, 0)
    assert restore_user(core.alice, email="a@example.nl").mailbox.is_active


def test_with_nothing_to_do_nodes_need_not_know(core: Cast) -> None:
    _removed(core, "a")
    assert not anything_to_purge()
    with ledger.recorded(revisions=0):
        purge(command_line())


def test_it_finds_what_there_is_to_do(core: Cast) -> None:
    _removed(core, "a")
    ledger.let_grace_periods_end()
    assert anything_to_purge()
    purge(command_line())
    assert not anything_to_purge()


def test_doing_it_again_changes_nothing(core: Cast) -> None:
    _removed(core, "a")
    ledger.let_grace_periods_end()
    purge(command_line())
    with ledger.recorded(revisions=0):
        purge(command_line())


def test_the_address_is_free_again_and_another_mailbox(core: Cast) -> None:
    [before] = _removed(core, "a")
    ledger.let_grace_periods_end()
    purge(command_line())
    assert add_user(core.alice, email="a@example.nl", password=PASSWORD).mailbox.id != before


def test_it_purges_where_email_is_off(core: Cast) -> None:
    removed = _removed(core, "a")
    disable_email(core.alice, domain="example.nl")
    ledger.let_grace_periods_end()
    purge(command_line())
    assert ledger.exported()["purge"] == removed


def test_it_releases_the_orders_of_domains_that_are_gone(core: Cast) -> None:
    removed = _removed(core, "a")
    remove_domain(core.root, domain="example.nl")
    assert purge(command_line()).orders == 0
    ledger.let_grace_periods_end()
    assert anything_to_purge()
    with ledger.recorded():
        assert purge(command_line()).orders == 1
    assert ledger.exported()["purge"] == removed


def test_it_rejects_customers(core: Cast) -> None:
    with ledger.refused("FORBIDDEN"):
        purge(core.alice)
