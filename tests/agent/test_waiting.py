"""The panel answers when there is news; where something cuts such requests, it still works."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app import agent

from .fake_panel import FakePanel, Handler, export, users
from .mail_node import Node, until


@contextmanager
def running(node: Node, *more: str) -> Iterator[None]:
    """`run` in this process, so that its patience can be shortened."""
    _, settings = agent.settings_from(["run", *node.options(*more)])
    stop = threading.Event()
    thread = threading.Thread(target=agent.keep_in_step, args=(settings, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        node.panel.publish(export(users(1), revision=999))
        thread.join()


def patient(seconds: float) -> agent.Polling:
    """After the first attempt, which does not wait."""
    result = agent.Polling(seconds)
    result.is_urgent = False
    return result


def waits(panel: FakePanel) -> list[str]:
    return [request["query"].partition("&")[0] for request in panel.requests]


def test_it_works(node: Node, panel: FakePanel) -> None:
    panel.publish(export(users(3), revision=1))
    with running(node, "--wait", "20", "--interval", "3600"):
        until(lambda: len(panel.requests) == 2)
        panel.publish(export(users(4), revision=2))
        until(lambda: len(panel.requests) == 3)
        assert len(node.emails()) == 4
        assert "waits up to 20 seconds" in node.status()
    assert [request["query"] for request in panel.requests[:3]] == [
        "",
        "wait=20&since=1",
        "wait=20&since=2",
    ]


def test_maps_that_failed_are_written_soon_though_there_is_no_news(
    node: Node, panel: FakePanel
) -> None:
    panel.publish(export(users(3), revision=1))
    broken = node.folder / "broken"
    broken.touch()
    maps = node.with_maps(f"[ ! -e {broken} ] || exit 1")
    with running(node, "--wait", "50", "--interval", "3600", *maps):
        until(lambda: len(panel.requests) > 1)
        assert "maps for Postfix are not up to date" in node.status()
        broken.unlink()
        until(lambda: "maps for Postfix are not" not in node.status())
        asked = [float(one.removeprefix("wait=")) for one in waits(panel)[1:]]
        assert max(asked[:-1]) <= 8
        until(lambda: waits(panel)[-1] == "wait=50")


@pytest.mark.parametrize(
    ("wait", "asked"), [("12.3456", "12.346"), ("0.00001", "0"), ("55", "55"), ("0.5", "0.5")]
)
def test_the_wait_is_written_as_the_panel_reads_it(
    node: Node, panel: FakePanel, wait: str, asked: str
) -> None:
    _, settings = agent.settings_from(["run", *node.options("--wait", wait)])
    agent.ask(settings, None, settings.wait)
    assert waits(panel)[-1] == f"wait={asked}"


def test_it_asks_without_waiting_when_it_is_told(node: Node, panel: FakePanel) -> None:
    with running(node, "--wait", "0", "--interval", "0.01"):
        until(lambda: len(panel.requests) > 3)
    assert not any("wait" in request["query"] for request in panel.requests)


def test_a_wait_that_is_cut_is_no_failure(
    node: Node, panel: FakePanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy hangs up on all that wait: after three of them, the agent asks now and then."""
    monkeypatch.setattr(agent, "SHORTEST_ROUND", 0.01)
    said: list[str] = []
    monkeypatch.setattr(agent, "complain", said.append)

    def behaviour(handler: Handler) -> None:
        if "wait" not in handler.query:
            panel.serve(handler)

    panel.publish(export(users(3), revision=1))
    panel.behaviour = behaviour
    with running(node, "--wait", "20", "--interval", "0.01"):
        until(lambda: len(panel.requests) > 12)
        assert "cut off" in node.status()
        assert "wrong     nothing" in node.status()
    assert waits(panel)[1:8] == ["wait=20", "since=1"] * 3 + ["since=1"]
    assert waits(panel).count("wait=20") == 3
    assert said == []


def test_a_panel_that_does_not_wait_is_not_asked_all_the_time(node: Node, panel: FakePanel) -> None:
    def behaviour(handler: Handler) -> None:
        handler.path = handler.path.replace("wait=20&", "")
        panel.serve(handler)

    panel.behaviour = behaviour
    with running(node, "--wait", "20", "--interval", "0.02"):
        until(lambda: len(panel.requests) > 8)
    assert waits(panel).count("wait=20") == 3


def test_the_wait_becomes_shorter_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    polling = patient(25)
    for _ in range(2):
        polling.was_cut(10)
    polling.was_kept()
    for _ in range(3):
        assert polling.seconds == 25
        polling.was_cut(10)
    assert polling.seconds == 7
    assert "shorter" in polling.mode
    clock += agent.WAIT_AGAIN_AFTER
    assert polling.seconds == 25


def test_a_panel_that_is_away_is_a_failure(node: Node, panel: FakePanel) -> None:
    panel.publish(export(users(3), revision=1))
    node.once()
    panel.raw(b"")
    polling = patient(20)
    _, settings = agent.settings_from(["run", *node.options()])
    for _ in range(4):
        assert not agent.tried(settings, agent.Store(node.state), polling, thorough=False).is_good
    assert polling.seconds == 20


def test_the_deadline_begins_after_the_wait(node: Node, panel: FakePanel) -> None:
    panel.publish(export(users(3), revision=1))
    node.once()
    released = threading.Event()

    def behaviour(handler: Handler) -> None:
        released.wait(0.5)
        panel.serve(handler)

    panel.behaviour = behaviour
    panel.publish(export(users(4), revision=2))
    _, settings = agent.settings_from(["run", *node.options("--timeout", "0.3")])
    outcome = agent.tried(settings, agent.Store(node.state), patient(10), thorough=False)
    assert outcome.is_good
    assert len(panel.requests) == 2
