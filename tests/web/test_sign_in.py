"""Signing in and out: sessions end when they should, and strangers are told nothing."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import pytest
from bcrypt import checkpw
from flask import Flask
from werkzeug.test import TestResponse

from app import clock
from app.caller import command_line
from app.config import Settings
from app.database import write_transaction
from app.extensions import db
from app.models import AuditEntry, Person, WebSession
from app.operations import OPERATIONS
from app.passwords import NewPassword, matches
from tests.web.conftest import PEOPLES_PASSWORD, Browser

ALICE = "alice@people.example"


def test_it_works(visitor: Browser) -> None:
    page = visitor.sign_in(ALICE)
    assert page.status_code == 200
    assert ALICE in page.text


def test_a_script_is_led_on_to_what_a_header_cannot_hold(visitor: Browser) -> None:
    visitor.get("/sign-in")
    fields = {"email": ALICE, "password": PEOPLES_PASSWORD, "next": "/mailboxes?q=5 \N{EURO SIGN}"}
    answer = visitor.client.post(
        "/sign-in",
        data={**fields, "csrf_token": visitor.csrf_token},
        headers={"HX-Request": "true"},
    )
    assert answer.headers["HX-Redirect"] == "/mailboxes?q=5%20%E2%82%AC"


def test_it_leads_back_to_where_somebody_was(visitor: Browser) -> None:
    asked = visitor.get("/mailboxes?q=info")
    assert asked.location == "/sign-in?next=/mailboxes?q%3Dinfo"
    page = visitor.get(asked.location)
    assert 'name="next" value="/mailboxes?q=info"' in page.text


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "////evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/\tevil",
        "/%0d%0a\r\nx",
        "",
    ],
)
def test_it_never_leads_to_another_site(visitor: Browser, target: str) -> None:
    visitor.get("/sign-in")
    answer = visitor.post("/sign-in", email=ALICE, password=PEOPLES_PASSWORD, next=target)
    assert answer.location == "/"


@pytest.mark.parametrize("email", [ALICE, "stranger@people.example", "no address", "", "x" * 3000])
def test_it_tells_strangers_nothing(visitor: Browser, email: str) -> None:
    visitor.get("/sign-in")
    answer = visitor.post("/sign-in", email=email, password="a wrong password")
    assert answer.status_code == 422
    assert "The address or the password is wrong." in answer.text
    assert "a wrong password" not in answer.text


def test_the_answers_for_a_known_and_an_unknown_account_are_alike(visitor: Browser) -> None:
    def refused(email: str) -> str:
        visitor.get("/sign-in")
        page = visitor.post("/sign-in", email=email, password="a wrong password").text
        return re.sub(r'value="[^"]*"', "", page)

    assert refused(ALICE) == refused("stranger@people.example")


def test_an_unknown_account_takes_as_long_as_a_known_one(
    app: Flask, visitor: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes the time is one hash of the same cost, whoever is asked for (ASVS 6.3.8)."""
    with app.app_context():
        OPERATIONS["add-person"](command_line(), email="invited@people.example")
        OPERATIONS["update-person"](command_line(), email="bob@people.example", is_disabled=True)
    costs: list[bytes] = []

    def noted(password: bytes, stored: bytes) -> bool:
        costs.append(stored.split(b"$")[2])
        return checkpw(password, stored)

    monkeypatch.setattr("app.passwords.bcrypt.checkpw", noted)
    known = (ALICE, "bob@people.example", "invited@people.example")
    for email in (*known, "stranger@people.example", "no address", ""):
        for password in ("a wrong password", "x" * 73):
            visitor.get("/sign-in")
            assert visitor.post("/sign-in", email=email, password=password).status_code == 422
            assert costs == [b"04"], email
            costs.clear()


@pytest.mark.parametrize(
    "password", ["x" * 73, "é" * 37, "\0" * 9, "\ud800".encode(errors="replace")]
)
def test_a_password_that_cannot_be_is_wrong_and_no_fault(visitor: Browser, password: str) -> None:
    visitor.get("/sign-in")
    assert visitor.post("/sign-in", email=ALICE, password=password).status_code == 422


