"""Two-factor sign-in: the second step cannot be skipped, guessed, used twice or lent."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import Flask

from app import clock
from app.caller import command_line
from app.config import Settings
from app.extensions import db
from app.models import HalfSession, Person, RecoveryCode, TwoFactor, WebSession
from app.operations import OPERATIONS
from tests.conftest import Api
from tests.operations import ledger
from tests.web.conftest import MAX_QUERIES, PEOPLES_PASSWORD, Browser, entries, is_signed_in
from tests.web.phone import PAGE, Phone, codes_of
from tests.web.test_every_page import FOR_EVERYONE, rules

ALICE = "alice@people.example"
CODE_PAGE = "/sign-in/code"


@pytest.fixture
def phone(monkeypatch: pytest.MonkeyPatch, alice: Browser) -> Phone:
    """Alice's, who has set it up."""
    phone = Phone(monkeypatch)
    phone.set_up(alice)
    return phone


@pytest.fixture
def half(phone: Phone, visitor: Browser) -> Browser:
    """A browser in which her password was typed, and no code yet."""
    type_password(visitor)
    return visitor


def type_password(browser: Browser, email: str = ALICE) -> None:
    browser.get("/sign-in")
    answer = browser.post("/sign-in", email=email, password=PEOPLES_PASSWORD, next="/tokens")
    assert answer.location == f"{CODE_PAGE}?next=/tokens"
    assert browser.get(answer.location).status_code == 200


