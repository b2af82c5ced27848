"""kill -9 at any instant: the database is exactly one revision of the panel, always."""

from __future__ import annotations

import random
import time

import pytest

from .fake_panel import HASH, OTHER_HASH, Export, FakePanel, Handler, digest, export, user, users
from .mail_node import Node, until

ROUNDS = 50


def revision(number: int) -> Export:
    """Every revision changes many rows of every table."""
    boxes = users(150, password=HASH if number % 2 else OTHER_HASH, quota_mb=number)
    boxes += [user(f"only{number}-{extra}@example.nl") for extra in range(number % 30)]
    alias = {"address": f"alias{number}@example.nl", "goto": ["user0@example.nl"]}
    domains = ("example.nl", f"d{number}.example")
    return export(boxes, revision=number, domains=domains, aliases=(alias,))


def run_and_kill(node: Node, panel: FakePanel, *more: str) -> None:
    """An attempt takes about a fiftieth of a second; several go well before the blow."""
    asked = len(panel.requests)
    process = node.start("run", *node.options("--wait", "0", "--interval", "0.01", *more))
    until(lambda: len(panel.requests) > asked)
    time.sleep(random.uniform(0, 0.12))
    process.kill()
    process.communicate(timeout=60)


@pytest.mark.parametrize("with_deltas", [False, True])
def test_it_survives_being_killed_at_any_instant(
    node: Node, panel: FakePanel, with_deltas: bool
) -> None:
    """Maps and stored mail follow in the end, whatever was left undone."""
    published: dict[str, str] = {}
    mail = node.folder / "mail"
    for number in range(1, 400):
        (mail / order(number)).mkdir(parents=True)
    rest = ("--mail", str(mail), *node.with_maps())

    def behaviour(handler: Handler) -> None:
        number = len(published) + 1
        answer = {**revision(number), "purge": [order(number), order(number - 1)]}
        published[str(number)] = answer["sha256"]
        panel.publish(answer)
        if not with_deltas:
            panel.past.clear()
            panel.changes = "", {}
        panel.serve(handler)

    panel.behaviour = behaviour
    seen = set[str]()
    for done in range(10 * ROUNDS):
        if done >= ROUNDS and len(seen) > 1:  # on a slow machine few live until they have applied
            break
        run_and_kill(node, panel, *rest)
        if node.database.exists() and node.rows("SELECT 1 FROM sqlite_master"):
            meta = node.meta()
            assert digest(node.content()) == published[meta["revision"]] == meta["sha256"]
            assert node.rows("PRAGMA integrity_check") == [("ok",)]
            seen.add(meta["revision"])
    assert len(seen) > 1
    assert node.once(*rest).code == 0
    last = len(published)
    assert node.meta()["revision"] == str(last)
    assert sorted(node.map("mailboxes")) == node.emails()
    assert set(node.map("domains")) == {"example.nl", f"d{last}.example"}
    assert list(node.map("aliases")) == [f"alias{last}@example.nl"]
    assert sorted(path.name for path in node.maps.iterdir()) == [
        f"{name}.cdb" for name in ("aliases", "domains", "mailboxes", "relays", "senders")
    ]
    assert panel.reports[-1]["purged"] == [order(last), order(last - 1)]
    assert not (mail / order(last)).exists()
    assert all((mail / order(number)).exists() for number in range(last + 1, 400))


def order(number: int) -> str:
    return f"{number:032x}"
