"""What assistants ask for waits for a person: from the tool to the page and back."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from app import clock
from app.caller import command_line
from app.errors import Forbidden
from app.extensions import db
from app.models import AuditEntry, HeldCall, Mailbox, Project
from app.operations import OPERATIONS
from app.passwords import matches
from tests.conftest import PASSWORD, Api, Cast
from tests.mcp.client import Assistant, done, refused
from tests.web.conftest import Browser

EMAIL = "info@example.nl"
OTHER = "another horse battery"
INFO = {"email": EMAIL}
LINK = re.compile(r'id="the-link">http://127\.0\.0\.1:8000(/welcome/mcw_[0-9A-Za-z]{38})<')


@pytest.fixture(autouse=True)
def guarded(app: Flask, people: Cast) -> None:
    """A mailbox in a project whose assistants have to ask."""
    with app.app_context():
        OPERATIONS["add-user"](command_line().in_project(1), email=EMAIL, password=PASSWORD)
        db.session.execute(db.update(Project).values(needs_approval=True))
        db.session.commit()


@pytest.fixture
def mcp(app: Flask, people: Cast) -> Assistant:
    """An assistant with Alice's token."""
    return Assistant(app.test_client(), people)


def held(answer: dict[str, Any]) -> dict[str, Any]:
    """What an assistant is told of a call that was held."""
    told = done(answer)
    assert told.keys() == {"approval"}, told
    approval: dict[str, Any] = told["approval"]
    return approval


def path_of(approval: dict[str, Any]) -> str:
    """Where a person decides."""
    address: str = approval["url"]
    return address.removeprefix("http://127.0.0.1:8000")


def decide(browser: Browser, approval: dict[str, Any], verdict: str = "approve") -> Any:
    """Open the page that an assistant pointed to, and press a button there."""
    path = path_of(approval)
    assert browser.get(path).status_code == 200
    return browser.post(f"{path.partition('?')[0]}/{verdict}")


def mailbox(app: Flask) -> Mailbox | None:
    """The mailbox as it is now."""
    with app.app_context():
        found: Mailbox | None = db.session.scalar(db.select(Mailbox).where(Mailbox.email == EMAIL))
        return found


def last_entry(app: Flask) -> AuditEntry:
    """What was recorded last."""
    with app.app_context():
        query = db.select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1)
        found: AuditEntry = db.session.scalars(query).one()
        return found


def test_it_works(app: Flask, mcp: Assistant, alice: Browser) -> None:
    waiting = held(mcp("remove-user", **INFO))
    assert (waiting["done"], waiting["state"]) == (False, "waiting")
    assert waiting["message"].startswith("Nothing has been done yet.")
    assert waiting["given"] == {"email": EMAIL, "hard_delete": False}
    assert "can no longer sign in" in waiting["would"]
    left = -clock.seconds_since(waiting["expires_at"])
    assert 86400 - 60 < left <= 86400
    before = mailbox(app)
    assert before and before.is_active
    page = alice.get("/mailboxes").text
    assert '1<span class="visually-hidden"> waiting' in page
    assert "Remove a mailbox" in alice.get("/approvals").text
    assert "It is done." in alice.follow(decide(alice, waiting)).text
    after = mailbox(app)
    assert after and not after.is_active
    entry = last_entry(app)
    assert (entry.action, entry.object, entry.project_id) == ("remove-user", EMAIL, 1)
    assert entry.actor == "token 1 (alice)"
    assert entry.approved_by == "person alice@people.example"
    told = held(mcp("remove-user", **INFO))
    assert (told["done"], told["state"]) == (True, "approved")
    assert told["decided_by"] == "person alice@people.example"
    assert told["result"]["user"]["active"] is False
    assert "waiting</span>" not in alice.get("/mailboxes").text


