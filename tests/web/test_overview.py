"""The overview."""

from __future__ import annotations

import pytest
from flask import Flask

from app.caller import command_line
from app.clock import from_now
from app.database import write_transaction
from app.extensions import db
from app.models import DnsCheck, Domain, Node
from app.operations import OPERATIONS
from tests.conftest import PASSWORD
from tests.web.conftest import MAX_QUERIES, Browser


def heard(app: Flask, minutes: int) -> None:
    """Let the node have fetched the users so many minutes ago."""
    with app.app_context(), write_transaction() as session:
        session.scalars(db.select(Node)).one().last_sync_at = from_now(seconds=-60 * minutes)


@pytest.fixture
def mailbox(app: Flask, people: object) -> str:
    """A mailbox of project 1."""
    with app.app_context():
        caller = command_line().in_project(1)
        OPERATIONS["add-user"](caller, email="info@example.nl", password=PASSWORD, quota_mb=1536)
    return "info@example.nl"


def step_now(page: str) -> str:
    """The step of the checklist that stands out."""
    return page.partition('aria-current="step"')[2].partition("<h3>")[2].partition("<span")[0]


def test_it_works(alice: Browser) -> None:
    page = alice.get("/")
    assert page.status_code == 200
    assert "<h1>Overview</h1>" in page.text
    assert "Your domains" in page.text


def test_the_steps_come_from_what_there_is(app: Flask, alice: Browser) -> None:
    assert step_now(alice.get("/").text) == "Create the first mailbox"
    with app.app_context():
        OPERATIONS["disable-email"](command_line().in_project(1), domain="example.nl")
    assert step_now(alice.get("/").text) == "Turn e-mail on"


def test_who_has_no_domain_yet_is_told_what_to_do_first(app: Flask, alice: Browser) -> None:
    with app.app_context():
        for name in ("example.nl", "parked.nl"):
            OPERATIONS["remove-domain"](command_line(), domain=name)
    page = alice.get("/").text
    assert step_now(page) == "Link a domain"
    assert "Ask your admin to link it" in page
    assert "Storage promised" not in page


def test_the_steps_are_gone_once_all_are_done(app: Flask, alice: Browser, mailbox: str) -> None:
    assert "Get your mail working" in alice.get("/").text
    heard(app, minutes=1)
    page = alice.get("/").text
    assert "Get your mail working" not in page
    assert "New mailbox" in page


def test_it_counts_what_the_project_has(app: Flask, alice: Browser, mailbox: str) -> None:
    page = alice.get("/").text
    assert "<b>1.5 GB</b>" in page
    assert "1 with e-mail on" in page


def test_it_says_what_needs_attention(app: Flask, alice: Browser, mailbox: str) -> None:
    heard(app, minutes=20)
    with app.app_context():
        caller = command_line().in_project(1)
        OPERATIONS["update-user"](caller, email=mailbox, can_login=False)
    page = alice.get("/").text
    assert "1 mailbox may not sign in" in page
    assert "1 domain is linked, but its e-mail is off" in page
    assert "No mail node has been in touch" in page


def test_it_says_when_no_node_has_fetched_the_mailboxes(alice: Browser, mailbox: str) -> None:
    assert "No mail node has fetched the mailboxes yet" in alice.get("/").text


def test_all_is_quiet_when_all_is_well(app: Flask, charlie: Browser) -> None:
    heard(app, minutes=1)
    assert "Needs attention" not in charlie.get("/").text


def test_it_hides_from_strangers(charlie: Browser, mailbox: str) -> None:
    page = charlie.get("/").text
    assert "charlie.nl" in page
    assert "example.nl" not in page
    assert "1.5 GB" not in page


def test_who_belongs_to_no_project_is_told_what_to_do(nobody: Browser) -> None:
    assert "Ask your admin" in nobody.get("/").text


def test_it_asks_the_database_little_however_much_there_is(
    app: Flask, alice: Browser, root: Browser
) -> None:
    with app.app_context(), write_transaction() as session:
        session.add_all(Domain(name=f"d{n}.nl", project_id=1) for n in range(30))
    for browser in (alice, root):
        assert "All 32 domains" in browser.get("/").text
        assert len(browser.queries) <= MAX_QUERIES, browser.queries


def test_a_domain_whose_mail_works_no_more_needs_attention(app: Flask, alice: Browser) -> None:
    assert "had before" not in alice.get("/").text
    with app.app_context():
        db.session.execute(db.update(DnsCheck).values(state="blocked"))
        db.session.commit()
    assert "1 domain lacks a record in the DNS that it had before." in alice.get("/").text
