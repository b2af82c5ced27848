"""confirm-shrink: after a restore, an admin says that fewer mailboxes are meant."""

from __future__ import annotations

from app.caller import command_line
from app.database import write_transaction
from app.extensions import db
from app.models import Feed
from app.operations.mailboxes import add_user, remove_user
from app.operations.panel import confirm_shrink
from tests.conftest import PASSWORD, Cast
from tests.operations import ledger


def _restored(**values: object) -> None:
    """Make the panel one that came out of a backup."""
    with write_transaction() as session:
        session.execute(db.update(Feed).values(**values))


def test_it_works(core: Cast) -> None:
    add_user(core.alice, email="a@example.nl", password=PASSWORD)
    _restored(shrink_is_meant=False)
    assert ledger.exported()["allow_shrink"] is False
    with ledger.recorded():
        confirm_shrink(command_line())
    assert ledger.exported()["allow_shrink"] is True


def test_it_counts_the_users_anew(core: Cast) -> None:
    add_user(core.alice, email="a@example.nl", password=PASSWORD)
    add_user(core.alice, email="b@example.nl", password=PASSWORD)
    remove_user(core.alice, email="b@example.nl")
    _restored(shrink_is_meant=False, users=99)
    confirm_shrink(command_line())
    assert (ledger.feed().users, ledger.exported()["allow_shrink"]) == (1, True)


def test_nodes_are_told_whenever_the_export_changes_by_it(core: Cast) -> None:
    _restored(users=99)
    assert ledger.exported()["allow_shrink"] is False
    with ledger.recorded():
        confirm_shrink(command_line())
    assert ledger.exported()["allow_shrink"] is True


def test_doing_it_again_changes_nothing(core: Cast) -> None:
    with ledger.recorded(revisions=0):
        confirm_shrink(command_line())


def test_later_changes_stay_meant(core: Cast) -> None:
    _restored(shrink_is_meant=False)
    confirm_shrink(command_line())
    add_user(core.alice, email="a@example.nl", password=PASSWORD)
    remove_user(core.alice, email="a@example.nl", hard_delete=True)
    assert (ledger.feed().users, ledger.exported()["allow_shrink"]) == (0, True)


def test_it_rejects_customers(core: Cast) -> None:
    with ledger.refused("FORBIDDEN"):
        confirm_shrink(core.alice)
