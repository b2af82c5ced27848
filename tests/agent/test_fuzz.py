"""Answers that are spoilt anywhere: exactly the state they tell, or the former one untouched.

A right answer is changed in its bytes or in its parts; and nothing that an agent finds in its own
files ends it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .fake_panel import Export, FakePanel, delta, digest, etag_of, export, user, users
from .mail_node import Node

BEFORE = export(
    [*users(3), user("gone@example.nl")],
    revision=4,
    domains=("example.nl", "other.example"),
    relays={"relayed.example": "mpi02.example.net"},
    recipients=("info@relayed.example",),
)
ALIAS = {"address": "all@example.nl", "goto": ["user0@example.nl", "user1@example.nl"]}
AFTER = export(
    [*users(2, quota_mb=7), user("user2@example.nl"), user("new@example.nl", login=False)],
    revision=5,
    domains=("example.nl", "new.example"),
    aliases=(ALIAS,),
    relays={"relayed.example": None},
    recipients=("info@relayed.example", "more@relayed.example"),
    purge=["0" * 32],
)
WHOLE, CHANGES = AFTER, delta(BEFORE, AFTER)
IN_FORMAT_1 = export(users(5, quota_mb=9), revision=6)

ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 0.5, "", "\0", "\n", "x" * 2000, "\ud800",
    "é@example.nl", "user0@example.nl", "{PLAIN}x", [], {}, [[]], [None], {"a": 1},
]  # fmt: skip
ODD_BYTES = st.one_of(
    st.binary(min_size=1, max_size=4),
    st.sampled_from((b"\0", b'"', b"\\", b"{", b"}", b"]", b",", b":", b"1e999", b"\xff", b"NaN",
                     b"[" * 3000, b"9" * 5000, b"\\ud800", b" ", b"\n", b"\xef\xbb\xbf")),
)  # fmt: skip


def test_it_works(node: Node, panel: FakePanel) -> None:
    for answer in (WHOLE, CHANGES, IN_FORMAT_1):
        hold(node, panel, BEFORE)
        panel.always({**answer, "allow_shrink": True})
        assert node.once().code == 0
        assert_holds(node, answer)


def hold(node: Node, panel: FakePanel, answer: Export) -> None:
    """Begin with this state and nothing that came before it."""
    for path in node.state.glob("*"):
        path.unlink()
    panel.always(answer)
    assert node.once().code == 0


def assert_holds(node: Node, answer: Export) -> None:
    """What the node has is what an answer says, whole or led to by its changes."""
    meta = node.meta()
    assert (meta["epoch"], meta["revision"]) == (answer["epoch"], str(answer["revision"]))
    assert everything(node) == meta["sha256"] == answer["sha256"]


def everything(node: Node) -> str:
    """The digest of what the node has, as the contract takes it."""
    relays = node.rows("SELECT domain, host FROM relays ORDER BY domain")
    recipients = node.rows("SELECT email, id FROM recipients ORDER BY id")
    rest: list[Any] = []
    if relays:
        rest = [
            [{"domain": domain, "host": host} for domain, host in relays],
            [{"email": email, "id": key} for email, key in recipients],
        ]
    return digest([*node.content(), *rest])


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where anything is in a document."""
    found = [at] if at else []
    inside: Any = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        inside = enumerate(value)
    for key, one in inside:
        found += paths(one, (*at, key))
    return found


@st.composite
def spoilt_parts(draw: Callable[[Any], Any]) -> bytes:
    """A right answer of which one to three parts are something else, gone, or there twice."""
    document: Any = deepcopy(draw(st.sampled_from((WHOLE, CHANGES, IN_FORMAT_1))))
    for _ in range(draw(st.integers(1, 3))):
        *above, last = draw(st.sampled_from(paths(document)))
        place = document
        for key in above:
            place = place[key]
        how = draw(st.integers(0, 9))
        if how == 0:
            del place[last]
        elif how == 1 and isinstance(place, list):
            place.insert(draw(st.integers(0, len(place))), place[last])
        elif how == 2 and isinstance(place, list):
            place.reverse()
        elif how == 3 and isinstance(place, dict):
            place[draw(st.sampled_from(("", "x", "email", "gone", "users")))] = place[last]
        else:
            place[last] = draw(st.sampled_from(ODD))
        if not paths(document):
            break
    return json.dumps(document, separators=(",", ":")).encode()


@st.composite
def spoilt_bytes(draw: Callable[[Any], Any]) -> bytes:
    """A right answer in which one to three places are cut out, written over or put in again."""
    text = json.dumps(draw(st.sampled_from((WHOLE, CHANGES, IN_FORMAT_1))), separators=(",", ":"))
    raw = text.encode()
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(raw)))
        end = draw(st.integers(start, min(len(raw), start + 80)))
        put = draw(st.one_of(st.just(b""), ODD_BYTES, st.just(raw[start:end] * 2)))
        raw = raw[:start] + put + raw[end:]
    return raw


@pytest.mark.parametrize("spoilt", [spoilt_parts(), spoilt_bytes()], ids=["parts", "bytes"])
@pytest.mark.parametrize("examples", [40, pytest.param(3000, marks=pytest.mark.long)])
def test_what_is_spoilt_is_refused_or_right(
    node: Node, panel: FakePanel, spoilt: st.SearchStrategy[bytes], examples: int
) -> None:
    hold(node, panel, BEFORE)
    held = [node.everything()]

    @settings(
        max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(spoilt)
    def try_it(raw: bytes) -> None:
        panel.always(raw, ETag=etag_of(IN_FORMAT_1 if b'"revision":6' in raw else AFTER))
        result = node.once()
        if result.code:
            assert result.code == 1
            assert result.err.startswith("agent: ")
            assert node.everything() == held[-1]
            return
        answer = json.loads(raw)
        assert_holds(node, answer)
        assert {box["email"] for box in answer["users"]} <= set(node.emails())
        hold(node, panel, BEFORE)
        held.append(node.everything())

    try_it()


@pytest.mark.parametrize("name", ["agent.note", "agent.owed", "users.db", "users.db-wal"])
def test_its_own_files_may_hold_anything(node: Node, panel: FakePanel, name: str) -> None:
    """It ends up with what the panel has, whatever somebody or something wrote there."""

    @settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(
        st.one_of(
            st.binary(max_size=200), st.sampled_from([json.dumps(one).encode() for one in ODD])
        )
    )
    def try_it(raw: bytes) -> None:
        hold(node, panel, BEFORE)
        (node.state / name).write_bytes(raw)
        panel.always(WHOLE)
        first = node.once()
        assert first.code in (0, 1)
        assert node.status()
        if first.code:
            assert first.err.startswith("agent: ")
        assert node.once().code == 0
        assert_holds(node, WHOLE)

    try_it()
