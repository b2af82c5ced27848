"""The page of a one-time link, for who is signed out and has no JavaScript."""

from __future__ import annotations

import logging
import re
from dataclasses import replace

import pytest
from flask import Flask

from app.caller import command_line
from app.config import Settings
from app.credentials import WELCOME, make
from app.extensions import db
from app.models import AuditEntry, Mailbox
from app.operations import OPERATIONS
from app.passwords import matches
from tests.conftest import PASSWORD
from tests.web.conftest import Browser

EMAIL = "info@example.nl"
LINK = re.compile(r'id="the-link">http://127\.0\.0\.1:8000(/welcome/mcw_[0-9A-Za-z]{38})<')
OTHER = "another horse battery"


def invite(browser: Browser, local_part: str = "info") -> str:
    """Make a mailbox whose owner chooses the password; the path of the link."""
    browser.get("/mailboxes/new")
    page = browser.post(
        "/mailboxes/new",
        local_part=local_part,
        domain="example.nl",
        password="x",
        quota_mb="5",
        invite="y",
    )
    assert page.headers["Cache-Control"] == "no-store"
    found = LINK.search(page.text)
    assert found, page.text
    return found[1]


def mailbox(app: Flask) -> Mailbox:
    """The mailbox as it is now."""
    with app.app_context():
        found: Mailbox = db.session.scalars(db.select(Mailbox)).one()
        return found


