"""add-node."""

from __future__ import annotations

from dataclasses import replace

from app.credentials import SYNC_KEY, digest, is_well_formed
from app.extensions import db
from app.models import SyncKey
from app.operations.nodes import add_node, list_nodes
from tests.conftest import Cast
from tests.operations import ledger


def test_it_works(core: Cast) -> None:
    with ledger.recorded(revisions=0):
        node = add_node(core.root, name="mpi02", ip_address="192.0.2.7").to_answer()["node"]
    assert (node["name"], node["ip_address"], node["state"]) == ("mpi02", "192.0.2.7", "waiting")
    assert is_well_formed(node.get("sync_key", ""), SYNC_KEY)


def test_the_key_is_shown_once_and_only_its_digest_is_kept(core: Cast) -> None:
    key = add_node(core.root, name="mpi02").to_answer()["node"].get("sync_key", "")
    assert db.session.scalar(db.select(SyncKey).where(SyncKey.digest == digest(key)))
    assert key not in repr(ledger.everything())
    assert key not in repr(list_nodes(core.root).to_answer())


def test_every_node_has_a_key_of_its_own(core: Cast) -> None:
    keys = [add_node(core.root, name=f"node{number}").sync_key for number in range(3)]
    assert len({*keys, core.sync_key}) == 4


def test_the_address_is_stored_in_its_shortest_form(core: Cast) -> None:
    for number, (given, stored) in enumerate(
        [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("192.0.2.0/255.255.255.0", "192.0.2.0/24"),
            ("2001:DB8:0:0::7", "2001:db8::7"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ]
    ):
        node = add_node(core.root, name=f"node{number}", ip_address=given).to_answer()["node"]
        assert node["ip_address"] == stored


def test_it_rejects_what_is_no_address_or_network(core: Cast) -> None:
    for value in (
        "", "x", "192.0.2.1/24", "192.0.2.256", "192.0.2.07", " 192.0.2.7", "192.0.2.7 ",
        "0.0.0.0/0", "::/0", "::ffff:0:0/96", "fe80::1%eth0", "192.0.2.7/33", "192.0.2.0/ 24",
        "3221225991", 3221225991, None, True, ["192.0.2.7"],
    ):  # fmt: skip
        with ledger.refused("INVALID_INPUT", "ip_address"):
            add_node(core.root, name="mpi02", ip_address=value)


def test_it_rejects_what_is_no_name(core: Cast) -> None:
    for value in ("", "-a", "A", "a.b", "a_b", "a b", "a\n", "é", "a" * 64, 1, None):
        with ledger.refused("INVALID_INPUT", "name"):
            add_node(core.root, name=value)


def test_names_may_be_as_short_and_as_long_as_that(core: Cast) -> None:
    for name in ("a", "0", "a-", "a" * 63):
        assert add_node(core.root, name=name).node.name == name


def test_it_rejects_a_name_that_is_taken(core: Cast) -> None:
    with ledger.refused("NODE_EXISTS", "name"):
        add_node(core.root, name="mpi01")


def test_it_rejects_customers(core: Cast) -> None:
    for who in ("alice", "bob", "charlie"):
        with ledger.refused("FORBIDDEN"):
            add_node(core.caller(who), name="mpi02")


def test_it_rejects_an_admin_s_token_that_may_only_read(core: Cast) -> None:
    with ledger.refused("FORBIDDEN"):
        add_node(replace(core.root, may_write=False), name="mpi02")
