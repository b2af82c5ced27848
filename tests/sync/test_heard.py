"""Asking is reporting: what list-nodes tells of a node is what its requests said."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from app import clock
from tests.conftest import PASSWORD, Api
from tests.sync.node import Node, execute, fill

OTHER_EPOCH = "00000000-0000-4000-8000-000000000000"


def told(api: Api) -> dict[str, Any]:
    """The node as list-nodes shows it."""
    answer = api("list-nodes", "root")
    assert answer.status_code == 200
    node: dict[str, Any] = answer.get_json()["data"]["nodes"][0]
    return node


def test_it_works(api: Api, node: Node) -> None:
    assert (told(api)["state"], told(api)["last_sync_at"]) == ("waiting", None)
    tag = node.ask(User_Agent="mailcote-agent/1.2.3").headers["ETag"]
    first = told(api)
    assert (first["state"], first["applied_revision"]) == ("up", None), "it has nothing yet"
    assert first["agent_version"] == "1.2.3"
    assert 0 <= clock.seconds_since(first["last_sync_at"]) < 60
    node.ask(If_None_Match=tag, User_Agent="mailcote-agent/1.2.3")
    assert told(api)["applied_revision"] == int(tag.split("-")[-2])


def test_what_it_has_applied_lags_behind_until_it_asks_again(api: Api, node: Node) -> None:
    tag = node.ask().headers["ETag"]
    fill(api, "info")
    newer = node.ask(If_None_Match=tag).headers["ETag"]
    assert told(api)["applied_revision"] == int(tag.split("-")[-2])
    node.ask(If_None_Match=newer)
    assert told(api)["applied_revision"] == int(newer.split("-")[-2])


@pytest.mark.parametrize("form", ["W/{}", '"x", {}', " {} "])
def test_the_tag_may_come_in_other_forms(api: Api, node: Node, form: str) -> None:
    tag = node.ask().headers["ETag"]
    node.ask(If_None_Match=form.format(tag))
    assert told(api)["applied_revision"] == int(tag.split("-")[-2])


def test_other_tags_say_nothing_of_it(api: Api, node: Node) -> None:
    document = node.fetch()
    epoch, revision = document["epoch"], document["revision"]
    for tag in (
        "*",
        '"nonsense"',
        f'"{epoch}-{revision}-mpi02"',
        f'"{epoch}-{revision + 1}-mpi01"',
        f'"{epoch}-{10**8}-mpi01"',
        f'"{OTHER_EPOCH}-{10**17}-mpi01"',
        f'"{OTHER_EPOCH}-{"9" * 300}-mpi01"',
        f'"{epoch}--1-mpi01"',
        '"',
    ):
        assert node.ask(If_None_Match=tag).status_code in (200, 304)
        assert told(api)["applied_revision"] is None, tag


def test_a_node_that_says_so_no_more_has_nothing_any_more(api: Api, node: Node) -> None:
    """A card was changed: the node begins anew, and what is live on it is not known."""
    tag = node.ask().headers["ETag"]
    node.ask(If_None_Match=tag)
    assert told(api)["applied_revision"] is not None
    node.ask()
    assert told(api)["applied_revision"] is None


def test_a_revision_of_another_epoch_is_live_nowhere(api: Api, node: Node) -> None:
    node.ask(If_None_Match=f'"{OTHER_EPOCH}-999-mpi01"')
    answer = api("add-user", email="info@example.nl", password=PASSWORD)
    assert answer.get_json()["data"]["user"]["sync"]["nodes_applied"] == 0


@pytest.mark.parametrize(
    ("agent", "version"),
    [
        ("mailcote-agent/0.1.0", "0.1.0"),
        ("mailcote-agent/2026.11+rc-1", "2026.11+rc-1"),
        ("mailcote-agent/1.0 (Debian 13)", "1.0"),
        ("curl/8.14", None),
        ("Mozilla/5.0 mailcote-agent/1", None),
        ("mailcote-agent/", None),
        ("mailcote-agent/<script>", None),
        ("", None),
        ("é" * 300, None),
    ],
)
def test_the_version_is_that_of_our_agent(
    api: Api, node: Node, agent: str, version: str | None
) -> None:
    assert node.ask(User_Agent=agent).status_code == 200
    assert told(api)["agent_version"] == version


def test_a_version_without_end_is_cut(api: Api, node: Node) -> None:
    node.ask(User_Agent="mailcote-agent/" + "9" * 5000)
    assert len(told(api)["agent_version"]) == 32


@pytest.mark.parametrize(
    ("seconds", "state"),
    [(0, "up"), (100, "up"), (130, "late"), (580, "late"), (610, "down"), (10**7, "down")],
)
def test_its_state_follows_from_when_it_was_here(
    app: Flask, api: Api, seconds: int, state: str
) -> None:
    execute(app, "UPDATE nodes SET last_sync_at = :at", at=clock.from_now(seconds=-seconds))
    assert told(api)["state"] == state


def test_asking_again_makes_it_up(app: Flask, api: Api, node: Node) -> None:
    node.fetch()
    execute(app, "UPDATE nodes SET last_sync_at = '2020-01-01T00:00:00Z'")
    assert told(api)["state"] == "down"
    app.extensions["node_desk"].visits.forget()  # as if a second had passed
    node.fetch()
    assert told(api)["state"] == "up"


def test_a_pause_is_told(app: Flask, api: Api, node: Node) -> None:
    node.fetch()
    execute(app, "UPDATE nodes SET is_paused = true")
    assert told(api)["state"] == "paused"


def test_who_is_refused_was_not_here(api: Api) -> None:
    stranger = Node(api.client, "mck_" + "x" * 38)
    assert stranger.ask(User_Agent="mailcote-agent/9").status_code == 401
    assert told(api)["last_sync_at"] is None


def test_asking_changes_nothing_that_nodes_must_know(app: Flask, api: Api, node: Node) -> None:
    from tests.api.answers import unchanged

    with unchanged(app):
        tag = node.ask().headers["ETag"]
        assert node.ask(If_None_Match=tag).status_code == 304