def test_it_works(app: Flask, alice: Browser, visitor: Browser) -> None:
    path = invite(alice)
    page = visitor.get(path)
    suggested = re.search(r'id="password"[^>]*value="(\w{20})"', page.text)
    assert suggested
    assert "Your mailbox" in page.text
    assert "<nav" not in page.text
    done = visitor.post(path, password=suggested[1])
    assert done.status_code == 200
    for told in (EMAIL, suggested[1], "IMAP, port 993", "SMTP, port 465"):
        assert told in done.text
    assert matches(suggested[1], mailbox(app).password_hash)
    assert not visitor.client.get_cookie("mailcote", path="/account")
    assert visitor.get("/mailboxes").status_code == 303, "an owner is nobody in the panel"
    with app.app_context():
        entry = db.session.scalars(db.select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert entry and (entry.actor, entry.action) == (f"owner of {EMAIL}", "accept-password-link")
    assert entry.address == "127.0.0.1"


def test_looking_at_it_uses_nothing_up(app: Flask, alice: Browser, visitor: Browser) -> None:
    path = invite(alice)
    for _ in range(3):
        assert visitor.get(path).status_code == 200
        assert visitor.client.head(path).status_code == 200
    assert mailbox(app).is_waiting
    assert visitor.post(path, password=OTHER).status_code == 200
    assert not mailbox(app).is_waiting


def test_every_answer_keeps_the_address_to_itself(
    alice: Browser, visitor: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    path = invite(alice)
    answers = [visitor.get(path), visitor.post(path, password="x")]
    answers += [visitor.post(path, password=OTHER), visitor.get(path)]
    assert [answer.status_code for answer in answers] == [200, 422, 200, 404]
    for answer in answers:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "strict-origin"
        assert answer.headers["X-Robots-Tag"] == "noarchive, nosnippet"
        assert path.rpartition("/")[2] not in answer.text
    assert path.rpartition("/")[2] not in caplog.text


def test_all_that_are_over_are_answered_alike(alice: Browser, visitor: Browser) -> None:
    used, replaced, revoked = (invite(alice, name) for name in ("used", "replaced", "revoked"))
    visitor.get(used)
    visitor.post(used, password=OTHER)
    for name, action in (("replaced", "link"), ("revoked", "link/revoke")):
        alice.get(f"/mailboxes/{name}@example.nl")
        alice.post(f"/mailboxes/{name}@example.nl/{action}")
    pages = {
        (answer.status_code, answer.text, str(answer.headers.get("Content-Length")))
        for path in (used, replaced, revoked, f"/welcome/{make(WELCOME)}", "/welcome/x")
        for answer in (visitor.get(path), visitor.post(path, password=OTHER))
    }
    assert len(pages) == 1
    assert next(iter(pages))[0] == 404


def test_a_password_that_may_not_be_is_refused_and_the_link_works_on(
    alice: Browser, visitor: Browser
) -> None:
    path = invite(alice)
    visitor.get(path)
    for password, sentence in (
        ("short", "too short"),
        ("é" * 40, "this one has 80"),
        (EMAIL, "the same"),
    ):
        page = visitor.post(path, password=password)
        assert page.status_code == 422
        assert sentence in page.text
        assert "Error:" in page.text
    assert visitor.post(path, password=OTHER).status_code == 200


def test_a_form_without_its_token_changes_nothing(
    app: Flask, alice: Browser, visitor: Browser
) -> None:
    path = invite(alice)
    visitor.get(path)
    assert visitor.post(path, password=OTHER, csrf_token="").status_code == 400
    assert mailbox(app).is_waiting


def test_the_present_password_goes_on_working(app: Flask, alice: Browser, visitor: Browser) -> None:
    with app.app_context():
        OPERATIONS["add-user"](command_line().in_project(1), email=EMAIL, password=PASSWORD)
    alice.get(f"/mailboxes/{EMAIL}")
    page = alice.post(f"/mailboxes/{EMAIL}/link")
    assert "The present password goes on working" in page.text
    path = LINK.search(page.text)
    assert path
    assert "The one you have goes on working" in visitor.get(path[1]).text
    assert matches(PASSWORD, mailbox(app).password_hash)
    assert "A link was made" in alice.get(f"/mailboxes/{EMAIL}").text
    visitor.post(path[1], password=OTHER)
    assert matches(OTHER, mailbox(app).password_hash)
    assert "A link was made" not in alice.get(f"/mailboxes/{EMAIL}").text


def test_lists_say_who_waits(alice: Browser) -> None:
    invite(alice)
    assert "Waiting for its owner" in alice.get("/mailboxes").text
    assert "link ends" in alice.get("/mailboxes?state=waiting").text
    assert EMAIL not in alice.get("/mailboxes?state=active").text
    alice.get(f"/mailboxes/{EMAIL}")
    gone = alice.follow(alice.post(f"/mailboxes/{EMAIL}/link/revoke"))
    assert "The link works no longer." in gone.text
    assert "no link works any more" in gone.text
    assert "no link works" in alice.get("/mailboxes").text


def test_it_hides_from_strangers(app: Flask, alice: Browser, charlie: Browser) -> None:
    path = invite(alice)
    charlie.get("/mailboxes")
    for action in ("link", "link/revoke"):
        assert charlie.post(f"/mailboxes/{EMAIL}/{action}").status_code == 404
    assert charlie.get(path).status_code == 200, "the link is for whoever holds it"


def test_a_person_s_link_works_once(app: Flask, visitor: Browser) -> None:
    with app.app_context():
        made = OPERATIONS["add-person"](command_line(), email="new@people.example", projects=[1])
    path = f"/welcome/{made.welcome}"
    page = visitor.get(path)
    assert page.headers["Cache-Control"] == "no-store"
    assert visitor.post(path, password="short").status_code == 422
    done = visitor.post(path, password="a good pass phrase")
    assert "You are signed in." in visitor.follow(done).text
    with app.app_context():
        chosen = db.select(AuditEntry.address).where(AuditEntry.action == "accept-welcome")
        assert db.session.scalars(chosen).all() == ["127.0.0.1"]
    assert visitor.get(path).status_code == 404
    assert visitor.post(path, password="a second pass phrase").status_code == 404


@pytest.mark.parametrize("token", ["mcw_nonsense", "x", "mcw_" + "0" * 38])
def test_a_wrong_welcome_link_is_over(visitor: Browser, token: str) -> None:
    page = visitor.get(f"/welcome/{token}")
    assert page.status_code == 404
    assert "This link is over" in page.text


class TestThrottle:
    """Who tries out links has to wait; whoever has a good one does not."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """Two wrong credentials a minute."""
        return replace(settings, rate_wrong_credentials=2)

    def test_trying_out_is_slow(self, alice: Browser, visitor: Browser) -> None:
        path = invite(alice)
        wrong = f"/welcome/{make(WELCOME)}"
        assert [visitor.get(wrong).status_code for _ in range(3)] == [404, 404, 429]
        assert visitor.get(path).status_code == 200
        assert visitor.post(path, password=OTHER).status_code == 200
