"""A thread that nobody asks for anything is missed when it hangs, and goes on when it fails."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from app import heartbeats, housekeeping
from tests.conftest import Api
from tests.processes import PATIENCE, eventually
from tests.sync.node import Node, checked, fill
from tests.sync.test_waiting import Waiting, pool, waiting
from tests.test_health import ask

__all__ = ["pool", "waiting"]


@pytest.fixture(autouse=True)
def at_rest() -> Iterator[None]:
    """No thread of one test is missed in another."""
    yield
    for thread in heartbeats.PATIENCE:
        heartbeats.rest(thread)


@pytest.fixture
def node(api: Api) -> Node:
    """The cast's node."""
    return Node(api.client, api.cast.sync_key)


def ages(app: Flask) -> dict[str, float]:
    """For how long each thread was not heard of, as Prometheus is told."""
    return {
        sample.labels["thread"]: sample.value
        for family in text_string_to_metric_families(ask(app, "/metrics")[1])
        for sample in family.samples
        if sample.name == "mailcote_thread_seconds_since_beat"
    }


def late(app: Flask) -> list[str]:
    """Whom /readyz misses; that alone sends nobody elsewhere."""
    status, text = ask(app, "/readyz")
    assert status == 200
    named: list[str] = json.loads(text)["late"]
    return named


def test_it_works(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    heartbeats.beat("zones")
    assert 0 <= ages(app)["zones"] < heartbeats.PATIENCE["zones"]
    assert late(app) == []
    long_ago = -heartbeats.PATIENCE["zones"] - 1
    monkeypatch.setattr("app.counters.time.monotonic", lambda: long_ago)
    heartbeats.beat("zones")
    monkeypatch.undo()
    assert ages(app)["zones"] > heartbeats.PATIENCE["zones"]
    assert late(app) == ["zones"]
    heartbeats.beat("zones")
    assert late(app) == []


def test_who_has_ended_is_not_missed(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeats, "PATIENCE", dict.fromkeys(heartbeats.PATIENCE, -1.0))
    heartbeats.beat("ear")
    assert "ear" in late(app)
    monkeypatch.setattr(heartbeats, "PATIENCE", dict.fromkeys(heartbeats.PATIENCE, 0.0))
    heartbeats.rest("ear")
    assert "ear" not in late(app)
    assert ages(app)["ear"] == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # SystemExit
@pytest.mark.parametrize(
    ("name", "step"), [("housekeeping", "each_minute"), ("zones", "look_at_domains")]
)
def test_what_ends_by_a_fault_is_logged_and_begins_anew(
    app: Flask,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    step: str,
) -> None:
    came, again = [], threading.Event()

    def fail(_app: Flask) -> None:
        came.append(ages(app)[name])
        if len(came) == 1:
            raise RuntimeError("boom")
        again.set()
        raise SystemExit  # which ends a thread without a word

    for setting in ("SOON", "MINUTE", "HOUR", "PATIENCE"):
        monkeypatch.setattr(housekeeping, setting, 0.0)
    monkeypatch.setattr(heartbeats, "PAUSE_AFTER_FAULT", 0.0)
    monkeypatch.setattr(housekeeping, step, fail)
    other = {"each_minute", "look_at_domains"} - {step}
    monkeypatch.setattr(housekeeping, other.pop(), stop)
    housekeeping.start(app)
    assert again.wait(PATIENCE)
    eventually(lambda: not {"housekeeping", "zones"} & {one.name for one in threading.enumerate()})
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert name in record.getMessage()
    assert record.exc_info and "boom" in str(record.exc_info[1])
    assert set(ages(app)) >= {name}


def stop(_app: Flask) -> None:
    """End the thread."""
    raise SystemExit


def test_a_lookout_that_fails_goes_on_looking(
    api: Api,
    node: Node,
    waiting: Waiting,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Those who wait have no other: they would sleep until their time is over."""
    app, failed = waiting.app, threading.Event()
    watch = app.extensions["node_desk"].watch
    now = watch.now

    def fail_once() -> object:
        if threading.current_thread().name == "lookout" and not failed.is_set():
            failed.set()
            raise RuntimeError("boom")
        return now()

    tag = node.ask().headers["ETag"]
    monkeypatch.setattr(watch, "now", fail_once)
    asked = waiting.begin(node.key, tag)
    assert failed.wait(PATIENCE)
    assert ages(app)["lookout"] < heartbeats.PATIENCE["lookout"]
    fill(api, "info")
    assert checked(asked.result())["counts"]["users"] == 1
    assert "cannot see whether anything changed" in caplog.text
    eventually(lambda: ages(app)["lookout"] == 0)  # nobody waits any more
