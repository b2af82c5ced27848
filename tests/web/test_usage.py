"""How full mailboxes are and when their owners last signed in, as nodes report it."""

from __future__ import annotations

import pytest
from flask import Flask

from app.caller import command_line
from app.extensions import db
from app.models import Mailbox
from app.operations import OPERATIONS
from tests.conftest import PASSWORD, Cast
from tests.web.conftest import MAX_QUERIES, Browser

MB = 2**20
SIZES = {"empty": 0, "half": 50, "full": 97, "nearly": 80, "over": 130}


@pytest.fixture(autouse=True)
def reported(app: Flask, people: Cast) -> None:
    """Mailboxes of 100 MB, filled by their names; nothing is known of `silent`."""
    ids = {}
    with app.app_context():
        caller = command_line().in_project(1)
        for name in (*SIZES, "silent"):
            made = OPERATIONS["add-user"](
                caller, email=f"{name}@example.nl", password=PASSWORD, quota_mb=100
            )
            ids[name] = made.mailbox.id
    report(
        app,
        people,
        usage=[{"id": ids[name], "bytes": SIZES[name] * MB, "messages": 1234} for name in SIZES],
        last_login=[{"id": ids["half"], "at": "2026-01-02T03:04:05Z"}],
    )


def report(app: Flask, people: Cast, **values: object) -> None:
    """Let the node report."""
    answer = app.test_client().post(
        "/sync/v1/report",
        json={"epoch": None, "revision": None, **values},
        headers={"Authorization": f"Bearer {people.sync_key}"},
    )
    assert answer.status_code == 204, answer.text


def order(page: str) -> list[str]:
    """The mailboxes of a list, from the top."""
    places = {page.find(f">{name}@example.nl</a>"): name for name in (*SIZES, "silent")}
    return [places[place] for place in sorted(places) if place >= 0]


def test_it_works(alice: Browser) -> None:
    page = alice.get("/mailboxes")
    assert len(alice.queries) <= MAX_QUERIES
    assert "50 MB of 100 MB" in page.text
    assert 'value="50" aria-label="Used storage"' in page.text
    assert "</svg> 97 %</span>" in page.text
    assert "</svg> 80 %</span>" in page.text
    assert "</svg> 50 %" not in page.text
    assert 'datetime="2026-01-02T03:04:05Z"' in page.text
    page = alice.get("/mailboxes/half@example.nl")
    assert len(alice.queries) <= MAX_QUERIES
    for words in ("50 MB of 100 MB", "1,234", 'datetime="2026-01-02T03:04:05Z"'):
        assert words in page.text
    assert "of its storage is used" not in page.text


def test_what_is_not_told_is_said(alice: Browser) -> None:
    page = alice.get("/mailboxes/silent@example.nl").text
    assert page.count("not reported yet") == 2
    assert "<meter" not in page


@pytest.mark.parametrize(("name", "percent"), [("full", 97), ("nearly", 80), ("over", 130)])
def test_a_mailbox_that_fills_up_says_what_to_do(alice: Browser, name: str, percent: int) -> None:
    page = alice.get(f"/mailboxes/{name}@example.nl").text
    assert f"{percent} % of its storage is used." in page
    assert "give it more storage" in page
    assert 'value="100"' in page or percent < 100


def test_more_storage_is_enough(app: Flask, people: Cast, alice: Browser) -> None:
    alice.get("/mailboxes")
    alice.post(
        "/mailboxes/full@example.nl/settings", quota_mb="970", can_login="y", can_receive="y"
    )
    page = alice.get("/mailboxes/full@example.nl").text
    assert "97 MB of 970 MB" in page
    assert 'value="10"' in page
    assert "of its storage is used" not in page
    with app.app_context():
        key = db.session.scalar(db.select(Mailbox.id).where(Mailbox.email == "full@example.nl"))
    report(app, people, usage=[{"id": key, "bytes": 2**53 - 1, "messages": 1}])
    assert "of its storage is used" in alice.get("/mailboxes/full@example.nl").text


def test_the_list_is_sorted_by_how_full_they_are(alice: Browser) -> None:
    fullest_last = ["silent", "empty", "half", "nearly", "full", "over"]
    assert order(alice.get("/mailboxes?sort=used").text) == fullest_last
    page = alice.get("/mailboxes?sort=-used").text
    assert order(page) == fullest_last[::-1]
    assert 'aria-sort="descending"' in page


def test_the_overview_says_which_need_attention(alice: Browser, charlie: Browser) -> None:
    page = alice.get("/")
    assert len(alice.queries) <= MAX_QUERIES
    assert "2 mailboxes are full, or soon will be." in page.text
    assert "1 mailbox has used four fifths of its storage." in page.text
    alice.get("/mailboxes")
    for name in ("full", "over", "nearly"):
        alice.post("/mailboxes/several", action="remove", email=f"{name}@example.nl")
    page = alice.get("/")
    assert "or soon will be" not in page.text
    assert "four fifths" not in page.text
    assert "storage." not in charlie.get("/").text
