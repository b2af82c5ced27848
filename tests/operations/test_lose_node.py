"""lose-node."""

from __future__ import annotations

import pytest

from app import clock
from app.errors import Forbidden, NotFound
from app.extensions import db
from app.models import Node, PurgeAck, SyncKey
from app.operations import browse
from app.operations.mailboxes import add_user, remove_user
from app.operations.nodes import add_node, lose_node, remove_node, rotate_node_key
from app.operations.reports import acknowledge_purge
from tests.conftest import PASSWORD, Cast
from tests.operations import ledger


def test_it_works(core: Cast) -> None:
    add_node(core.root, name="mpi02")
    rotate_node_key(core.root, name="mpi01")
    for _twice in range(2):
        with ledger.recorded(revisions=0):
            node = lose_node(core.root, name="mpi01").to_answer()["node"]
        assert node["state"] == "lost"
    assert [key.node_id for key in db.session.scalars(db.select(SyncKey))] == [2]
    assert ledger.entries()[-1].object == "mpi01"


def test_it_never_gets_a_key_again(core: Cast) -> None:
    lose_node(core.root, name="mpi01")
    with ledger.refused("NODE_LOST", "name"):
        rotate_node_key(core.root, name="mpi01")
    remove_node(core.root, name="mpi01")
    assert add_node(core.root, name="mpi01").node.state == "waiting"


def test_nothing_waits_for_it_and_it_is_not_down(core: Cast) -> None:
    node = db.session.scalars(db.select(Node)).one()
    node.last_sync_at = clock.from_now(days=-1)
    db.session.commit()
    lose_node(core.root, name="mpi01")
    made = add_user(core.alice, email="info@example.nl", password=PASSWORD)
    assert made.sync is not None
    assert made.sync.nodes == 0
    assert browse.sync(core.alice, made.mailbox).waiting_for is None
    assert browse.nodes_down(core.root) == 0


def test_what_only_it_had_to_remove_is_done(core: Cast) -> None:
    add_node(core.root, name="mpi02")
    for name in ("info", "later"):
        add_user(core.alice, email=f"{name}@example.nl", password=PASSWORD)
    mine, later = (ledger.mailbox(f"{name}@example.nl").id for name in ("info", "later"))
    remove_user(core.alice, email="info@example.nl", hard_delete=True)
    acknowledge_purge(core.root, name="mpi02", mailboxes=[mine])
    assert mine in ledger.orders()
    lose_node(core.root, name="mpi01")
    assert ledger.orders() == {}
    remove_user(core.alice, email="later@example.nl", hard_delete=True)
    acknowledge_purge(core.root, name="mpi02", mailboxes=[later])
    assert ledger.orders() == {}
    assert db.session.scalars(db.select(PurgeAck)).all() == []


def test_it_is_for_admins_and_says_that_a_node_does_not_exist(core: Cast) -> None:
    with pytest.raises(Forbidden):
        lose_node(core.alice, name="mpi01")
    with pytest.raises(NotFound):
        lose_node(core.root, name="mpi99")
