"""The pages of mailboxes, without JavaScript."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from flask import Flask

from app import clock
from app.config import Settings
from app.extensions import db
from app.models import Feed, Mailbox, Node, SyncKey
from app.operations import OPERATIONS
from tests.applications import Applications
from tests.conftest import PASSWORD, Cast
from tests.web.conftest import MAX_QUERIES, Browser


def add(browser: Browser, local_part: str = "info", **changes: str) -> None:
    """Make a mailbox on example.nl through the form."""
    browser.get("/mailboxes/new")
    fields = {"local_part": local_part, "domain": "example.nl", "password": PASSWORD}
    answer = browser.post("/mailboxes/new", **{**fields, "quota_mb": "1024", **changes})
    assert answer.status_code == 200, answer.text


def test_it_works(alice: Browser) -> None:
    page = alice.get("/mailboxes/new")
    suggested = re.search(r'id="password"[^>]*value="(\w{20})"', page.text)
    assert suggested
    made = alice.post(
        "/mailboxes/new",
        local_part=" Info ",
        domain="example.nl",
        password=suggested[1],
        quota_mb="2048",
    )
    assert "info@example.nl" in made.text and suggested[1] in made.text
    assert made.headers["Cache-Control"] == "no-store"
    assert "info@example.nl" in alice.get("/mailboxes").text
    again = alice.get("/mailboxes/info@example.nl")
    assert suggested[1] not in again.text and "2048" in again.text


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("local_part", "", "not an e-mail address"),
        ("local_part", "a b", "uses only a-z"),
        ("local_part", "a+b", "has no &#39;+&#39;"),
        ("domain", "charlie.nl", "not linked to this project"),
        ("domain", "parked.nl", "E-mail is off"),
        ("password", "short", "too short"),
        ("password", "é" * 40, "this one has 80"),
        ("quota_mb", "0", "Storage in MB is a whole number from 1"),
        ("quota_mb", "1.5", "whole number from 1"),
        ("quota_mb", "", "whole number from 1"),
    ],
)
def test_it_explains_what_is_wrong_and_keeps_the_rest(
    alice: Browser, field: str, value: str, sentence: str
) -> None:
    alice.get("/mailboxes/new")
    fields = {"local_part": "info", "domain": "example.nl", "password": PASSWORD}
    answer = alice.post("/mailboxes/new", **{**fields, "quota_mb": "777", field: value})
    assert answer.status_code in (404, 409, 422)
    assert sentence in answer.text
    assert "data-focus" in answer.text and "<title>Error:" in answer.text
    if field != "quota_mb":
        assert 'value="777"' in answer.text


def test_no_cache_keeps_a_suggested_or_typed_password(alice: Browser) -> None:
    add(alice)
    alice.get("/mailboxes")
    typed = {"local_part": "", "domain": "example.nl", "password": PASSWORD, "quota_mb": "1"}
    for page in (
        alice.get("/mailboxes/new"),
        alice.get("/mailboxes/info@example.nl"),
        alice.post("/mailboxes/new", **typed),
        alice.post("/mailboxes/info@example.nl/password", password="info@example.nl"),
    ):
        assert 'id="password"' in page.text
        assert page.headers["Cache-Control"] == "no-store"


def test_what_could_not_be_changed_fits_into_a_cookie(alice: Browser) -> None:
    alice.get("/mailboxes/new")
    strange = [f"{'x' * 500}{number}@example.nl" for number in range(40)]
    answer = alice.post("/mailboxes/several", action="off", email=strange)
    assert len(answer.headers["Set-Cookie"]) < 4093  # what browsers keep, RFC 6265 section 6.1
    assert "And 35 more could not be changed." in alice.follow(answer).text


def test_a_double_click_makes_one_mailbox(app: Flask, alice: Browser) -> None:
    add(alice)
    fields = {"local_part": "info", "domain": "example.nl", "password": PASSWORD}
    again = alice.post("/mailboxes/new", **fields, quota_mb="1024")
    assert again.status_code == 409
    assert "There already is a mailbox info@example.nl." in again.text
    with app.app_context():
        assert len(db.session.scalars(db.select(Mailbox)).all()) == 1


def test_settings_and_password_can_be_changed(alice: Browser) -> None:
    add(alice)
    alice.get("/mailboxes/info@example.nl")
    saved = alice.post("/mailboxes/info@example.nl/settings", quota_mb="99", can_receive="y")
    page = alice.follow(saved)
    assert "Saved." in page.text and "May not sign in" in page.text and 'value="99"' in page.text
    renewed = alice.post("/mailboxes/info@example.nl/password", password="a new pass phrase")
    assert "a new pass phrase" in renewed.text
    assert renewed.headers["Cache-Control"] == "no-store"
    wrong = alice.post("/mailboxes/info@example.nl/password", password="info@example.nl")
    assert wrong.status_code == 422 and "same as the address" in wrong.text


def test_a_mailbox_with_a_person_s_address_is_not_that_person(
    app: Flask, people: Cast, alice: Browser, visitor: Browser
) -> None:
    """Who looks after the domain of an admin's address has the mailbox, and not the admin."""
    root = "root@people.example"
    with app.app_context():
        OPERATIONS["assign-domain"](people.root, domain="people.example", project_id=1)
        OPERATIONS["enable-email"](people.alice, domain="people.example")
    add(alice, local_part="root", domain="people.example")
    alice.post(f"/mailboxes/{root}/password", password="a password of alice")
    alice.post(f"/mailboxes/{root}/settings", quota_mb="1")
    for password in (PASSWORD, "a password of alice"):
        visitor.get("/sign-in")
        assert visitor.post("/sign-in", email=root, password=password).status_code == 422
    alice.post(f"/mailboxes/{root}/delete", typed=root)
    assert root in visitor.sign_in(root).text
    assert visitor.get("/admin/people").status_code == 200


