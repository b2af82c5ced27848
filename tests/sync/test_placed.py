"""Homes of domains: what each node is told, and what leads from one revision to another."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from app.caller import command_line
from app.errors import OperationError
from app.extensions import db
from app.models import Node as Row
from app.operations import OPERATIONS
from tests.conftest import PASSWORD, Api
from tests.sync.node import Node, checked, fill
from tests.sync.on_both import cast, database, settings

__all__ = ["cast", "database", "settings"]
ARRAYS = ("domains", "users", "aliases", "relays", "recipients")
KEYS: dict[str, Callable[[Any], str]] = {
    "domains": str,
    "users": lambda row: str(row["id"]),
    "relays": lambda row: str(row["domain"]),
    "recipients": lambda row: str(row["id"]),
}


@pytest.fixture
def nodes(api: Api) -> list[Node]:
    """mpi01, mpi02 and mpi03, each with a public name; example.nl has two mailboxes."""
    made = [Node(api.client, api.cast.sync_key)]
    for name in ("mpi02", "mpi03"):
        key = api("add-node", "root", name=name).get_json()["data"]["node"]["sync_key"]
        made.append(Node(api.client, key, name))
    for node in made:
        api("update-node", "root", name=node.name, host=f"{node.name}.example.net")
    fill(api, "info", "sales")
    return made


def place(api: Api, node: str, domain: str = "example.nl") -> None:
    answer = api("set-home-node", "root", domain=domain, node=node)
    assert answer.status_code == 200, answer.text


def told(node: Node, **given: str) -> dict[str, Any]:
    """What a node is told, in either format, its counts and digest checked."""
    answer = node.ask(**given)
    document: dict[str, Any] = answer.get_json()
    assert answer.headers["ETag"] == f'"{document["epoch"]}-{document["revision"]}-{node.name}"'
    if document["format"] == 1 or not document["full"]:
        return checked(answer, node.name) if document["full"] else document
    assert document["counts"] == {name: len(document[name]) for name in ARRAYS}
    assert document["sha256"] == digest(document)
    assert document["relays"] == sorted(document["relays"], key=lambda row: str(row["domain"]))
    assert document["recipients"] == sorted(document["recipients"], key=lambda row: str(row["id"]))
    relayed = {row["domain"] for row in document["relays"]}
    assert not relayed & set(document["domains"])
    assert all(row.keys() == {"email", "id"} for row in document["recipients"])
    assert {row["email"].partition("@")[2] for row in document["recipients"]} <= relayed
    assert {row["email"].partition("@")[2] for row in document["users"]} <= {*document["domains"]}
    return document


def digest(document: dict[str, Any]) -> str:
    """The digest over all arrays that there are."""
    arrays = [document[name] for name in ARRAYS if name in document]
    encoded = json.dumps(arrays, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(encoded.encode()).hexdigest()


def emails(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(row["email"] for row in rows)


BOTH = ["info@example.nl", "sales@example.nl"]


def test_it_works(api: Api, nodes: list[Node]) -> None:
    place(api, "mpi01")
    home, second, third = (told(node) for node in nodes)
    assert home["format"] == 1
    assert emails(home["users"]) == BOTH
    for backup in (second, third):
        assert backup["format"] == 2
        assert backup["users"] == []
        assert backup["relays"] == [{"domain": "example.nl", "host": "mpi01.example.net"}]
        assert emails(backup["recipients"]) == BOTH
        assert "$2" not in json.dumps(backup)
    ids = {row["id"] for row in home["users"]}
    assert {row["id"] for row in second["recipients"]} == ids


def test_nobody_else_holds_what_changes_of_a_mailbox(api: Api, nodes: list[Node]) -> None:
    place(api, "mpi01")
    told(nodes[1])
    api("update-user", email="info@example.nl", can_receive=False)
    assert emails(told(nodes[1])["recipients"]) == ["sales@example.nl"]
    assert emails(told(nodes[0])["users"]) == BOTH
    api("update-user", email="info@example.nl", can_receive=True, can_login=False)
    assert emails(told(nodes[1])["recipients"]) == BOTH
    api("remove-user", email="info@example.nl")
    assert emails(told(nodes[1])["recipients"]) == ["sales@example.nl"]


def test_without_a_home_all_are_told_the_same_bytes_but_for_purges(
    app: Flask, api: Api, nodes: list[Node]
) -> None:
    before = [node.ask().data for node in nodes]
    assert len(set(before)) == 1
    place(api, "mpi01")
    assert nodes[1].ask().data == nodes[2].ask().data != nodes[0].ask().data
    placed = [node.ask().data for node in nodes]
    app.extensions["node_desk"].exports.forget()
    assert [node.ask().data for node in reversed(nodes)] == placed[::-1]
    place(api, "")
    for node in nodes:
        assert told(node)["users"] == json.loads(before[0])["users"]


def test_a_move_goes_as_a_delta_and_orders_nothing_purged(api: Api, nodes: list[Node]) -> None:
    place(api, "mpi01")
    since = str(told(nodes[0])["revision"])
    place(api, "mpi02")
    away, there = (told(node, since=since) for node in nodes[:2])
    assert (away["format"], there["format"]) == (2, 1)
    assert away["gone"]["domains"] == ["example.nl"]
    assert emails(away["recipients"]) == emails(there["users"]) == BOTH
    assert away["gone"]["users"] == sorted(row["id"] for row in there["users"])
    assert all(told(node)["purge"] == [] for node in nodes)
    api("remove-user", email="info@example.nl", hard_delete=True)
    assert all(len(told(node)["purge"]) == 1 for node in nodes), "any may have been its home"


def test_the_shrinking_of_a_home_is_meant(api: Api, nodes: list[Node]) -> None:
    fill(api, *(f"user{number}" for number in range(12)))
    place(api, "mpi01")
    assert (told(nodes[1])["counts"]["users"], told(nodes[1])["allow_shrink"]) == (0, True)
    api("update-user", email="info@example.nl", can_receive=False)
    assert told(nodes[1])["allow_shrink"] is True


def test_a_node_drifts_by_its_own_state_only(app: Flask, api: Api, nodes: list[Node]) -> None:
    before = told(nodes[1])
    place(api, "mpi01")
    after = told(nodes[1])
    assert [_has_drifted(app, nodes[1], one) for one in (before, after)] == [False, False]
    assert _has_drifted(app, nodes[1], {**after, "sha256": told(nodes[0])["sha256"]}) is True
    assert _has_drifted(app, nodes[0], told(nodes[0])) is False


def _has_drifted(app: Flask, node: Node, held: dict[str, Any]) -> bool:
    report = {name: held[name] for name in ("epoch", "revision", "sha256", "counts")}
    headers = {"Authorization": f"Bearer {node.key}"}
    assert node.client.post("/sync/v1/report", json=report, headers=headers).status_code == 204
    with app.app_context():
        found = db.session.scalars(db.select(Row.has_drifted).where(Row.name == node.name)).one()
        db.session.rollback()
        return bool(found)


# ── Whatever happens ─────────────────────────────────────────────────────────────────────────


class Held:
    """What a node holds: applied by the letter, and nothing taken on trust."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.rows = {
            name: {key(row): row for row in document.get(name, [])} for name, key in KEYS.items()
        }

    def apply(self, delta: dict[str, Any]) -> None:
        """Take what is gone away, put in what changed, and compare with what it leads to."""
        for name, key in KEYS.items():
            if name not in delta:  # format 1: there are none
                self.rows[name] = {}
                continue
            changed = {key(row): row for row in delta[name]}
            assert not changed.keys() & set(delta["gone"][name])
            for gone in delta["gone"][name]:
                self.rows[name].pop(gone, None)
            self.rows[name] |= changed
        there = {
            name: [self.rows[name][key] for key in sorted(self.rows[name])]
            for name in ARRAYS
            if name in delta and name != "aliases"
        }
        document = {**there, "aliases": []}
        assert delta["counts"] == {name: len(document[name]) for name in delta["counts"]}
        assert delta["sha256"] == digest(document)


