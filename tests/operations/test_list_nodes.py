"""list-nodes."""

from __future__ import annotations

import pytest

from app import clock
from app.database import write_transaction
from app.extensions import db
from app.models import Node
from app.operations.mailboxes import add_user
from app.operations.nodes import add_node, list_nodes
from tests.conftest import PASSWORD, Cast
from tests.operations import ledger


def test_it_works(core: Cast) -> None:
    answer = list_nodes(core.root).to_answer()
    [node] = answer["nodes"]
    assert answer.keys() == {"nodes", "total"}
    assert answer["total"] == 1
    assert (node["name"], node["state"], node["last_sync_at"]) == ("mpi01", "waiting", None)


def test_its_fields_are_the_contract_s_and_no_key_is_among_them(core: Cast) -> None:
    [node] = list_nodes(core.root).to_answer()["nodes"]
    assert set(node) == {
        "name", "ip_address", "host", "mx_priority", "state", "last_sync_at",
        "applied_revision", "agent_version", "created_at",
    }  # fmt: skip


def test_it_sorts_in_byte_order(core: Cast) -> None:
    names = ["a", "a-b", "a0", "ab", "b"]
    for name in reversed(names):
        add_node(core.root, name=name)
    assert [node["name"] for node in list_nodes(core.root).to_answer()["nodes"]] == [
        *names,
        "mpi01",
    ]


@pytest.mark.parametrize(
    ("seconds", "state"),
    [(-3600, "up"), (0, "up"), (110, "up"), (130, "late"), (590, "late"), (610, "down")],
)
def test_the_state_follows_from_when_it_was_seen(core: Cast, seconds: int, state: str) -> None:
    _note(last_sync_at=clock.from_now(seconds=-seconds))
    assert list_nodes(core.root).to_answer()["nodes"][0]["state"] == state


def test_a_paused_node_is_paused_whenever_it_was_seen(core: Cast) -> None:
    _note(last_sync_at=clock.now(), is_paused=True)
    assert list_nodes(core.root).to_answer()["nodes"][0]["state"] == "paused"


def test_a_change_counts_the_nodes_that_have_it(core: Cast) -> None:
    feed = ledger.feed()
    for name, epoch, revision in (
        ("has-it", feed.epoch, feed.revision + 1),
        ("has-not", feed.epoch, feed.revision),
        ("of-another-epoch", "0" * 36, feed.revision + 1),
    ):
        add_node(core.root, name=name)
        _note(name, applied_epoch=epoch, applied_revision=revision)
    user = add_user(core.alice, email="info@example.nl", password=PASSWORD).to_answer()["user"]
    assert user.get("sync") == {"revision": ledger.revision(), "nodes": 4, "nodes_applied": 1}


def _note(node: str = "mpi01", **values: object) -> None:
    with write_transaction() as session:
        session.execute(db.update(Node).where(Node.name == node).values(**values))


def test_it_changes_nothing(core: Cast) -> None:
    before = ledger.everything()
    list_nodes(core.root)
    assert ledger.everything() == before


def test_it_rejects_customers(core: Cast) -> None:
    for who in ("alice", "bob", "charlie"):
        with ledger.refused("FORBIDDEN"):
            list_nodes(core.caller(who))
