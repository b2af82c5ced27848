"""`agent.py run`: it polls, goes on whatever happens, and stops when it is told to."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from app import agent

from .fake_panel import FakePanel, Handler, export, users
from .mail_node import KEY, Node, until

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(node: Node) -> Iterator[Start]:
    """Start `run`; at the end of the test it is gone, and has said neither key nor traceback."""
    started: list[subprocess.Popen[str]] = []

    def run(*more: str) -> subprocess.Popen[str]:
        started.append(node.start("run", *node.options("--wait", "0", *more)))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        out, err = process.communicate(timeout=60)
        assert KEY not in out + err
        assert "Traceback" not in out + err


def count(node: Node) -> int:
    """How many mailboxes are applied, as far as there is a database."""
    try:
        return len(node.emails())
    except sqlite3.OperationalError:
        return -1


def stopped_by(process: subprocess.Popen[str], number: signal.Signals) -> float:
    started = time.monotonic()
    process.send_signal(number)
    assert process.wait(timeout=60) == 0
    return time.monotonic() - started


def test_it_works(node: Node, panel: FakePanel, start: Start) -> None:
    panel.answer = export(users(3), revision=1)
    process = start("--interval", "0.05")
    until(lambda: count(node) == 3)
    panel.answer = export(users(5), revision=2)
    until(lambda: count(node) == 5)
    assert process.poll() is None
    process.terminate()
    out, err = process.communicate(timeout=60)
    assert "revision 2" in out
    assert err == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_while_it_waits(panel: FakePanel, start: Start, number: signal.Signals) -> None:
    process = start("--interval", "3600")
    until(lambda: len(panel.requests) == 1)
    assert stopped_by(process, number) < 4


def test_it_stops_while_the_panel_waits_for_news(panel: FakePanel, start: Start) -> None:
    process = start("--wait", "50")
    until(lambda: "wait=50" in panel.requests[-1]["query"] if panel.requests else False)
    assert stopped_by(process, signal.SIGTERM) < 4


def test_it_stops_while_the_panel_is_silent(panel: FakePanel, start: Start) -> None:
    def behaviour(handler: Handler) -> None:
        handler.rfile.read()

    panel.behaviour = behaviour
    process = start("--interval", "3600", "--timeout", "3600")
    until(lambda: len(panel.requests) == 1)
    assert stopped_by(process, signal.SIGTERM) < 4


def test_it_stops_while_it_waits_for_doveadm(node: Node, panel: FakePanel, start: Start) -> None:
    panel.answer = export(users(2), revision=1)
    node.once()
    panel.answer = export(users(1), revision=2)
    process = start("--doveadm", node.doveadm("exec sleep 5"))
    until(lambda: node.kicks() != [])
    assert stopped_by(process, signal.SIGTERM) < 4


def test_it_goes_on_after_failures_and_says_each_once(
    node: Node,
    panel: FakePanel,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agent, "backoff", lambda _failures: 0.01)
    _, settings = agent.settings_from(["run", *node.options("--wait", "0", "--interval", "0.01")])
    stop = threading.Event()
    thread = threading.Thread(target=agent.keep_in_step, args=(settings, stop))
    thread.start()
    try:
        until(lambda: count(node) == 0)
        panel.always(b"<html>", status=503)
        failed = len(panel.requests)
        until(lambda: len(panel.requests) >= failed + 5)
        assert node.note()["problem"] == "the panel answered 503"
        panel.answer = export(users(4), revision=2)
        panel.behaviour = panel.serve
        until(lambda: node.note()["problem"] == "")
    finally:
        stop.set()
        thread.join()
    out, err = capsys.readouterr()
    assert err == "agent: the panel answered 503\n"
    assert out.count("up to date") <= 2
    assert count(node) == 4


def test_it_backs_off_for_1_to_60_seconds() -> None:
    assert all(1 <= agent.backoff(1) <= 2 for _ in range(100))
    assert all(30 <= agent.backoff(failures) <= 60 for failures in range(6, 2000))
    assert len({agent.backoff(4) for _ in range(20)}) > 1


def test_it_repairs_a_file_that_is_damaged_under_way(
    node: Node, panel: FakePanel, start: Start
) -> None:
    panel.answer = export(users(50), revision=1)
    start("--interval", "0.05")
    until(lambda: count(node) == 50)
    node.database.write_bytes(b"\xff" * 50000)
    panel.answer = export(users(51), revision=2)

    def repaired() -> bool:
        try:
            return count(node) == 51
        except sqlite3.DatabaseError:
            return False

    until(repaired)


def test_it_does_not_start_with_a_mistake(node: Node, start: Start) -> None:
    process = start("--key-file", "/nowhere/key")
    assert process.wait(timeout=60) == 2


def test_once_beside_it_is_harmless(node: Node, panel: FakePanel, start: Start) -> None:
    panel.answer = export(users(3), revision=1)
    start("--interval", "0.01")
    for revision in range(2, 22):
        panel.answer = export(users(revision), revision=revision)
        assert node.once().code == 0
        assert int(node.meta()["revision"]) >= revision


def test_two_that_run_at_once_hold_one_state(node: Node, panel: FakePanel, start: Start) -> None:
    """As when somebody starts it by hand beside the service; each change goes to both at once."""
    panel.answer = export(users(1), revision=1)
    copies = [start("--wait", "5", *node.with_maps()) for _ in range(2)]

    def both_wait(revision: int) -> bool:
        waits = [one for one in panel.requests if f"wait=5&since={revision}" in one["query"]]
        return len(waits) >= 2

    for revision in range(1, 5):
        until(lambda revision=revision: both_wait(revision))  # type: ignore[misc]
        panel.publish(export(users(revision + 1), revision=revision + 1))
    until(lambda: count(node) == 5)
    until(lambda: len(node.map("mailboxes")) == 5)
    assert node.rows("PRAGMA integrity_check") == [("ok",)]
    assert [copy.poll() for copy in copies] == [None, None]
