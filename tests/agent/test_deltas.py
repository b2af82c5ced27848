"""Changes only, instead of the whole state: what they lead to is checked like a whole state is."""

from __future__ import annotations

import random

import pytest

from app import agent

from .fake_panel import (
    OTHER_EPOCH,
    OTHER_HASH,
    Export,
    FakePanel,
    Handler,
    delta,
    digest,
    etag_of,
    export,
    user,
    users,
)
from .mail_node import Node

BEFORE = export(users(12), revision=5)
AFTER = export([user("user0@example.nl", password=OTHER_HASH), *users(12)[2:]], revision=6)


@pytest.fixture(autouse=True)
def held(node: Node, panel: FakePanel) -> None:
    panel.publish(BEFORE)
    assert node.once().code == 0
    panel.requests.clear()


def test_it_works(node: Node, panel: FakePanel) -> None:
    panel.publish(AFTER)
    assert node.once().code == 0
    assert [request["query"] for request in panel.requests] == ["since=5"]
    assert digest(node.content()) == AFTER["sha256"] == node.meta()["sha256"]
    assert node.meta()["etag"] == etag_of(AFTER)


def test_a_whole_answer_is_as_good(node: Node, panel: FakePanel) -> None:
    panel.answer = AFTER
    assert node.once().code == 0
    assert digest(node.content()) == AFTER["sha256"]


def test_it_needs_no_permission_to_shrink(node: Node, panel: FakePanel) -> None:
    panel.publish(export(users(1), revision=6))
    assert node.once().code == 0
    assert node.emails() == ["user0@example.nl"]


def test_it_forgets_what_it_never_held(node: Node, panel: FakePanel) -> None:
    """A mailbox that came and went in between."""
    gone = {"domains": ["gone.example"], "users": ["e" * 32], "aliases": ["a@gone.example"]}
    panel.always(delta(BEFORE, export(users(12), revision=6), gone=gone))
    assert node.once().code == 0
    assert node.meta()["revision"] == "6"


def test_ids_may_change_places(node: Node, panel: FakePanel) -> None:
    one, two, *rest = users(12)
    swapped = [{**one, "id": two["id"]}, {**two, "id": one["id"]}, *rest]
    panel.publish(export(swapped, revision=6))
    assert node.once().code == 0
    assert digest(node.content()) == panel.answer["sha256"]


def test_any_row_of_changes_leads_to_the_whole(node: Node, panel: FakePanel) -> None:
    """A long walk through all kinds of changes, one step or several at a time, in one process
    that keeps its texts at hand."""
    dice = random.Random(4711)
    store = agent.Store(node.state)
    _, settings = agent.settings_from(["run", *node.options()])
    polling = agent.Polling(5)
    polling.is_urgent = False
    boxes = {box["email"]: box for box in users(12)}
    for revision in range(6, 60):
        email = f"user{dice.randrange(40)}@example.nl"
        if dice.random() < 0.4:
            boxes.pop(email, None)
        else:
            boxes[email] = user(
                email, id=f"{dice.randrange(16**32):032x}", login=dice.random() < 0.7
            )
        domains = ("example.nl", *(f"d{n}.example" for n in range(dice.randrange(4))))
        alias = {"address": f"a{dice.randrange(3)}@example.nl", "goto": [email, "x@else.example"]}
        aliases = (alias,) if dice.random() < 0.5 else ()
        panel.publish(
            export(list(boxes.values()), revision=revision, domains=domains, aliases=aliases)
        )
        if dice.random() < 0.7:
            outcome = agent.tried(settings, store, polling, thorough=False)
            assert outcome.problem == ""
            assert digest(node.content()) == panel.answer["sha256"]
    assert all("since=" in request["query"] for request in panel.requests)