class TestSettingUp:
    def test_it_works(self, app: Flask, alice: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
        phone = Phone(monkeypatch)
        alice.get(PAGE)
        shown = alice.post(f"{PAGE}/begin")
        assert 'src="data:image/svg+xml' in shown.text
        assert shown.headers["Cache-Control"] == "no-store"
        phone.scan(shown)
        wrong = alice.post(f"{PAGE}/confirm", code=phone.wrong())
        assert wrong.status_code == 422
        assert phone.secret not in wrong.text.replace(" ", "")
        assert "Beside your password" in alice.get(PAGE).text  # still off
        page = alice.post(f"{PAGE}/confirm", code=phone.next())
        assert len(set(codes_of(page))) == 10
        assert page.headers["Cache-Control"] == "no-store"
        assert "10 of 10 recovery codes" in alice.get(PAGE).text
        assert phone.secret not in alice.get(PAGE).text.replace(" ", "")
        assert "Two-factor sign-in is on" in alice.get("/account").text
        with app.app_context():
            kept = repr(ledger.everything())
        assert not [code for code in codes_of(page) if code.replace("-", "") in kept]

    def test_other_sessions_end(
        self, app: Flask, alice: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = Browser(app, app.test_client())
        other.sign_in(ALICE)
        Phone(monkeypatch).set_up(alice)
        assert is_signed_in(alice)
        assert not is_signed_in(other)

    def test_nothing_is_on_before_it_is_confirmed(self, alice: Browser, visitor: Browser) -> None:
        alice.get(PAGE)
        alice.post(f"{PAGE}/begin")
        assert visitor.sign_in(ALICE).request.path == "/"

    def test_a_secret_cannot_be_replaced_while_it_is_on(self, alice: Browser, phone: Phone) -> None:
        alice.get(PAGE)
        assert alice.post(f"{PAGE}/begin").status_code == 409
        assert alice.post(f"{PAGE}/confirm", code=phone.next()).status_code == 409

    @pytest.mark.parametrize("path", ["begin", "confirm", "end", "recovery-codes"])
    def test_no_other_site_can_do_it(self, app: Flask, alice: Browser, path: str) -> None:
        alice.get(PAGE)
        answer = alice.post(f"{PAGE}/{path}", csrf_token="forged")
        assert answer.status_code == 400
        with app.app_context():
            assert db.session.scalars(db.select(TwoFactor)).all() == []

    def test_a_recovery_code_does_not_confirm(self, alice: Browser, phone: Phone) -> None:
        alice.get(PAGE)
        fields = {"password": PEOPLES_PASSWORD, "code": phone.next()}
        assert alice.post(f"{PAGE}/end", **fields).status_code == 303
        alice.post(f"{PAGE}/begin")
        answer = alice.post(f"{PAGE}/confirm", code=phone.recovery_codes[0])
        assert answer.status_code == 422


class TestSigningIn:
    def test_it_works(self, app: Flask, phone: Phone, half: Browser) -> None:
        before = half.client.get_cookie("mailcote")
        answer = half.post(CODE_PAGE, code=phone.next(), next="/tokens")
        assert (answer.status_code, answer.location) == (303, "/tokens")
        after = half.client.get_cookie("mailcote")
        assert before and after and before.value != after.value
        assert half.get("/tokens").status_code == 200
        assert entries(app, "sign-in")[-1].given == "password code"

    def test_a_code_with_spaces_is_the_same(self, phone: Phone, half: Browser) -> None:
        code = phone.next()
        assert half.post(CODE_PAGE, code=f" {code[:3]} {code[3:]} ").status_code == 303

    def test_half_a_session_opens_no_page(self, app: Flask, half: Browser) -> None:
        polled = {"HX-Request": "true", "HX-Request-Type": "partial", "X-Poll": "true"}
        for endpoint, verb, path in rules(app):
            if endpoint in FOR_EVERYONE:
                continue
            answer = half.get(path) if verb == "GET" else half.post(path)
            asked = answer.status_code, answer.location.partition("?")[0]
            assert asked == (303, "/sign-in"), path
        for path in ("/mailboxes", "/mailboxes/thing/live", "/admin/nodes"):
            assert half.get(path, headers=polled).status_code == 401, path

    def test_its_credential_is_none_of_a_session(self, app: Flask, half: Browser) -> None:
        with half.client.session_transaction() as kept:
            credential = kept["half"]
            kept["_user_id"] = credential
            kept["_fresh"] = True
        assert not is_signed_in(half)
        with app.app_context():
            stored = db.session.scalars(db.select(HalfSession.digest)).one()
        with half.client.session_transaction() as kept:
            kept["half"] = stored
        assert half.get(CODE_PAGE).location.startswith("/sign-in?")

    def test_half_a_session_is_dead_once_it_is_whole(self, phone: Phone, half: Browser) -> None:
        cookie = half.client.get_cookie("mailcote")
        assert cookie
        half.post(CODE_PAGE, code=phone.next())
        half.client.set_cookie("mailcote", cookie.value)
        assert half.get(CODE_PAGE).location.startswith("/sign-in?")
        assert half.post(CODE_PAGE, code=phone.next()).status_code in (303, 400)
        assert not is_signed_in(half)

    def test_it_is_over_after_five_minutes(self, app: Flask, phone: Phone, half: Browser) -> None:
        with app.app_context():
            late = clock.from_now(seconds=-5 * 60 - 1)
            db.session.execute(db.update(HalfSession).values(created_at=late))
            db.session.commit()
        answer = half.post(CODE_PAGE, code=phone.next(), next="/tokens")
        assert answer.location == "/sign-in?next=/tokens&expired=1"
        assert not is_signed_in(half)

    @pytest.mark.parametrize("wrong", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "0" * 6000])
    def test_it_rejects_what_is_no_code(self, half: Browser, wrong: str) -> None:
        answer = half.post(CODE_PAGE, code=wrong)
        assert answer.status_code == 422
        assert wrong == "" or wrong not in answer.text
        assert not is_signed_in(half)

    def test_it_rejects_a_code_that_was_used(self, app: Flask, phone: Phone, half: Browser) -> None:
        code = phone.next()
        assert half.post(CODE_PAGE, code=code).status_code == 303
        thief = Browser(app, app.test_client())
        type_password(thief)
        assert thief.post(CODE_PAGE, code=code).status_code == 422
        assert not is_signed_in(thief)
        assert entries(app, "sign-in refused")[-1].given == "code"

    def test_it_rejects_the_code_of_another_account(
        self, half: Browser, bob: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        others = Phone(monkeypatch)
        others.set_up(bob)
        assert half.post(CODE_PAGE, code=others.next()).status_code == 422
        assert half.post(CODE_PAGE, code=others.recovery_codes[0]).status_code == 422
        assert not is_signed_in(half)

    def test_a_new_password_ends_it(self, phone: Phone, half: Browser, alice: Browser) -> None:
        alice.get("/account")
        fields = {"present": PEOPLES_PASSWORD, "password": "another pass phrase"}
        assert alice.post("/account/password", **fields).status_code == 303
        assert half.post(CODE_PAGE, code=phone.next()).location.startswith("/sign-in?")
        assert not is_signed_in(half)

    def test_it_never_leads_to_another_site(self, phone: Phone, half: Browser) -> None:
        answer = half.post(CODE_PAGE, code=phone.next(), next="//evil.example")
        assert answer.location == "/"

    def test_a_one_time_link_does_not_go_round_it(
        self, app: Flask, phone: Phone, visitor: Browser
    ) -> None:
        with app.app_context():
            made = OPERATIONS["invite-person"](command_line(), email=ALICE)
        visitor.get(f"/welcome/{made.welcome}")
        answer = visitor.post(f"/welcome/{made.welcome}", password="another pass phrase")
        assert answer.location.startswith(CODE_PAGE)
        assert not is_signed_in(visitor)
        visitor.get(CODE_PAGE)
        visitor.post(CODE_PAGE, code=phone.next())
        assert is_signed_in(visitor)


class TestRecoveryCodes:
    def test_each_works_once(self, app: Flask, phone: Phone, half: Browser) -> None:
        code = phone.recovery_codes[3]
        assert half.post(CODE_PAGE, code=code.upper()).status_code == 303
        assert "9 of 10 recovery codes" in half.get(PAGE).text
        assert entries(app, "sign-in")[-1].given == "password recovery-code"
        again = Browser(app, app.test_client())
        type_password(again)
        assert again.post(CODE_PAGE, code=code).status_code == 422
        assert not is_signed_in(again)

    def test_what_is_stored_of_one_opens_nothing(self, app: Flask, half: Browser) -> None:
        with app.app_context():
            stored = db.session.scalars(db.select(RecoveryCode.digest)).first()
        assert half.post(CODE_PAGE, code=stored).status_code == 422

    def test_new_ones_replace_the_old(self, phone: Phone, alice: Browser, half: Browser) -> None:
        alice.get(PAGE)
        page = alice.post(f"{PAGE}/recovery-codes", password=PEOPLES_PASSWORD, code=phone.next())
        assert not set(codes_of(page)) & set(phone.recovery_codes)
        assert half.post(CODE_PAGE, code=phone.recovery_codes[0]).status_code == 422
        assert half.post(CODE_PAGE, code=codes_of(page)[0]).status_code == 303


@pytest.mark.parametrize("path", ["end", "recovery-codes"])
def test_turning_it_off_takes_the_password_and_a_code(
    alice: Browser, phone: Phone, path: str
) -> None:
    alice.get(PAGE)
    for fields in (
        {"password": "a guess", "code": phone.next()},
        {"password": PEOPLES_PASSWORD, "code": phone.wrong()},
        {"password": PEOPLES_PASSWORD, "code": ""},
        {"password": "", "code": phone.now()},
    ):
        assert alice.post(f"{PAGE}/{path}", **fields).status_code == 422
    assert "10 of 10 recovery codes" in alice.get(PAGE).text


def test_it_is_turned_off(phone: Phone, alice: Browser, visitor: Browser) -> None:
    alice.get(PAGE)
    fields = {"password": PEOPLES_PASSWORD, "code": phone.next()}
    assert "is off" in alice.follow(alice.post(f"{PAGE}/end", **fields)).text
    assert visitor.sign_in(ALICE).request.path == "/"


@pytest.mark.usefixtures("phone")
class TestByAnAdmin:
    PATH = f"/admin/people/{ALICE}/two-factor"

    def test_it_works(self, app: Flask, root: Browser, alice: Browser, visitor: Browser) -> None:
        page = root.get(f"/admin/people/{ALICE}")
        assert self.PATH in page.text
        page = root.follow(root.post(self.PATH))
        assert self.PATH not in page.text
        assert not is_signed_in(alice)
        assert visitor.sign_in(ALICE).request.path == "/"
        entry = entries(app, "reset-two-factor")[-1]
        assert (entry.actor, entry.object) == ("person root@people.example", ALICE)

    def test_not_for_customers_and_not_for_oneself(
        self, bob: Browser, root: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bob.get("/account")
        assert bob.post(self.PATH).status_code == 403
        Phone(monkeypatch).set_up(root)
        root.get("/account")
        answer = root.post("/admin/people/root@people.example/two-factor")
        assert answer.status_code == 409


class TestGuessing:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """Four attempts an hour."""
        return replace(settings, rate_sign_ins=4)

    def guess(self, browser: Browser, address: str, code: str) -> int:
        answer = browser.client.post(
            CODE_PAGE,
            data={"csrf_token": browser.csrf_token, "code": code},
            environ_base={"REMOTE_ADDR": address},
        )
        return answer.status_code

    def test_an_account_has_so_many_from_wherever(self, phone: Phone, half: Browser) -> None:
        phone.step += 100
        codes = [self.guess(half, f"192.0.2.{n}", phone.wrong()) for n in range(6)]
        assert codes == [422] * 3 + [429] * 3  # the first was that of the confirmation
        assert self.guess(half, "198.51.100.7", phone.next()) == 429

    def test_its_owner_gets_in_all_the_same(self, phone: Phone, half: Browser) -> None:
        for number in range(6):
            self.guess(half, f"192.0.2.{number}", phone.wrong())
        assert self.guess(half, "198.51.100.7", phone.recovery_codes[0]) == 303

    def test_an_address_has_so_many(self, half: Browser) -> None:
        codes = [self.guess(half, "192.0.2.1", "aaaa-bbbb-cccc-dddd") for _ in range(8)]
        assert codes == [422] * 6 + [429] * 2

    def test_the_right_one_costs_nothing(self, phone: Phone, visitor: Browser) -> None:
        for _ in range(8):
            type_password(visitor)
            assert visitor.post(CODE_PAGE, code=phone.next()).status_code == 303
            visitor.get("/account")
            visitor.post("/sign-out")


@pytest.mark.usefixtures("people")
class TestDemanded:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """Admins have to."""
        return replace(settings, two_factor="admins")

    def test_who_has_none_can_do_nothing_else(self, app: Flask, root: Browser) -> None:
        open_to_them = {"auth.leave", "two_factor.index", "two_factor.begin", "two_factor.confirm"}
        open_to_them |= {"passkeys.begin", "passkeys.add"}
        root.get(PAGE)
        for endpoint, verb, path in rules(app):
            if endpoint not in FOR_EVERYONE | open_to_them:
                answer = root.get(path) if verb == "GET" else root.post(path)
                assert (answer.status_code, answer.location) == (303, PAGE), path
        part = root.part("/admin/nodes")
        assert (part.status_code, part.headers["HX-Redirect"]) == (403, PAGE)
        assert "company" not in root.get(PAGE).text

    def test_it_is_open_once_it_is_set_up(
        self, root: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        phone = Phone(monkeypatch)
        phone.set_up(root)
        assert root.get("/admin/nodes").status_code == 200

    def test_the_last_one_stays(
        self, app: Flask, root: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        phone = Phone(monkeypatch)
        phone.set_up(root)
        assert "so the last way to prove yourself stays" in root.get(PAGE).text
        answer = root.post(f"{PAGE}/end", password=PEOPLES_PASSWORD, code=phone.next())
        assert answer.status_code == 409
        assert "ask an admin to take it off" in answer.text
        assert "add a passkey first" not in answer.text, "none are offered at this address"
        assert root.get("/admin/nodes").status_code == 200
        with app.app_context():
            OPERATIONS["reset-two-factor"](command_line(), email="root@people.example")
        root.sign_in("root@people.example")
        assert root.get("/admin/nodes").location == PAGE

    def test_customers_and_programs_are_not_asked(self, alice: Browser, api: Api) -> None:
        assert alice.get("/tokens").status_code == 200
        assert api("list-nodes", "root").status_code == 200


class TestDemandedOfEveryone:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """Customers have to as well."""
        return replace(settings, two_factor="everyone")

    def test_it_works(self, alice: Browser, root: Browser) -> None:
        for browser in (alice, root):
            assert browser.get("/tokens").location == PAGE


def test_the_pages_ask_the_database_little(phone: Phone, alice: Browser, half: Browser) -> None:
    alice.get(PAGE)
    assert len(alice.queries) <= MAX_QUERIES
    half.get(CODE_PAGE)
    assert len(half.queries) <= MAX_QUERIES


def test_a_disabled_person_gets_no_further(app: Flask, phone: Phone, half: Browser) -> None:
    with app.app_context():
        OPERATIONS["update-person"](command_line(), email=ALICE, is_disabled=True)
        assert db.session.scalars(db.select(WebSession).join(Person)).all() == []
    assert half.post(CODE_PAGE, code=phone.next()).location.startswith("/sign-in?")
