"""A node that waits is told of a change as soon as it is made, by whatever process made it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app import create_app
from app.config import Settings
from app.export import Export, build, cache
from tests.api.answers import assert_failure, same_answer
from tests.applications import let_go
from tests.conftest import Api, Cast
from tests.processes import eventually
from tests.sync.node import URL, Node, assert_unauthorized, checked, execute, fill
from tests.sync.on_both import cast, database, settings

__all__ = ["cast", "database", "settings"]
LONG = "55"  # seconds; a test that has to wait for their end is a test that failed


@pytest.fixture
def other(cast: Cast, settings: Settings) -> Iterator[Flask]:
    """Another process of the same panel, as far as data is concerned."""
    app = create_app(settings)
    yield app
    let_go(app)


@pytest.fixture
def pool(app: Flask) -> Iterator[ThreadPoolExecutor]:
    """Where nodes wait; whatever happens, their waits end with the test."""
    with ThreadPoolExecutor(64) as threads:
        yield threads
        app.extensions["node_desk"].room.close()


class Waiting:
    """Requests that wait in one process."""

    def __init__(self, app: Flask, pool: ThreadPoolExecutor) -> None:
        self.app, self.pool = app, pool
        self.room = app.extensions["node_desk"].room

    def begin(self, key: str, tag: str, **headers: str) -> Future[TestResponse]:
        """Ask with a wait, and come back when the request sits in the waiting room."""
        before = self.room.waiting
        headers = {"Authorization": f"Bearer {key}", "If-None-Match": tag, **headers}
        ask = self.app.test_client().get
        asked = self.pool.submit(ask, URL, query_string={"wait": LONG}, headers=headers)
        eventually(lambda: self.room.waiting > before or asked.done())
        assert not asked.done(), asked.result().text
        return asked


@pytest.fixture
def waiting(app: Flask, pool: ThreadPoolExecutor) -> Waiting:
    """Nodes that wait in the first process."""
    return Waiting(app, pool)


def test_it_works(api: Api, node: Node, waiting: Waiting) -> None:
    asked = waiting.begin(node.key, node.ask().headers["ETag"])
    fill(api, "info")
    assert checked(asked.result())["counts"]["users"] == 1
    assert waiting.room.waiting == 0


def test_a_change_in_another_process_is_told(
    api: Api, other: Flask, node: Node, waiting: Waiting
) -> None:
    asked = waiting.begin(node.key, node.ask().headers["ETag"])
    fill(Api(other.test_client(), api.cast), "info")
    assert checked(asked.result())["counts"]["users"] == 1


def test_fifty_are_told_of_one_change_by_one_building(
    api: Api, node: Node, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(api, "first")
    tag = node.ask().headers["ETag"]
    built: list[int] = []

    def counting(node_id: int, earlier: Mapping[int | None, Export]) -> Export:
        made = build(node_id, earlier)
        built.append(made.revision)
        return made

    monkeypatch.setattr(cache, "build", counting)
    asked = [waiting.begin(node.key, tag) for _ in range(50)]
    fill(api, "info")
    revisions = {checked(one.result())["revision"] for one in asked}
    assert revisions == {int(tag.split("-")[-2]) + 1}
    assert built == list(revisions)


def test_who_has_something_older_need_not_wait(api: Api, node: Node) -> None:
    tag = node.ask().headers["ETag"]
    fill(api, "info")
    for headers in ({}, {"If_None_Match": tag}):
        assert checked(node.ask(wait=LONG, **headers))["counts"]["users"] == 1


def test_when_nothing_happens_it_is_told_so_in_the_end(node: Node) -> None:
    tag = node.ask().headers["ETag"]
    for wait in ("0", "0.5"):
        answer = node.ask(wait=wait, If_None_Match=tag)
        assert (answer.status_code, answer.headers["ETag"]) == (304, tag)


@pytest.mark.parametrize(
    "query",
    [
        {"wait": "56"},
        {"wait": "-1"},
        {"wait": ""},
        {"wait": "1."},
        {"wait": "55.1"},
        {"wait": "nan"},
        {"wait": "1e1"},
        {"wait": "0x1"},
        {"wait": "٣"},
        {"wait": " 1"},
        {"wait": "01"},
        {"wait": "9" * 5000},
        {"wait": ["1", "1"]},
        {"waits": "1"},
        {"wait": "1", "x": "1"},
    ],
    ids=str,
)
def test_it_rejects_other_waits(node: Node, query: dict[str, object]) -> None:
    headers = {"Authorization": f"Bearer {node.key}"}
    answer = node.client.get(URL, query_string=query, headers=headers)
    field = next(name for name in reversed(query))
    assert_failure(answer, 422, "INVALID_INPUT", field)


def test_a_stranger_does_not_wait(api: Api, node: Node) -> None:
    tag = node.ask().headers["ETag"]
    stranger = Node(api.client, "mck_" + "x" * 38)
    refused = stranger.ask(If_None_Match=tag)
    assert_unauthorized(refused)
    for wait in (LONG, "nonsense"):
        assert same_answer(stranger.ask(wait=wait, If_None_Match=tag), refused)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM sync_keys",
        "UPDATE sync_keys SET expires_at = '2020-01-01T00:00:00Z'",
        "UPDATE nodes SET ip_address = '192.0.2.99'",
    ],
)
def test_a_key_that_is_revoked_ends_the_wait(
    other: Flask, node: Node, waiting: Waiting, statement: str
) -> None:
    asked = waiting.begin(node.key, node.ask().headers["ETag"])
    execute(other, statement)
    assert_unauthorized(asked.result())


def test_a_key_that_expires_ends_the_wait(app: Flask, node: Node) -> None:
    from app import clock

    tag = node.ask().headers["ETag"]
    execute(app, "UPDATE sync_keys SET expires_at = :at", at=clock.from_now(seconds=1))
    assert_unauthorized(node.ask(wait=LONG, If_None_Match=tag))


def test_a_rotated_key_ends_the_wait_of_the_older_one(
    api: Api, node: Node, waiting: Waiting
) -> None:
    tag = node.ask().headers["ETag"]
    asked = waiting.begin(node.key, tag)
    made = api("rotate-node-key", "root", name="mpi01", overlap_hours=0).get_json()["data"]
    assert_unauthorized(asked.result())
    newer = waiting.begin(made["node"]["sync_key"], tag)
    fill(api, "info")
    checked(newer.result())


def test_a_pause_ends_the_wait(api: Api, node: Node, waiting: Waiting) -> None:
    asked = waiting.begin(node.key, node.ask().headers["ETag"])
    api("pause-node", "root", name="mpi01")
    assert asked.result().status_code == 304


def test_what_nodes_need_not_know_wakes_nobody(api: Api, node: Node, waiting: Waiting) -> None:
    asked = waiting.begin(node.key, node.ask().headers["ETag"])
    api("add-node", "root", name="mpi02")
    api("add-domain", "root", domain="new.nl")
    fill(api, "info")
    assert checked(asked.result())["counts"]["users"] == 1


def test_a_server_that_stops_keeps_nobody(node: Node, waiting: Waiting) -> None:
    tag = node.ask().headers["ETag"]
    asked = waiting.begin(node.key, tag)
    waiting.room.is_stopping = lambda: True
    assert asked.result().status_code == 304
    assert node.ask(wait=LONG, If_None_Match=tag).status_code == 304


def test_when_all_seats_are_taken_nobody_has_to_stand(
    api: Api, node: Node, waiting: Waiting
) -> None:
    tag = node.ask().headers["ETag"]
    made = api("add-node", "root", name="mpi02").get_json()["data"]["node"]
    waiting.room.seats = 8
    asked = [waiting.begin(node.key, tag) for _ in range(2)]
    assert node.ask(wait=LONG, If_None_Match=tag).status_code == 304, "a quarter for each node"
    asked.append(waiting.begin(made["sync_key"], tag.replace("mpi01", "mpi02")))
    waiting.room.seats = 3
    assert node.ask(wait=LONG, If_None_Match=tag).status_code == 304
    fill(api, "info")
    assert [one.result().status_code for one in asked] == [200] * 3


def test_it_is_seen_while_it_waits(api: Api, node: Node, waiting: Waiting) -> None:
    tag = node.ask().headers["ETag"]
    asked = waiting.begin(node.key, tag)
    told = api("list-nodes", "root").get_json()["data"]["nodes"][0]
    assert (told["state"], told["applied_revision"]) == ("up", int(tag.split("-")[-2]))
    fill(api, "info")
    asked.result()