def _step(chance: random.Random) -> list[tuple[str, dict[str, object]]]:
    domain = chance.choice(["example.nl", "parked.nl"])
    email = f"{chance.choice('abcd')}@{domain}"
    node = chance.choice(["mpi01", "mpi02", "mpi03"])
    home: tuple[str, dict[str, object]] = (
        "set-home-node",
        {"domain": domain, "node": chance.choice(["", node])},
    )
    return chance.choice(
        [
            [home],
            [home],
            [(chance.choice(["enable-email", "disable-email"]), {"domain": domain})],
            [("add-user", {"email": email, "password": PASSWORD})],
            [("remove-user", {"email": email, "hard_delete": chance.random() < 0.5})],
            [("restore-user", {"email": email})],
            [("update-user", {"email": email, "can_receive": chance.random() < 0.5})],
            [("update-node", {"name": node, "host": f"{chance.choice('xyz')}.{node}.net"})],
            [("purge", {})],
        ]
    )


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long)])
def test_a_random_walk_leads_every_node_to_the_same_from_everywhere(
    app: Flask, api: Api, nodes: list[Node], seed: int
) -> None:
    chance, caller = random.Random(seed), command_line().in_project
    states = [{(start := told(node))["revision"]: start} for node in nodes]
    formats = set()
    for _ in range(70):
        with app.app_context():
            for name, values in _step(chance):
                with suppress(OperationError):
                    OPERATIONS[name](caller(1), **values)
            if chance.random() < 0.1:
                db.session.execute(text("UPDATE mailboxes SET purge_at = '2020-01-01T00:00:00Z' "
                                        "WHERE purge_at IS NOT NULL"))  # fmt: skip
                db.session.commit()
        for at in chance.sample(range(3), chance.randrange(1, 4)):
            document = told(nodes[at])
            states[at][document["revision"]] = document
            formats.add(document["format"])
            for since in chance.sample([*states[at]], min(2, len(states[at]))):
                held = Held(states[at][since])
                held.apply(delta := told(nodes[at], since=str(since)))
                assert (delta["format"], delta["full"]) == (document["format"], False)
    assert formats == {1, 2}
    documents = [told(node) for node in nodes]
    app.extensions["node_desk"].exports.forget()
    assert [told(node) for node in nodes] == documents, "what was read piece by piece"
