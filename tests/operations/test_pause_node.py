"""pause-node and resume-node."""

from __future__ import annotations

import pytest

from app import clock
from app.errors import Forbidden, NotFound
from app.extensions import db
from app.models import Node
from app.operations import browse
from app.operations.mailboxes import add_user
from app.operations.nodes import add_node, pause_node, resume_node
from tests.conftest import PASSWORD, Cast


def test_it_works(core: Cast) -> None:
    for _twice in range(2):
        assert pause_node(core.root, name="mpi01").to_answer()["node"]["state"] == "paused"
    for _twice in range(2):
        assert resume_node(core.root, name="mpi01").to_answer()["node"]["state"] == "waiting"


def test_no_change_waits_for_a_paused_node(core: Cast) -> None:
    add_node(core.root, name="mpi02")
    pause_node(core.root, name="mpi01")
    made = add_user(core.alice, email="info@example.nl", password=PASSWORD)
    assert made.sync is not None
    assert (made.sync.nodes, made.sync.nodes_applied) == (1, 0)
    resume_node(core.root, name="mpi01")
    assert browse.sync(core.alice, made.mailbox).nodes == 2


def test_a_paused_node_raises_no_alarm(core: Cast) -> None:
    node = db.session.scalars(db.select(Node)).one()
    node.last_sync_at = clock.from_now(days=-1)
    db.session.commit()
    assert browse.nodes_down(core.root) == 1
    pause_node(core.root, name="mpi01")
    assert browse.nodes_down(core.root) == 0
    resume_node(core.root, name="mpi01")
    assert browse.nodes_down(core.root) == 1


@pytest.mark.parametrize("verb", [pause_node, resume_node])
def test_it_is_for_admins_and_says_that_a_node_does_not_exist(core: Cast, verb: object) -> None:
    assert callable(verb)
    with pytest.raises(Forbidden):
        verb(core.alice, name="mpi01")
    with pytest.raises(NotFound):
        verb(core.root, name="mpi99")
