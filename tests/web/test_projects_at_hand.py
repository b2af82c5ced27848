"""Who looks after several projects, in several tabs: a form acts where it was opened, or not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from app.caller import command_line
from app.database import write_transaction
from app.extensions import db
from app.models import Domain, Mailbox, Membership, Token
from app.operations import OPERATIONS
from tests.conftest import PASSWORD
from tests.web.conftest import PEOPLES_PASSWORD, Browser

ALICE = "alice@people.example"


@pytest.fixture
def both(app: Flask, alice: Browser) -> Browser:
    """Alice, who by now belongs to both projects."""
    with app.app_context():
        OPERATIONS["update-person"](command_line(), email=ALICE, projects=[1, 2])
    return alice


def test_it_works(app: Flask, both: Browser) -> None:
    """The form was opened in project 1; then another tab went to project 2."""
    both.get("/tokens/new?project=1")
    form = {"project": both.project, "name": "website", "scope": "read", "days": "30"}
    assert "charlie.nl" in both.get("/domains?project=2").text
    assert both.post("/tokens/new", **form).status_code == 200
    with app.app_context():
        made = db.select(Token.project_id).where(Token.name == "website")
        assert db.session.scalars(made).all() == [1]


def test_what_follows_is_shown_in_its_project(both: Browser) -> None:
    both.get("/domains/parked.nl?project=1")
    both.get("/domains?project=2")
    page = both.follow(both.post("/domains/parked.nl/enable", project="1"))
    assert "E-mail is on for parked.nl." in page.text


@pytest.mark.parametrize(
    "path",
    [
        "/domains/parked.nl",
        "/domains/empty.nl/disable",
        "/mailboxes",
        "/mailboxes/new",
        "/mailboxes/info@example.nl",
        "/mailboxes/info@example.nl/delete",
        "/tokens/new",
        "/tokens/1/revoke",
    ],
)
def test_every_form_carries_the_project_of_its_page(app: Flask, both: Browser, path: str) -> None:
    with app.app_context():
        caller = command_line().in_project(1)
        OPERATIONS["add-user"](caller, email="info@example.nl", password=PASSWORD)
        OPERATIONS["assign-domain"](caller, domain="empty.nl", project_id=1)
        OPERATIONS["enable-email"](caller, domain="empty.nl")
    page = both.get(f"{path}?project=1").text
    main = page[page.index("<main") :]
    forms = re.findall(r'<form[^>]*method="post".*?</form>', main, re.DOTALL)
    assert forms
    for form in forms:
        assert '<input type="hidden" name="project" value="1">' in form


@pytest.mark.parametrize("project", [None, "2", "99", "0", "", "x", "9" * 5000, "\0", "\u0661"])
def test_a_project_that_is_not_theirs_is_refused(
    app: Flask, alice: Browser, project: str | None
) -> None:
    alice.get("/domains/parked.nl")
    alice.project = ""
    data = {"csrf_token": alice.csrf_token, "project": project}
    if project is None:  # what was chosen last is only what is shown first
        del data["project"]
    assert alice.client.post("/domains/parked.nl/enable", data=data).status_code == 404
    with app.app_context():
        parked = db.select(Domain.email_enabled).where(Domain.name == "parked.nl")
        assert not db.session.scalars(parked).one()


def test_who_left_a_project_meanwhile_still_has_an_account(app: Flask, alice: Browser) -> None:
    alice.get("/account")
    with app.app_context():
        OPERATIONS["update-person"](command_line(), email=ALICE, projects=[])
    fields = {"present": PEOPLES_PASSWORD, "password": "four words in row"}
    assert alice.post("/account/password", **fields).status_code == 303


CHANGES = [
    ("/mailboxes/new", {"local_part": "x", "domain": "example.nl", "quota_mb": "1"}),
    ("/mailboxes/info@example.nl/password", {}),
    ("/mailboxes/info@example.nl/settings", {"quota_mb": "99"}),
    ("/mailboxes/info@example.nl/remove", {}),
    ("/mailboxes/several", {"action": "remove", "email": "info@example.nl"}),
    ("/domains/parked.nl/enable", {}),
    ("/tokens/new", {"name": "late", "scope": "write", "days": "30"}),
]


@pytest.mark.parametrize("way", ["left", "disabled"])
@pytest.mark.parametrize(("path", "fields"), CHANGES)
def test_who_loses_a_project_while_a_form_is_sent_changes_nothing_in_it(
    app: Flask,
    alice: Browser,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    fields: dict[str, str],
    way: str,
) -> None:
    with app.app_context():
        caller = command_line().in_project(1)
        OPERATIONS["add-user"](caller, email="info@example.nl", password=PASSWORD)
    alice.get("/mailboxes/info@example.nl")

    def lose() -> None:
        change: dict[str, Any] = {"projects": []} if way == "left" else {"is_disabled": True}
        with app.app_context():
            OPERATIONS["update-person"](command_line(), email=ALICE, **change)

    with monkeypatch.context() as meanwhile:
        before_the_change(meanwhile, lose)
        answer = alice.post(path, password="four words in row", **fields)
    assert answer.status_code == (404 if way == "left" else 403)
    assert "example.nl" not in answer.text
    with app.app_context():
        mailbox = db.session.scalars(db.select(Mailbox)).one()
        assert mailbox.is_active
        assert mailbox.quota_mb == 1024
        assert not db.session.scalars(db.select(Token).where(Token.name == "late")).all()
        assert db.session.get(Membership, (1, 1)) is None or way == "disabled"


def before_the_change(monkeypatch: pytest.MonkeyPatch, lose: Callable[[], None]) -> None:
    """Let something happen once, after a request was let in and before its transaction begins."""
    left = [lose]

    def begin() -> object:
        if left:
            left.pop()()
        return write_transaction()

    monkeypatch.setattr("app.operations.operation.write_transaction", begin)
