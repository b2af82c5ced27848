"""A panel that is new or restored makes no node drop what it kept for the one before."""

from __future__ import annotations

from uuid import uuid4

import pytest
from flask import Flask

from tests.conftest import Api
from tests.sync.node import Node, execute, fill


@pytest.fixture(autouse=True)
def new_epoch(app: Flask, cast: object) -> None:
    """As after a restore, or in a panel that has just been made."""
    execute(app, f"UPDATE feed SET epoch = '{uuid4()}', shrink_is_meant = false")


def test_nodes_keep_what_they_have_until_they_follow_the_epoch(api: Api, node: Node) -> None:
    fill(api, "info")
    assert node.fetch()["allow_shrink"] is False
    foreign = f'"{uuid4()}-7-mpi01"'
    assert node.ask(If_None_Match=foreign).get_json()["allow_shrink"] is False


def test_once_they_follow_it_removals_are_meant(api: Api, node: Node) -> None:
    fill(api, "info")
    tag = node.ask().headers["ETag"]
    told = node.ask(If_None_Match=tag)
    assert (told.status_code, told.get_json()["allow_shrink"]) == (200, True)
    assert node.ask(If_None_Match=told.headers["ETag"]).status_code == 304
    api("remove-user", email="info@example.nl")
    assert node.fetch()["allow_shrink"] is True


def test_one_node_that_holds_another_epoch_keeps_them_all_safe(api: Api, node: Node) -> None:
    key = api("add-node", "root", name="mpi02").get_json()["data"]["node"]["sync_key"]
    late = Node(api.client, key, "mpi02")
    late.ask(If_None_Match=f'"{uuid4()}-7-mpi02"')
    tag = node.ask().headers["ETag"]
    assert node.ask(If_None_Match=tag).status_code == 304
    late.ask(If_None_Match=late.ask().headers["ETag"])
    assert node.fetch()["allow_shrink"] is True