def test_the_longer_password_that_begins_alike_is_wrong(app: Flask, visitor: Browser) -> None:
    with app.app_context():
        OPERATIONS["add-person"](command_line(), email="long@people.example", password="y" * 72)
    visitor.get("/sign-in")
    assert (
        visitor.post("/sign-in", email="long@people.example", password="y" * 73).status_code == 422
    )


def test_the_cookie_is_new_after_signing_in(visitor: Browser) -> None:
    visitor.get("/sign-in")
    before = visitor.client.get_cookie("mailcote")
    visitor.post("/sign-in", email=ALICE, password=PEOPLES_PASSWORD)
    after = visitor.client.get_cookie("mailcote")
    assert before is not None and after is not None and before.value != after.value
    assert (after.http_only, after.same_site, after.path) == (True, "Lax", "/")


def test_a_copied_cookie_is_dead_after_signing_out(app: Flask, alice: Browser) -> None:
    cookie = alice.client.get_cookie("mailcote")
    assert cookie is not None
    assert alice.post("/sign-out").location == "/sign-in"
    thief = app.test_client()
    thief.set_cookie("mailcote", cookie.value)
    assert thief.get("/mailboxes").status_code == 303


def test_a_new_password_ends_the_other_sessions(app: Flask, alice: Browser) -> None:
    other = Browser(app, app.test_client())
    other.sign_in(ALICE)
    alice.get("/account")
    answer = alice.post(
        "/account/password", present=PEOPLES_PASSWORD, password="another pass phrase"
    )
    assert answer.status_code == 303
    assert alice.get("/mailboxes").status_code == 200
    assert other.get("/mailboxes").status_code == 303


def test_disabling_somebody_ends_their_sessions_at_once(app: Flask, alice: Browser) -> None:
    with app.app_context():
        OPERATIONS["update-person"](command_line(), email=ALICE, is_disabled=True)
    assert alice.get("/mailboxes").status_code == 303
    alice.get("/sign-in")
    assert alice.post("/sign-in", email=ALICE, password=PEOPLES_PASSWORD).status_code == 422


def test_leaving_a_project_takes_effect_at_once(app: Flask, alice: Browser) -> None:
    assert "New mailbox" in alice.get("/mailboxes").text
    with app.app_context():
        OPERATIONS["update-person"](command_line(), email=ALICE, projects=[])
    assert "You belong to no project yet" in alice.get("/mailboxes").text


@pytest.mark.parametrize(
    ("column", "seconds"),
    [
        ("seen_at", 31 * 60),
        ("created_at", 13 * 3600),
        # The clock was set back: it would go on until then.
        ("created_at", -86400),
        ("seen_at", -86400),
    ],
)
def test_a_session_ends_when_idle_or_old(
    app: Flask, alice: Browser, column: str, seconds: int
) -> None:
    with app.app_context():
        db.session.execute(db.update(WebSession).values({column: clock.from_now(seconds=-seconds)}))
        db.session.commit()
    assert alice.get("/mailboxes").status_code == 303


def test_hosts_whose_clocks_differ_a_little_have_the_same_sessions(
    app: Flask, alice: Browser
) -> None:
    ahead = clock.from_now(seconds=30)
    with app.app_context():
        db.session.execute(db.update(WebSession).values(seen_at=ahead, created_at=ahead))
        db.session.commit()
    assert alice.get("/mailboxes").status_code == 200


def test_a_page_that_asks_again_by_itself_is_no_use_of_a_session(
    app: Flask, alice: Browser
) -> None:
    def seen_again(**headers: str) -> bool:
        then = clock.from_now(seconds=-20 * 60)
        with app.app_context():
            db.session.execute(db.update(WebSession).values(seen_at=then))
            db.session.commit()
            assert alice.get("/mailboxes", headers=headers).status_code == 200
            seen: str = db.session.scalars(db.select(WebSession.seen_at)).one()
            return seen > then

    assert seen_again()
    assert not seen_again(**{"X-Poll": "true"})


