"""The cast of these tests: a panel, and a mail node that asks it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .fake_panel import FakePanel
from .mail_node import Node


@pytest.fixture
def panel() -> Iterator[FakePanel]:
    result = FakePanel()
    yield result
    result.close()


@pytest.fixture
def node(tmp_path: Path, panel: FakePanel) -> Node:
    return Node(tmp_path, panel)