def test_asking_again_is_the_same_call(app: Flask, mcp: Assistant) -> None:
    first, second = held(mcp("remove-user", **INFO)), held(mcp("remove-user", **INFO))
    assert first == second
    other = held(mcp("remove-user", **INFO, hard_delete=True))
    assert other["url"] != first["url"]
    by_admin = held(mcp("remove-user", "root", **INFO, project_id=1))
    assert by_admin["url"] not in (first["url"], other["url"])
    with app.app_context():
        assert db.session.scalar(db.select(db.func.count()).select_from(HeldCall)) == 3


def test_an_outcome_is_told_once_and_then_it_is_meant_anew(
    app: Flask, mcp: Assistant, alice: Browser
) -> None:
    first = held(mcp("remove-user", **INFO))
    decide(alice, first)
    assert held(mcp("remove-user", **INFO))["done"] is True
    done(mcp("restore-user", **INFO))
    again = held(mcp("remove-user", **INFO))
    assert (again["done"], again["state"]) == (False, "waiting")
    assert again["url"] != first["url"]


def test_a_refusal_stands(app: Flask, mcp: Assistant, alice: Browser) -> None:
    waiting = held(mcp("remove-user", **INFO))
    assert "It is refused" in alice.follow(decide(alice, waiting, "refuse")).text
    for _ in range(2):
        told = held(mcp("remove-user", **INFO))
        assert (told["done"], told["state"], told["url"]) == (False, "refused", waiting["url"])
    found = mailbox(app)
    assert found and found.is_active
    entry = last_entry(app)
    assert (entry.action, entry.actor) == ("refuse-call", "person alice@people.example")
    assert decide(alice, waiting).status_code == 409


def test_a_password_is_kept_as_a_hash_only(app: Flask, mcp: Assistant, alice: Browser) -> None:
    waiting = held(mcp("update-password", **INFO, password=OTHER))
    assert waiting["given"] == INFO
    assert held(mcp("update-password", **INFO, password=OTHER)) == waiting
    with app.app_context():
        call = db.session.scalars(db.select(HeldCall)).one()
        assert OTHER not in repr(vars(call))
        assert matches(OTHER, call.password_hash or "")
    assert OTHER not in alice.get(path_of(waiting)).text
    decide(alice, waiting)
    found = mailbox(app)
    assert found and matches(OTHER, found.password_hash)
    told = held(mcp("update-password", **INFO, password=OTHER))
    assert (told["state"], "password" in str(told["result"])) == ("approved", False)


def test_another_password_takes_the_place_of_the_one_before(
    app: Flask, mcp: Assistant, alice: Browser
) -> None:
    first = held(mcp("update-password", **INFO, password=OTHER))
    second = held(mcp("update-password", **INFO, password="a third horse battery"))
    assert first["url"] != second["url"]
    assert alice.get(path_of(first)).status_code == 404
    assert decide(alice, second).status_code == 303
    found = mailbox(app)
    assert found and matches("a third horse battery", found.password_hash)


def test_a_link_is_for_who_approved_and_not_for_the_assistant(
    app: Flask, mcp: Assistant, alice: Browser
) -> None:
    waiting = held(mcp("send-password-link", **INFO))
    page = decide(alice, waiting)
    assert page.headers["Cache-Control"] == "no-store"
    link = LINK.search(page.text)
    assert link
    assert app.test_client().get(link[1]).status_code == 200
    told = mcp("send-password-link", **INFO)
    assert held(told)["done"] is True
    assert "mcw_" not in str(told)
    with app.app_context():
        assert "mcw_" not in repr([vars(call) for call in db.session.scalars(db.select(HeldCall))])


def test_what_would_be_refused_is_refused_at_once(app: Flask, mcp: Assistant) -> None:
    refused(mcp("remove-user", email="absent@example.nl"), "MAILBOX_NOT_FOUND", "email")
    refused(mcp("disable-email", domain="example.nl"), "MAILBOXES_EXIST", "domain")
    refused(mcp("remove-user", email="x"), "INVALID_INPUT", "email")
    refused(mcp("remove-user", "bob", **INFO), "FORBIDDEN")
    with app.app_context():
        assert db.session.scalars(db.select(HeldCall)).all() == []


