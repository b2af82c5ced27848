"""update-node."""

from __future__ import annotations

from app.operations.nodes import add_node, lose_node, update_node
from tests.conftest import Cast
from tests.operations import ledger


def test_it_works(core: Cast) -> None:
    with ledger.recorded(revisions=0):
        node = update_node(core.root, name="mpi01", host="MPI01.Bäckerei.example.", mx_priority=20)
    told = node.to_answer()["node"]
    assert (told["host"], told["mx_priority"]) == ("mpi01.xn--bckerei-5wa.example", 20)
    told = update_node(core.root, name="mpi01", mx_priority=0).to_answer()["node"]
    assert (told["host"], told["mx_priority"]) == ("mpi01.xn--bckerei-5wa.example", 0)
    told = update_node(core.root, name="mpi01", host="").to_answer()["node"]
    assert (told["host"], told["mx_priority"]) == (None, 0)


def test_it_rejects_the_name_of_another_node(core: Cast) -> None:
    add_node(core.root, name="mpi02")
    update_node(core.root, name="mpi01", host="mail.example.net")
    with ledger.recorded(revisions=0):
        update_node(core.root, name="mpi01", host="mail.example.net")
    with ledger.refused("HOST_TAKEN", "host"):
        update_node(core.root, name="mpi02", host="mail.example.net")
    lose_node(core.root, name="mpi01")
    update_node(core.root, name="mpi02", host="mail.example.net")


def test_it_is_for_admins_and_says_that_a_node_does_not_exist(core: Cast) -> None:
    with ledger.refused("FORBIDDEN"):
        update_node(core.alice, name="mpi01", host="mail.example.net")
    with ledger.refused("NODE_NOT_FOUND", "name"):
        update_node(core.root, name="mpi99", host="mail.example.net")
