"""The last requests of each node, and how they were answered."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from app.caller import command_line
from app.credentials import SYNC_KEY, make
from app.extensions import db
from app.models import Node as NodeRow
from app.models import NodeRequest
from app.models.nodes import REQUESTS_KEPT
from app.operations import OPERATIONS
from app.sync import journal
from tests.conftest import ON_BOTH, PASSWORD, Api, cast, settings
from tests.sync.node import Node

__all__ = ["cast", "settings"]  # on an empty panel rather than on a copy
REPORT = "/sync/v1/report"


@pytest.fixture(params=ON_BOTH)
def database(request: pytest.FixtureRequest) -> str:
    """SQLite, then PostgreSQL: the rows are written by statements of some size."""
    return str(request.param)


@pytest.fixture(autouse=True)
def _written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "PAUSE", 0)


def requests(app: Flask) -> list[tuple[str, int]]:
    """What happened, oldest first, and how many times in a row."""
    with app.app_context():
        rows = db.session.scalars(db.select(NodeRequest).order_by(NodeRequest.id)).all()
        assert all(row.first_at <= row.last_at and row.address for row in rows)
        return [(row.outcome, row.count) for row in rows]


def run(app: Flask, operation: str, **values: object) -> Any:
    with app.app_context():
        return OPERATIONS[operation](command_line(), **values)


def test_it_works(app: Flask, api: Api, node: Node) -> None:
    first = node.ask()
    for _ in range(3):
        assert node.ask(If_None_Match=first.headers["ETag"]).status_code == 304
    api("add-user", email="info@example.nl", password=PASSWORD)
    node.ask(If_None_Match=first.headers["ETag"], since=str(node_revision(first.get_json())))
    headers = {"Authorization": f"Bearer {node.key}"}
    empty = {"epoch": None, "revision": None}
    assert api.client.post(REPORT, json=empty, headers=headers).status_code == 204
    assert requests(app) == [
        ("all users sent", 1),
        ("nothing new", 3),
        ("changes sent", 1),
        ("report taken", 1),
    ]


def node_revision(state: dict[str, int]) -> int:
    return state["revision"]


def test_refusals_of_its_own_key_are_told(app: Flask, api: Api, node: Node) -> None:
    key = run(app, "add-node", name="mpi02", ip_address="192.0.2.7").sync_key
    assert Node(api.client, key, "mpi02").ask().status_code == 401
    run(app, "rotate-node-key", name="mpi01", overlap_hours=1)
    with app.app_context():
        db.session.execute(db.text("UPDATE sync_keys SET expires_at = '2020-01-01T00:00:00Z'"))
        db.session.commit()
    assert node.ask().status_code == 401
    assert node.ask(wait="x").status_code == 401
    assert requests(app) == [
        ("refused: from another address", 1),
        ("refused: its key has ended", 2),
    ]


def test_nonsense_with_a_good_key_is_told(app: Flask, api: Api, node: Node) -> None:
    assert node.ask(wait="x").status_code == 422
    headers = {"Authorization": f"Bearer {node.key}"}
    assert api.client.post(REPORT, json={"nonsense": 1}, headers=headers).status_code == 422
    assert requests(app) == [("refused: status 422", 2)]


def test_strangers_leave_nothing(app: Flask, api: Api) -> None:
    assert Node(api.client, make(SYNC_KEY)).ask().status_code == 401
    assert Node(api.client, "nonsense").ask().status_code == 401
    assert api.client.get("/sync/v1/agent.py").status_code == 200
    assert requests(app) == []


def test_only_the_last_are_kept(app: Flask, api: Api, node: Node) -> None:
    tag = node.ask().headers["ETag"]
    for _ in range(REQUESTS_KEPT):
        node.ask(If_None_Match=tag)
        node.ask()
    kept = requests(app)
    assert len(kept) == REQUESTS_KEPT
    assert kept[-1] == ("all users sent", 1)


def test_one_that_is_removed_is_forgotten(app: Flask, node: Node) -> None:
    node.ask()
    notes = app.extensions["node_desk"].journal
    run(app, "remove-node", name="mpi01")
    with app.app_context():
        notes.note(1, "all users sent", "192.0.2.1")
        assert db.session.scalars(db.select(NodeRow)).all() == []
    assert requests(app) == []