@pytest.mark.parametrize("change", ["password", "disabled"])
def test_what_changes_while_a_password_is_checked_counts(
    app: Flask, visitor: Browser, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    def slowly(text: str, stored: str) -> bool:
        """bcrypt takes its time; meanwhile somebody else is quicker."""
        is_right = matches(text, stored)
        with app.app_context(), write_transaction() as session:
            person = session.scalars(db.select(Person).where(Person.email == ALICE)).one()
            if change == "password":
                person.password_hash = NewPassword("another pass phrase").hash(4)
            else:
                person.disabled_at = clock.now()
        return is_right

    visitor.get("/sign-in")
    monkeypatch.setattr("app.sessions.matches", slowly)
    answer = visitor.post("/sign-in", email=ALICE, password=PEOPLES_PASSWORD)
    assert answer.status_code == 422
    assert "The address or the password is wrong." in answer.text
    with app.app_context():
        assert db.session.scalars(db.select(WebSession)).all() == []
        actions = db.session.scalars(db.select(AuditEntry.action)).all()
    assert "sign-in" not in actions
    assert "sign-in refused" in actions


def test_signing_out_is_in_the_audit_log(app: Flask, alice: Browser) -> None:
    alice.post("/sign-out")
    with app.app_context():
        entry = db.session.scalars(db.select(AuditEntry).order_by(AuditEntry.id.desc())).first()
        assert entry is not None
        assert (entry.actor, entry.action) == (f"person {ALICE}", "sign-out")
        assert entry.address == "127.0.0.1"


def test_an_htmx_request_is_sent_to_the_sign_in_page_whole(visitor: Browser) -> None:
    answer = visitor.get(
        "/mailboxes",
        headers={"HX-Request": "true", "HX-Current-URL": "http://localhost/mailboxes?q=x"},
    )
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/sign-in?next=/mailboxes&expired=1"


def test_forms_without_or_with_a_foreign_token_change_nothing(
    alice: Browser, charlie: Browser
) -> None:
    charlie.get("/mailboxes")
    for token in ("", "nonsense", charlie.csrf_token):
        answer = alice.post("/sign-out", csrf_token=token)
        assert answer.status_code == 400
        assert "open too long" in answer.text
    assert alice.get("/mailboxes").status_code == 200


def test_a_page_may_be_open_for_hours(
    app: Flask, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its form's token ends with the session, and not before: pages that ask again by themselves
    keep nobody's form fresh."""
    alice.get("/account")
    later = time.time() + 11 * 3600
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: later)
    with app.app_context():
        db.session.execute(db.update(WebSession).values(seen_at=clock.from_now(seconds=0)))
        db.session.commit()
    assert alice.post("/sign-out").status_code == 303


class TestHttps:
    """Behind HTTPS a form has to come from a page of ours (Flask-WTF asks the referrer)."""

    PANEL = "https://panel.example.nl"

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """A panel with a public name."""
        return replace(settings, public_url=self.PANEL)

    def post(self, visitor: Browser, **headers: str) -> TestResponse:
        """Sign in by the form of the sign-in page."""
        page = visitor.client.get("/sign-in", base_url=self.PANEL)
        assert page.headers["Referrer-Policy"] == "same-origin"
        shown = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        assert shown
        fields = {"csrf_token": shown[1], "email": ALICE, "password": PEOPLES_PASSWORD}
        return visitor.client.post(
            "/sign-in", base_url=self.PANEL, data=fields, headers=list(headers.items())
        )

    def test_it_works(self, visitor: Browser) -> None:
        answer = self.post(visitor, Referer=f"{self.PANEL}/sign-in")
        assert answer.status_code == 303
        cookies = answer.headers.getlist("Set-Cookie")
        assert any(cookie.startswith("__Host-mailcote=") for cookie in cookies)
        for cookie in cookies:
            parts = cookie.split("; ")
            assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(parts)
            assert not any(part.startswith("Domain") for part in parts)

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Referer": "https://evil.example/"},
            {"Referer": "https://panel.example.nl.evil.example/"},
            {"Referer": "http://panel.example.nl/sign-in"},
        ],
    )
    def test_it_rejects_forms_of_other_sites(
        self, visitor: Browser, headers: dict[str, str]
    ) -> None:
        answer = self.post(visitor, **headers)
        assert answer.status_code == 400
        assert "__Host-mailcote" not in answer.headers.get("Set-Cookie", "")


def test_nothing_is_changed_by_get(alice: Browser) -> None:
    assert alice.get("/sign-out").status_code == 405
    assert alice.get("/mailboxes").status_code == 200