def test_what_cannot_be_done_any_more_is_said(app: Flask, mcp: Assistant, alice: Browser) -> None:
    waiting = held(mcp("update-password", **INFO, password=OTHER))
    with app.app_context():
        OPERATIONS["remove-user"](command_line().in_project(1), email=EMAIL)
    page = decide(alice, waiting)
    assert page.status_code == 409
    assert "was removed and is kept until" in page.text
    entry = last_entry(app)
    assert (entry.action, entry.actor) == ("approve-call failed", "person alice@people.example")
    told = held(mcp("update-password", **INFO, password=OTHER))
    assert (told["done"], told["state"]) == (False, "failed")
    assert told["message"].endswith("(MAILBOX_REMOVED)")
    refused(mcp("update-password", **INFO, password=OTHER), "MAILBOX_REMOVED", "email")


@pytest.mark.parametrize("how", ["revoked", "may only read"])
def test_the_asker_needs_the_right_by_then(
    app: Flask, mcp: Assistant, alice: Browser, how: str
) -> None:
    waiting = held(mcp("remove-user", **INFO))
    with app.app_context():
        if how == "revoked":
            OPERATIONS["revoke-token"](command_line(), token_id=1)
        else:
            db.session.execute(db.text("UPDATE tokens SET scope = 'read' WHERE id = 1"))
            db.session.commit()
    page = decide(alice, waiting)
    assert page.status_code == 409
    assert "Could not be done" in page.text
    found = mailbox(app)
    assert found and found.is_active


def test_the_approver_needs_the_right_too(
    app: Flask, mcp: Assistant, alice: Browser, root: Browser
) -> None:
    done(mcp("add-domain", "root", domain="new.nl", project_id=1))
    waiting = held(mcp("remove-domain", "root", domain="new.nl"))
    path = path_of(waiting)
    assert "Only an admin can approve this." in alice.get(path).text
    assert alice.post(f"{path.partition('?')[0]}/approve").status_code == 403
    assert held(mcp("remove-domain", "root", domain="new.nl"))["state"] == "waiting"
    assert decide(root, waiting).status_code == 303
    assert held(mcp("remove-domain", "root", domain="new.nl"))["done"] is True


def test_it_waits_for_a_day_at_most(app: Flask, mcp: Assistant, alice: Browser) -> None:
    waiting = held(mcp("remove-user", **INFO))
    alice.get(path_of(waiting))
    with app.app_context():
        db.session.execute(db.update(HeldCall).values(expires_at=clock.from_now(seconds=-1)))
        db.session.commit()
    assert "Not decided in time" in alice.get(path_of(waiting)).text
    for verdict in ("approve", "refuse"):
        assert decide(alice, waiting, verdict).status_code == 409
    assert held(mcp("remove-user", **INFO))["url"] != waiting["url"]


def test_more_than_twenty_changes_are_bulk(app: Flask, mcp: Assistant, alice: Browser) -> None:
    for number in range(20):
        done(mcp("update-user", **INFO, quota_mb=1025 + number))
    waiting = held(mcp("update-user", **INFO, quota_mb=2048))
    assert waiting["given"] == {"email": EMAIL, "quota_mb": 2048}
    assert held(mcp("update-user", **INFO, quota_mb=2048)) == waiting
    new = {"email": "new@example.nl", "password": OTHER}
    made = held(mcp("add-user", **new))
    assert done(mcp("list-users"))["total"] == 1
    decide(alice, made)
    assert held(mcp("add-user", **new))["result"]["user"]["email"] == "new@example.nl"


def test_programs_and_people_need_not_ask(
    app: Flask, people: Cast, mcp: Assistant, alice: Browser
) -> None:
    api = Api(app.test_client(), people)
    for number in range(25):
        assert api("update-user", **INFO, quota_mb=number + 1).status_code == 200
    assert api("remove-user", **INFO).status_code == 200
    alice.get(f"/mailboxes/{EMAIL}")
    assert alice.post(f"/mailboxes/{EMAIL}/restore").status_code == 303


