"""A node's keys while they are rotated, paused and removed."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import clock
from tests.api.answers import assert_success, same_answer
from tests.conftest import Api, Cast


def _fetch(client: FlaskClient, key: str) -> TestResponse:
    return client.get("/sync/v1/export", headers={"Authorization": f"Bearer {key}"})


def test_both_keys_work_during_the_overlap_and_only_the_new_one_after_it(
    app: Flask, api: Api, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, old = app.test_client(), cast.sync_key
    assert _fetch(client, old).status_code == 200
    answer = assert_success(api("rotate-node-key", "root", name="mpi01", overlap_hours=24))
    new = answer["node"]["sync_key"]
    assert [_fetch(client, key).status_code for key in (old, new)] == [200, 200]
    later = clock.from_now(seconds=24 * 3600 + 1)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert _fetch(client, new).status_code == 200
    over, unknown = _fetch(client, old), _fetch(client, "mck_" + "x" * 38)
    assert over.status_code == 401
    assert same_answer(over, unknown)


def test_without_overlap_the_old_key_ends_at_once(app: Flask, api: Api, cast: Cast) -> None:
    client = app.test_client()
    assert _fetch(client, cast.sync_key).status_code == 200
    answer = assert_success(api("rotate-node-key", "root", name="mpi01", overlap_hours=0))
    assert _fetch(client, cast.sync_key).status_code == 401
    assert _fetch(client, answer["node"]["sync_key"]).status_code == 200


def test_a_third_key_ends_the_first(app: Flask, api: Api, cast: Cast) -> None:
    keys = [cast.sync_key]
    for _ in range(2):
        answer = assert_success(api("rotate-node-key", "root", name="mpi01"))
        keys.append(answer["node"]["sync_key"])
    assert [_fetch(app.test_client(), key).status_code for key in keys] == [401, 200, 200]


def test_a_paused_node_still_fetches(app: Flask, api: Api, cast: Cast) -> None:
    assert assert_success(api("pause-node", "root", name="mpi01"))["node"]["state"] == "paused"
    assert _fetch(app.test_client(), cast.sync_key).status_code == 200
    assert assert_success(api("resume-node", "root", name="mpi01"))["node"]["state"] == "up"


def test_a_removed_node_fetches_nothing(app: Flask, api: Api, cast: Cast) -> None:
    assert _fetch(app.test_client(), cast.sync_key).status_code == 200
    assert_success(api("remove-node", "root", name="mpi01"))
    assert _fetch(app.test_client(), cast.sync_key).status_code == 401


@pytest.mark.parametrize("verb", ["rotate-node-key", "pause-node", "resume-node", "remove-node"])
def test_customers_reach_none_of_it(api: Api, verb: str) -> None:
    assert api(verb, name="mpi01").status_code == 403