def test_every_attempt_is_in_the_audit_log(app: Flask, visitor: Browser) -> None:
    visitor.get("/sign-in")
    visitor.post("/sign-in", email=ALICE, password="a wrong password")
    visitor.sign_in(ALICE)
    with app.app_context():
        rows = db.session.scalars(db.select(AuditEntry).order_by(AuditEntry.id.desc()).limit(2))
        assert [row.action for row in rows] == ["sign-in", "sign-in refused"]


class TestThrottle:
    """At most so many attempts, and never a lock-out of the account's owner."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """Four attempts an hour for an account, six from an address."""
        return replace(settings, rate_sign_ins=4)

    @staticmethod
    def attempt(browser: Browser, address: str, email: str, password: str = "wrong one") -> int:
        browser.client.delete_cookie("mailcote")
        browser.get("/sign-in", environ_base={"REMOTE_ADDR": address})
        answer = browser.client.post(
            "/sign-in",
            data={"csrf_token": browser.csrf_token, "email": email, "password": password},
            environ_base={"REMOTE_ADDR": address},
        )
        return answer.status_code

    def test_one_address_is_stopped_at_the_limit(self, visitor: Browser) -> None:
        codes = [self.attempt(visitor, "192.0.2.9", f"p{n}@people.example") for n in range(8)]
        assert codes == [422] * 6 + [429] * 2

    def test_one_account_is_guarded_against_many_addresses(self, visitor: Browser) -> None:
        for number in range(4):
            assert self.attempt(visitor, f"192.0.2.{number}", ALICE) == 422
        # From now on every address has one attempt: a stranger's is wrong, and then it waits.
        assert self.attempt(visitor, "192.0.2.50", ALICE) == 422
        assert self.attempt(visitor, "192.0.2.50", ALICE) == 429

    def test_an_ipv6_network_of_64_bits_is_one_address(self, visitor: Browser) -> None:
        for number in range(6):
            address = f"2001:db8:0:1::{number}"
            assert self.attempt(visitor, address, f"p{number}@people.example") == 422
        assert self.attempt(visitor, "2001:db8:0:1:f::9", "p7@people.example") == 429
        assert self.attempt(visitor, "2001:db8:0:2::9", "p7@people.example") == 422

    def test_an_account_s_one_attempt_is_for_an_ipv6_network(self, visitor: Browser) -> None:
        for number in range(4):
            self.attempt(visitor, f"192.0.2.{number}", ALICE)
        assert self.attempt(visitor, "2001:db8:0:1::1", ALICE) == 422
        assert self.attempt(visitor, "2001:db8:0:1::2", ALICE) == 429

    def test_an_ipv4_address_is_the_same_in_ipv6(self, visitor: Browser) -> None:
        for number in range(6):
            address = ("192.0.2.9", "::ffff:192.0.2.9")[number % 2]
            assert self.attempt(visitor, address, f"p{number}@people.example") == 422
        assert self.attempt(visitor, "::ffff:192.0.2.9", "p7@people.example") == 429
        assert self.attempt(visitor, "::ffff:192.0.2.8", "p7@people.example") == 422

    def test_it_says_when_to_come_back(self, visitor: Browser) -> None:
        for number in range(6):
            self.attempt(visitor, "192.0.2.9", f"p{number}@people.example")
        answer = visitor.post("/sign-in", email=ALICE, password="x")
        assert answer.status_code == 422  # another address
        answer = visitor.client.post(
            "/sign-in",
            data={"csrf_token": visitor.csrf_token, "email": ALICE, "password": "x"},
            environ_base={"REMOTE_ADDR": "192.0.2.9"},
        )
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["Retry-After"]) <= 3600

    def test_the_owner_is_not_locked_out(self, visitor: Browser) -> None:
        for number in range(10):
            self.attempt(visitor, f"192.0.2.{number}", ALICE)
        assert self.attempt(visitor, "198.51.100.7", ALICE, PEOPLES_PASSWORD) == 303

    def test_signing_in_rightly_costs_nothing(self, visitor: Browser) -> None:
        for _ in range(12):
            assert self.attempt(visitor, "192.0.2.9", ALICE, PEOPLES_PASSWORD) == 303
