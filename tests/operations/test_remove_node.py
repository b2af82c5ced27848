"""remove-node."""

from __future__ import annotations

import pytest

from app.errors import Forbidden, NotFound
from app.extensions import db
from app.models import Node, SyncKey
from app.operations.nodes import add_node, remove_node, rotate_node_key
from tests.conftest import Cast


def test_it_works(core: Cast) -> None:
    add_node(core.root, name="mpi02")
    rotate_node_key(core.root, name="mpi01")
    answer = remove_node(core.root, name="mpi01").to_answer()
    assert answer == {"node": {"name": "mpi01", "removed": True}}
    assert [node.name for node in db.session.scalars(db.select(Node))] == ["mpi02"]
    assert len(db.session.scalars(db.select(SyncKey)).all()) == 1
    with pytest.raises(NotFound):
        remove_node(core.root, name="mpi01")


def test_its_name_can_be_used_again(core: Cast) -> None:
    remove_node(core.root, name="mpi01")
    assert add_node(core.root, name="mpi01").sync_key


def test_it_is_for_admins(core: Cast) -> None:
    with pytest.raises(Forbidden):
        remove_node(core.alice, name="mpi01")