def test_removing_can_be_undone(alice: Browser) -> None:
    add(alice)
    alice.get("/mailboxes/info@example.nl")
    page = alice.follow(alice.post("/mailboxes/info@example.nl/remove"))
    assert "info@example.nl is removed" in page.text and "Undo" in page.text
    alice.post("/mailboxes/several", action="restore", email="info@example.nl")
    assert "Remove mailbox" in alice.get("/mailboxes/info@example.nl").text


def test_the_removed_are_listed_with_their_days_and_a_way_back(alice: Browser) -> None:
    add(alice)
    alice.post("/mailboxes/info@example.nl/remove")
    page = alice.get("/mailboxes?state=removed")
    assert "info@example.nl" in page.text and "in 30 days" in page.text
    assert "info@example.nl" not in alice.get("/mailboxes").text
    alice.get("/mailboxes/info@example.nl")
    back = alice.post("/mailboxes/info@example.nl/restore")
    assert "is back" in alice.follow(back).text


def test_deleting_for_good_takes_the_typed_address(app: Flask, alice: Browser) -> None:
    add(alice)
    alice.get("/mailboxes/info@example.nl/delete")
    wrong = alice.post("/mailboxes/info@example.nl/delete", typed="info@example")
    assert wrong.status_code == 422 and "to confirm" in wrong.text
    done = alice.post("/mailboxes/info@example.nl/delete", typed=" INFO@example.nl ")
    assert "gone for good" in alice.follow(done).text
    with app.app_context():
        assert db.session.scalar(db.select(Mailbox)) is None


def test_several_can_be_changed_at_once(alice: Browser) -> None:
    for name in ("a1", "b1", "c1"):
        add(alice, name)
    alice.get("/mailboxes")
    picked = ["a1@example.nl", "b1@example.nl"]
    page = alice.follow(alice.post("/mailboxes/several", action="off", email=picked))
    assert "2 mailboxes turned off." in page.text
    assert page.text.count("Turned off</span>") == 2
    page = alice.follow(alice.post("/mailboxes/several", action="on", email=picked))
    assert "2 mailboxes turned on." in page.text
    page = alice.follow(alice.post("/mailboxes/several", action="remove", email=picked))
    assert "2 mailboxes are removed" in page.text and "c1@example.nl" in page.text
    assert page.text.count('type="hidden" name="email"') == 2
    assert alice.post("/mailboxes/several", action="nonsense").status_code == 400


def test_several_never_reaches_the_mailboxes_of_others(alice: Browser, charlie: Browser) -> None:
    add(alice)
    charlie.get("/mailboxes/new")
    page = charlie.follow(
        charlie.post("/mailboxes/several", action="remove", email=["info@example.nl"])
    )
    assert "There is no mailbox info@example.nl in this project." in page.text
    assert "info@example.nl" in alice.get("/mailboxes").text


def test_the_list_is_searched_filtered_sorted_and_paged(alice: Browser) -> None:
    for number in range(30):
        add(alice, f"user{number:02}", quota_mb=str(100 + number))
    first = alice.get("/mailboxes")
    assert "30 mailboxes, page 1 of 2" in re.sub(r"\s+", " ", first.text)
    assert "user00@" in first.text and "user29@" not in first.text
    assert "user29@" in alice.get("/mailboxes?page=2").text
    assert "user29@" in alice.get("/mailboxes?sort=-quota").text
    assert "user29@" in alice.get("/mailboxes?per=50").text
    found = alice.get("/mailboxes?q=USER07").text
    assert "user07@" in found and "user08@" not in found
    assert "No mailbox matches" in alice.get("/mailboxes?q=%25").text
    assert "No mailbox matches" in alice.get("/mailboxes?domain=charlie.nl").text


