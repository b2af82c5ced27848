"""kill -9 at any instant: the database is exactly one revision of the panel, always."""

from __future__ import annotations

import random
import time

from .fake_panel import HASH, OTHER_HASH, Export, FakePanel, Handler, digest, export, user, users
from .mail_node import Node, until

ROUNDS = 14


def revision(number: int) -> Export:
    """Every revision changes many rows of every table."""
    boxes = users(150, password=HASH if number % 2 else OTHER_HASH, quota_mb=number)
    boxes += [user(f"only{number}-{extra}@example.nl") for extra in range(number % 30)]
    alias = {"address": f"alias{number}@example.nl", "goto": ["user0@example.nl"]}
    domains = ("example.nl", f"d{number}.example")
    return export(boxes, revision=number, domains=domains, aliases=(alias,))


def run_and_kill(node: Node, panel: FakePanel) -> None:
    """An attempt takes about a fiftieth of a second; several go well before the blow."""
    asked = len(panel.requests)
    process = node.start("run", *node.options("--interval", "0.01"))
    until(lambda: len(panel.requests) > asked)
    time.sleep(random.uniform(0, 0.12))
    process.kill()
    process.communicate(timeout=60)


def test_it_survives_being_killed_at_any_instant(node: Node, panel: FakePanel) -> None:
    published: dict[str, str] = {}

    def behaviour(handler: Handler) -> None:
        panel.answer = revision(len(published) + 1)
        published[str(panel.answer["revision"])] = panel.answer["sha256"]
        panel.serve(handler)

    panel.behaviour = behaviour
    seen = set()
    for _ in range(ROUNDS):
        run_and_kill(node, panel)
        if node.database.exists() and node.rows("SELECT 1 FROM sqlite_master"):
            meta = node.meta()
            assert digest(node.content()) == published[meta["revision"]] == meta["sha256"]
            assert node.rows("PRAGMA integrity_check") == [("ok",)]
            seen.add(meta["revision"])
    assert len(seen) > 1
    assert node.once().code == 0
    assert node.meta()["revision"] == str(len(published))