def test_what_changes_nothing_or_little_need_not_wait(mcp: Assistant) -> None:
    assert done(mcp("list-users"))["total"] == 1
    for quota_mb in (1024, 1025):
        assert "user" in done(mcp("update-user", **INFO, quota_mb=quota_mb))
    assert "link" in done(mcp("invite-user", email="owner@example.nl"))


def test_less_storage_waits_since_a_full_mailbox_refuses_mail(
    app: Flask, mcp: Assistant, alice: Browser
) -> None:
    waiting = held(mcp("update-user", **INFO, quota_mb=1))
    before = mailbox(app)
    assert before and before.quota_mb == 1024
    decide(alice, waiting)
    after = mailbox(app)
    assert after and after.quota_mb == 1


def test_a_project_that_does_not_ask_for_it_is_left_alone(mcp: Assistant, alice: Browser) -> None:
    page = alice.get("/approvals")
    assert "Let them act at once" in page.text
    waiting = held(mcp("remove-user", **INFO))
    page = alice.follow(alice.post("/approvals/setting", ask="off"))
    assert "Assistants no longer have to ask." in page.text
    assert decide(alice, waiting).status_code == 409
    assert done(mcp("remove-user", **INFO))["user"]["active"] is False
    page = alice.follow(alice.post("/approvals/setting", ask="on"))
    assert "Assistants have to ask from now on." in page.text
    assert alice.post("/approvals/setting", ask="perhaps").status_code == 400
    assert "approval" in done(mcp("remove-user", **INFO, hard_delete=True))


def test_no_program_decides(app: Flask, people: Cast, mcp: Assistant) -> None:
    held(mcp("remove-user", **INFO))
    api = Api(app.test_client(), people)
    for name in ("refuse-call", "update-approval", "approve-call"):
        assert api(name, "root", call_id=1).status_code == 404
    with app.app_context():
        for caller in (command_line().in_project(1), replace(people.alice, is_assistant=True)):
            for name, values in (
                ("refuse-call", {"call_id": 1}),
                ("update-approval", {"needs_approval": False}),
            ):
                with pytest.raises(Forbidden):
                    OPERATIONS[name](caller, **values)


def test_it_hides_from_strangers(mcp: Assistant, charlie: Browser, alice: Browser) -> None:
    waiting = held(mcp("remove-user", **INFO))
    path = path_of(waiting).partition("?")[0]
    assert EMAIL not in charlie.get("/approvals").text
    assert charlie.get(path).status_code == 404
    assert charlie.get(path_of(waiting)).status_code == 404
    for verdict in ("approve", "refuse"):
        charlie.get("/approvals")
        assert charlie.post(f"{path}/{verdict}").status_code == 404
        assert charlie.post(f"{path}/{verdict}", project="1").status_code == 404
    assert decide(alice, waiting).status_code == 303


@pytest.mark.parametrize("number", ["0", "99", "2147483648", "9" * 30])
def test_a_call_that_is_none_is_not_found(alice: Browser, number: str) -> None:
    alice.get("/approvals")
    assert alice.get(f"/approvals/{number}").status_code == 404
    for verdict in ("approve", "refuse"):
        assert alice.post(f"/approvals/{number}/{verdict}").status_code == 404


def test_so_many_may_wait_and_no_more(
    app: Flask, mcp: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.operations.held.MAX_WAITING", 1)
    held(mcp("remove-user", **INFO))
    refused(mcp("remove-user", **INFO, hard_delete=True), "APPROVALS_FULL")
    held(mcp("remove-user", **INFO))


def test_the_audit_log_names_both(root: Browser, mcp: Assistant, alice: Browser) -> None:
    decide(alice, held(mcp("remove-user", **INFO)))
    page = root.get("/admin/audit?action=remove-user").text
    assert "token 1 (alice)" in page
    assert "approved by person alice@people.example" in page
    assert "person alice@people.example" in root.get("/admin/audit.csv?action=remove-user").text