@pytest.mark.parametrize(
    "query", ["page=0", "page=x", "page=999999", "per=7", "sort=password_hash", "state=x", "q=%00"]
)
def test_unknown_values_fall_back_to_the_default(alice: Browser, query: str) -> None:
    add(alice)
    assert alice.get(f"/mailboxes?{query}").status_code == 200


def test_the_search_answers_with_its_part(alice: Browser) -> None:
    add(alice)
    part = alice.part("/mailboxes?q=inf").text
    assert part.lstrip().startswith('<div id="mailboxes">') and "info@example.nl" in part


def test_it_is_live_once_the_node_has_it(alice: Browser, people: object, app: Flask) -> None:
    add(alice)
    waiting = alice.get("/mailboxes/info@example.nl/live").text
    assert re.sub(r"\s+", " ", waiting).count("Live on 0 of 1 nodes") == 1
    assert "every 2s" in waiting
    key = {"Authorization": f"Bearer {people.sync_key}"}  # type: ignore[attr-defined]
    tag = app.test_client().get("/sync/v1/export", headers=key).headers["ETag"]
    app.test_client().get("/sync/v1/export", headers={**key, "If-None-Match": tag})
    live = alice.get("/mailboxes/info@example.nl/live").text
    assert "Live on 1 of 1 nodes" in live and "every" not in live


def test_it_names_the_node_it_waits_for(alice: Browser, app: Flask) -> None:
    with app.app_context():
        feed = db.session.scalars(db.select(Feed)).one()
        for name, epoch, revision, silent in (
            ("fast", feed.epoch, feed.revision + 1, 1),
            ("slow", feed.epoch, feed.revision - 1, 1),
            ("slower", "another", feed.revision + 9, 7200),
            ("away", None, None, 7200),
        ):
            db.session.add(
                Node(
                    name=name,
                    applied_epoch=epoch,
                    applied_revision=revision,
                    last_sync_at=clock.from_now(seconds=-silent),
                    is_paused=name == "away",
                )
            )
        db.session.execute(db.delete(SyncKey))
        db.session.execute(db.delete(Node).where(Node.name == "mpi01"))
        db.session.commit()
    add(alice)
    page = re.sub(r"\s+", " ", alice.get("/mailboxes/info@example.nl").text)
    assert len(alice.queries) <= MAX_QUERIES
    assert "Live on 1 of 3 nodes" in page
    assert "waiting for slower, last heard of <time" in page
    with app.app_context():
        db.session.execute(db.delete(Node).where(Node.name == "slower"))
        db.session.commit()
    assert "waiting for slow</span>" in alice.get("/mailboxes/info@example.nl/live").text
    _set_all(app, applied_revision=10**6)
    live = alice.get("/mailboxes/info@example.nl/live").text
    assert "Live on 2 of 2 nodes" in live and "waiting" not in live


def _set_all(app: Flask, **values: object) -> None:
    with app.app_context():
        db.session.execute(db.update(Node).values(**values))
        db.session.commit()


def test_it_hides_from_strangers(alice: Browser, charlie: Browser) -> None:
    add(alice)
    for path in ("", "/delete", "/live"):
        absent = charlie.get(f"/mailboxes/nobody@example.nl{path}")
        foreign = charlie.get(f"/mailboxes/info@example.nl{path}")
        assert (foreign.status_code, absent.status_code) == (404, 404)
    for action in ("settings", "password", "remove", "restore", "delete"):
        charlie.get("/mailboxes")
        answer = charlie.post(f"/mailboxes/info@example.nl/{action}", typed="info@example.nl")
        assert answer.status_code in (404, 422)
    assert "Remove mailbox" in alice.get("/mailboxes/info@example.nl").text


def test_no_page_takes_more_than_a_few_queries(alice: Browser) -> None:
    for number in range(12):
        add(alice, f"user{number}")
    for path in ("/mailboxes", "/mailboxes/new", "/mailboxes/user1@example.nl"):
        alice.get(path)
        assert len(alice.queries) <= MAX_QUERIES, "\n".join(alice.queries)


def test_the_demo_tells_where_its_own_node_listens(
    settings: Settings, applications: Applications
) -> None:
    with applications.lent(replace(settings, demo_imap_port=10143)) as app:
        visitor = Browser(app, app.test_client())
        visitor.sign_in("alice@people.example")
        add(visitor)
        page = visitor.get("/mailboxes/info@example.nl").text
    assert "<strong>127.0.0.1</strong>" in page
    assert "IMAP, port 10143, no encryption" in page
    assert "SSL/TLS" not in page