WRONG: dict[str, tuple[Export, str]] = {
    "a row that is invalid": (delta(BEFORE, AFTER, users=[user("A@example.nl")]), "wrong address"),
    "a stranger's domain": (delta(BEFORE, AFTER, users=[user("a@other.nl")]), "wrong address"),
    "an unknown field": (delta(BEFORE, AFTER, extra=1), "unknown field"),
    "no gone": ({k: v for k, v in delta(BEFORE, AFTER).items() if k != "gone"}, "part"),
    "gone as a list": (delta(BEFORE, AFTER, gone=[]), "part"),
    "gone without users": (delta(BEFORE, AFTER, gone={"domains": [], "aliases": []}), "part"),
    "gone with text": (
        delta(BEFORE, AFTER, gone={"domains": [], "aliases": [], "users": "x"}),
        "list",
    ),
    "gone with an address": (
        delta(BEFORE, AFTER, gone={"domains": [], "aliases": [], "users": ["user1@example.nl"]}),
        "cannot be",
    ),
    "gone twice": (
        delta(BEFORE, AFTER, gone={"domains": [], "aliases": [], "users": ["a" * 32] * 2}),
        "twice",
    ),
    "gone and changed": (
        delta(
            BEFORE, AFTER, gone={"domains": [], "aliases": [], "users": [AFTER["users"][0]["id"]]}
        )
        | {"users": AFTER["users"][:1]},
        "at once",
    ),
    "a revision that fell": (delta(BEFORE, {**AFTER, "revision": 4}), "fell"),
    "the same revision": (delta(BEFORE, {**AFTER, "revision": 5}), "other content"),
    "gone in a whole answer": ({**AFTER, "gone": delta(BEFORE, AFTER)["gone"]}, "unknown field"),
    "a purge order for a mailbox that is there": (
        delta(BEFORE, AFTER, purge=[AFTER["users"][0]["id"]]),
        "still there",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_it_rejects_the_whole_for_one_mistake(node: Node, panel: FakePanel, name: str) -> None:
    answer, reason = WRONG[name]
    before = node.everything()
    panel.always(answer)
    result = node.once()
    assert result.code == 1
    assert reason in result.err
    assert node.everything() == before
    assert len(panel.requests) == 1


MISFITS: dict[str, Export] = {
    "another digest": delta(BEFORE, AFTER, sha256="0" * 64),
    "another count": delta(BEFORE, AFTER, counts={"domains": 1, "users": 12, "aliases": 0}),
    "a change that is missing": delta(BEFORE, AFTER, users=[]),
    "another epoch": {**delta(BEFORE, AFTER), "epoch": OTHER_EPOCH},
    "an address that is another's": delta(
        BEFORE, AFTER, users=[user("user3@example.nl", id="f" * 32)]
    ),
}


@pytest.mark.parametrize("name", MISFITS)
def test_it_asks_for_the_whole_when_changes_do_not_fit(
    node: Node, panel: FakePanel, name: str
) -> None:
    def behaviour(handler: Handler) -> None:
        panel.always(MISFITS[name] if "since" in handler.query else AFTER)
        panel.behaviour, serve = behaviour, panel.behaviour
        serve(handler)

    panel.behaviour = behaviour
    result = node.once()
    assert (result.code, result.err) == (0, "")
    assert digest(node.content()) == AFTER["sha256"]
    assert [request["query"] for request in panel.requests] == ["since=5", ""]
    assert "If-None-Match" not in panel.requests[1]


def test_it_asks_for_the_whole_only_once(node: Node, panel: FakePanel) -> None:
    panel.always(delta(BEFORE, AFTER, sha256="0" * 64))
    before = node.everything()
    assert node.once().code == 1
    assert len(panel.requests) == 2
    assert node.everything() == before


def test_rows_that_were_spoilt_by_hand_are_mended(node: Node, panel: FakePanel) -> None:
    node.change("UPDATE users SET quota_mb = 7 WHERE email = 'user5@example.nl'")
    panel.publish(AFTER)
    assert node.once().code == 0
    assert digest(node.content()) == AFTER["sha256"]


def test_an_order_to_purge_is_refused_while_its_mailbox_is_there(
    node: Node, panel: FakePanel
) -> None:
    before = node.everything()
    panel.answer = {**AFTER, "purge": [AFTER["users"][3]["id"]]}
    result = node.once()
    assert (result.code, "still there" in result.err) == (1, True)
    assert node.everything() == before
