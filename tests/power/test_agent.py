"""A power cut at any instant takes nothing from a node that its agent had told the panel of."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent.fake_panel import FakePanel, Handler, digest, users
from tests.agent.mail_node import PROGRAM, Node
from tests.agent.test_crash import revision
from tests.processes import eventually, process

from .recording import Recorder, needs_compiler

pytestmark = [pytest.mark.real, needs_compiler]
REVISIONS = 6
IN_ALL_REVISIONS = {box["email"] for box in users(150)}


class Heard(list[dict[str, Any]]):
    """Reports, each noted with how much had been done on the node's disk when it came."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder
        self.noted: list[tuple[int, dict[str, Any]]] = []

    def append(self, report: dict[str, Any]) -> None:
        """A report that has just come."""
        self.noted.append((self.recorder.now(), report))
        super().append(report)

    def by(self, number: int) -> int:
        """The last revision the panel had been told of after so much; 0 before the first."""
        heard = (report["revision"] or 0 for when, report in self.noted if when <= number)
        return max(heard, default=0)


@pytest.fixture
def panel() -> Iterator[FakePanel]:
    """Answers with another revision each time, until there are no more."""
    panel = FakePanel()

    def behaviour(handler: Handler) -> None:
        number = int(panel.answer["revision"]) + 1 if len(panel.requests) > 1 else 1
        if number <= REVISIONS:
            panel.publish(revision(number))
        panel.serve(handler)

    panel.behaviour = behaviour
    yield panel
    panel.close()


@pytest.fixture
def node(tmp_path: Path, panel: FakePanel) -> Node:
    """A node that has nothing yet."""
    folder = tmp_path / "node"
    folder.mkdir()
    node = Node(folder, panel)
    for path in (node.state, node.maps):
        path.mkdir()
    return node


@pytest.fixture
def heard(node: Node, panel: FakePanel, tmp_path: Path) -> Heard:
    """What the panel is told while the agent runs until it has all revisions."""
    heard = Heard(Recorder(node.folder, tmp_path))
    panel.reports = heard
    rest = ("--wait", "0", "--interval", "0.2")
    command = [sys.executable, "-I", str(PROGRAM), "run", *node.options(*rest, *node.with_maps())]
    with process(command, heard.recorder.environment):
        eventually(lambda: any(report["revision"] == REVISIONS for report in heard))
    return heard


@pytest.mark.parametrize("cuts", [40, pytest.param(10_000, marks=pytest.mark.long)])
def test_it_works(node: Node, heard: Heard, cuts: int) -> None:
    """What is left is all of one revision, and none before the one the panel was told of."""
    recording = heard.recorder.recording()
    for number in recording.cut(recording.instants(cuts)):
        told = heard.by(number)
        assert held(node) >= told
        if told:  # whose mail was accepted before is not refused
            assert node.map("mailboxes").keys() >= IN_ALL_REVISIONS


def test_it_goes_on(node: Node, heard: Heard) -> None:
    recording = heard.recorder.recording()
    for _ in recording.cut(recording.instants(4)):
        assert node.once(*node.with_maps()).code == 0
        assert held(node) == REVISIONS
        assert sorted(node.map("mailboxes")) == node.emails()


def held(node: Node) -> int:
    """The revision that is held, and nothing else of any other."""
    if not node.database.exists() or not node.rows("SELECT 1 FROM sqlite_master"):
        return 0
    assert node.rows("PRAGMA integrity_check") == [("ok",)]
    meta = node.meta()
    number = int(meta["revision"])
    assert digest(node.content()) == meta["sha256"] == revision(number)["sha256"]
    return number
