"""Passkeys: whose device it is gets in, and nobody who copied, replayed or made something up."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from app import clock
from app.caller import command_line
from app.config import Settings
from app.extensions import db
from app.models import Passkey, PasskeyChallenge, RecoveryCode, TwoFactor, WebSession
from app.operations import OPERATIONS
from app.passkeys import MOST
from tests.api.answers import unchanged
from tests.web.conftest import (
    MAX_QUERIES,
    PEOPLES_PASSWORD,
    Browser,
    entries,
    is_signed_in,
    notices,
)
from tests.web.device import MINE, ORIGIN, PRESENT, VERIFIED, Device, asked, options_of
from tests.web.phone import PAGE, Phone, codes_of

ALICE = "alice@people.example"
PROOF = "/account/passkeys/options"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A panel that browsers make passkeys for."""
    return replace(settings, public_url=ORIGIN)


@pytest.fixture
def device(alice: Browser) -> Device:
    """Alice's, with a passkey."""
    device = Device()
    assert device.add_to(alice).status_code == 200
    return device


def count(app: Flask, model: Any) -> int:
    with app.app_context():
        return db.session.scalar(db.select(db.func.count()).select_from(model)) or 0


class TestAdding:
    def test_it_works(self, app: Flask, alice: Browser) -> None:
        other = Browser(app, app.test_client())
        other.sign_in(ALICE)
        page = Device().add_to(alice)
        assert len(codes_of(page)) == 10  # what stands in for a lost device
        assert page.headers["Cache-Control"] == "no-store"
        shown = alice.get(PAGE).text
        assert "Telephone" in shown
        assert "by passkey" in shown
        assert len(alice.queries) <= MAX_QUERIES
        assert is_signed_in(alice)
        assert not is_signed_in(other), "with the first, other sessions end"
        entry = entries(app, "add-passkey")[-1]
        assert (entry.actor, entry.object) == (f"person {ALICE}", "Telephone")

    @pytest.mark.usefixtures("device")
    def test_a_second_one_makes_no_new_codes(self, alice: Browser) -> None:
        answer = Device().add_to(alice, "Key ring")
        assert "The passkey is added." in alice.follow(answer).text

    def test_it_takes_a_proof_first(self, app: Flask, alice: Browser) -> None:
        with app.app_context():
            db.session.execute(db.update(WebSession).values(proven_at=None))
            db.session.commit()
        alice.get(PAGE)
        answer = alice.post(f"{MINE}/begin")
        assert (answer.status_code, "Is it you?" in answer.text) == (403, True)
        assert count(app, PasskeyChallenge) == 0

    def test_it_is_not_asked_again_without_a_proof(self, app: Flask, alice: Browser) -> None:
        with app.app_context():
            db.session.execute(db.update(WebSession).values(proven_at=None))
            db.session.commit()
        alice.get(PAGE)
        answer = alice.post(MINE, name="Mine", passkey="{}")
        assert (answer.status_code, "data-options" in answer.text) == (422, False)
        assert count(app, PasskeyChallenge) == 0

    def test_a_device_makes_no_second(self, alice: Browser, device: Device) -> None:
        options = options_of(alice.post(f"{MINE}/begin"))
        assert len(options["excludeCredentials"]) == 1
        answer = alice.post(MINE, name="Again", passkey=device.make(options))
        assert answer.status_code == 409

    def test_it_is_nobody_elses(self, app: Flask, bob: Browser, device: Device) -> None:
        assert device.add_to(bob).status_code == 409
        assert count(app, Passkey) == 1

    @pytest.mark.parametrize(
        "lie",
        [
            {"origin": "http://localhost:8001"},
            {"origin": "https://localhost.evil.example"},
            {"host": "evil.example"},
            {"flags": PRESENT},
            {"flags": VERIFIED},
            {"more": {"crossOrigin": True}},
            {"more": {"type": "webauthn.get"}},
            {"more": {"challenge": "AAAA"}},
        ],
    )
    def test_it_rejects_a_lie(self, app: Flask, alice: Browser, lie: dict[str, Any]) -> None:
        answer = Device(**lie).add_to(alice)
        assert answer.status_code == 422
        assert (count(app, Passkey), count(app, RecoveryCode)) == (0, 0)

    def test_it_rejects_an_answer_of_another_session(
        self, app: Flask, alice: Browser, bob: Browser
    ) -> None:
        alice.get(PAGE)
        options = options_of(alice.post(f"{MINE}/begin"))
        bob.get(PAGE)
        assert bob.post(MINE, name="Mine", passkey=Device().make(options)).status_code == 422
        late = clock.from_now(seconds=-301)
        with app.app_context():
            db.session.execute(db.update(PasskeyChallenge).values(created_at=late))
            db.session.commit()
        assert alice.post(MINE, name="Late", passkey=Device().make(options)).status_code == 422

    @pytest.mark.parametrize("name", ["", "x" * 101, "\x00"])
    def test_it_rejects_a_bad_name_and_asks_again(self, alice: Browser, name: str) -> None:
        device = Device()
        answer = device.add_to(alice, name)
        assert answer.status_code == 422
        again = alice.post(MINE, name="Better", passkey=device.make(options_of(answer)))
        assert len(codes_of(again)) == 10

    @pytest.mark.usefixtures("device")
    def test_there_is_an_end_to_them(self, app: Flask, alice: Browser) -> None:
        with app.app_context():
            first = db.session.scalars(db.select(Passkey)).one()
            kept = {"person_id": first.person_id, "credential": first.credential, "sign_count": 0}
            more = range(MOST - 1)
            db.session.add_all(Passkey(digest=f"{n}", name=f"{n}", **kept) for n in more)
            db.session.commit()
        answer = Device().add_to(alice)
        assert (answer.status_code, "remove one first" in answer.text) == (409, True)


class TestSigningIn:
    def test_it_works(self, app: Flask, device: Device, visitor: Browser) -> None:
        before = visitor.client.get_cookie("mailcote")
        answer = device.sign_in(visitor, next="/tokens")
        assert (answer.status_code, answer.location) == (303, "/tokens")
        after = visitor.client.get_cookie("mailcote")
        assert after and (before is None or before.value != after.value)
        assert visitor.get("/tokens").status_code == 200
        entry = entries(app, "sign-in")[-1]
        assert (entry.actor, entry.given) == (f"person {ALICE}", "passkey")

    def test_a_password_alone_is_not_enough_any_more(
        self, device: Device, visitor: Browser
    ) -> None:
        visitor.get("/sign-in")
        answer = visitor.post("/sign-in", email=ALICE, password=PEOPLES_PASSWORD)
        assert answer.location.startswith("/sign-in/code")
        page = visitor.get(answer.location)
        assert "Sign in with a passkey" in page.text
        assert visitor.post("/sign-in/code", code="123456").status_code == 422
        assert not is_signed_in(visitor)
        assert device.sign_in(visitor).status_code == 303
        assert is_signed_in(visitor)

    def test_a_recovery_code_stands_in_for_it(self, alice: Browser, visitor: Browser) -> None:
        codes = codes_of(Device().add_to(alice))
        visitor.get("/sign-in")
        visitor.get(visitor.post("/sign-in", email=ALICE, password=PEOPLES_PASSWORD).location)
        assert visitor.post("/sign-in/code", code=codes[0]).status_code == 303
        assert is_signed_in(visitor)

    @pytest.mark.usefixtures("device")
    def test_what_is_asked_for_tells_of_nobody(self, visitor: Browser) -> None:
        options = asked(visitor)
        assert options.pop("challenge") != asked(visitor)["challenge"]
        assert options["allowCredentials"] == []
        assert options["userVerification"] == "required"
        assert options["rpId"] == "localhost"

    @pytest.mark.parametrize(
        "lie",
        [
            {"origin": "http://localhost:8001"},
            {"host": "evil.example"},
            {"flags": PRESENT},
            {"flags": VERIFIED},
            {"more": {"crossOrigin": True}},
            {"more": {"type": "webauthn.create"}},
            {"more": {"challenge": "AAAA"}},
            {"handle": "cGVyc29uIDI"},  # person 2
            {"credential_id": b"x" * 32},
        ],
    )
    def test_it_rejects_a_lie(
        self, app: Flask, device: Device, visitor: Browser, lie: dict[str, Any]
    ) -> None:
        liar = replace(device, **lie)
        answer = liar.sign_in(visitor)
        assert (answer.status_code, "does not work here" in answer.text) == (422, True)
        assert not is_signed_in(visitor)
        assert entries(app, "sign-in refused")[-1].given == "passkey"

    def test_it_rejects_another_key_of_the_same_name(
        self, device: Device, visitor: Browser
    ) -> None:
        thief = Device(credential_id=device.credential_id, handle=device.handle, count=9)
        assert thief.sign_in(visitor).status_code == 422
        assert not is_signed_in(visitor)

    def test_an_answer_counts_once_and_in_its_own_browser(
        self, app: Flask, device: Device, visitor: Browser
    ) -> None:
        answer = device.sign(asked(visitor))
        other = Browser(app, app.test_client())
        asked(other)
        assert other.post("/sign-in/passkey", passkey=answer).status_code == 422
        assert visitor.post("/sign-in/passkey", passkey=answer).status_code == 303
        visitor.get("/account")
        visitor.post("/sign-out")
        visitor.get("/sign-in")
        assert visitor.post("/sign-in/passkey", passkey=answer).status_code == 422
        assert not is_signed_in(visitor)

    def test_it_comes_in_time(self, app: Flask, device: Device, visitor: Browser) -> None:
        answer = device.sign(asked(visitor))
        with app.app_context():
            late = clock.from_now(seconds=-301)
            db.session.execute(db.update(PasskeyChallenge).values(created_at=late))
            db.session.commit()
        assert visitor.post("/sign-in/passkey", passkey=answer).status_code == 422
        asked(visitor)
        assert count(app, PasskeyChallenge) == 1, "what is over goes"

    def test_a_copy_of_it_is_found_out(self, device: Device, visitor: Browser) -> None:
        stolen = replace(device)
        assert device.sign_in(visitor).status_code == 303
        visitor.get("/account")
        visitor.post("/sign-out")
        assert stolen.sign_in(visitor).status_code == 422
        assert device.sign_in(visitor).status_code == 303

    def test_its_owner_is_told_of_a_copy(
        self, app: Flask, alice: Browser, bob: Browser, device: Device, visitor: Browser
    ) -> None:
        stolen, told = replace(device), "Somebody has a copy of your passkey"
        assert device.sign_in(visitor).status_code == 303
        assert told not in alice.get("/account").text
        thief = Browser(app, app.test_client())
        thief.client.environ_base["REMOTE_ADDR"] = "192.0.2.66"
        assert stolen.sign_in(thief).status_code == 422
        entry = entries(app, "sign-in refused")[-1]
        assert (entry.actor, entry.given) == (f"person {ALICE}", "passkey-copy")
        page = alice.get("/account").text
        assert told in page and "Telephone" in page and "192.0.2.66" in page
        assert len(alice.queries) <= MAX_QUERIES
        assert told not in bob.get("/account").text
        notice = notices(app)[-1]
        assert (notice.recipient, notice.subject) == (ALICE, "a copy of your passkey")
        assert "192.0.2.66" in notice.text and "Telephone" in notice.text
        assert f"{ORIGIN}/account/two-factor" in notice.text
        assert told not in alice.follow(alice.post("/account/sign-ins/confirm")).text
        assert told not in alice.get("/account").text

    def test_a_copy_proves_nothing(self, app: Flask, alice: Browser, device: Device) -> None:
        stolen = replace(device)
        alice.get(PAGE)
        forget_proofs(app)
        good = alice.post(f"{MINE}/begin", proof="", passkey=device.sign(asked(alice, PROOF)))
        assert "Add a passkey" in good.text
        forget_proofs(app)
        alice.get(PAGE)
        bad = alice.post(f"{MINE}/begin", proof="", passkey=stolen.sign(asked(alice, PROOF)))
        assert (bad.status_code, "Is it you?" in bad.text) == (422, True)
        assert entries(app, "proof refused")[-1].given == "passkey-copy"
        assert "Somebody has a copy of your passkey" in alice.get("/account").text

    def test_a_passkey_from_somewhere_new_is_news(
        self, app: Flask, alice: Browser, device: Device, visitor: Browser
    ) -> None:
        visitor.client.environ_base["REMOTE_ADDR"] = "192.0.2.7"
        assert device.sign_in(visitor).status_code == 303
        assert "Signed in from somewhere new" in alice.get("/account").text
        (notice,) = notices(app)
        assert notice.recipient == ALICE
        assert "192.0.2.7" in notice.text

    def test_one_that_does_not_count_works(self, alice: Browser, visitor: Browser) -> None:
        device = Device(counts=False)
        device.add_to(alice)
        for _ in range(2):
            assert device.sign_in(visitor).status_code == 303
            visitor.get("/account")
            visitor.post("/sign-out")

    def test_not_for_who_is_disabled(self, app: Flask, device: Device, visitor: Browser) -> None:
        with app.app_context():
            OPERATIONS["update-person"](command_line(), email=ALICE, is_disabled=True)
        assert device.sign_in(visitor).status_code == 422
        assert not is_signed_in(visitor)

    @pytest.mark.parametrize(
        "answer",
        [
            *("", "null", "[]", "{}", "x", '{"id": 1}', '{"rawId": "\\ud800", "response": {}}'),
            '{"a":' * 30 + "1" + "}" * 30,
            json.dumps({"id": "AA", "rawId": "AA", "type": "public-key", "response": {}}),
            json.dumps(
                {
                    "rawId": "AA",
                    "type": "public-key",
                    "response": {
                        "clientDataJSON": "e30",
                        "authenticatorData": "AAAA",
                        "attestationObject": "gYGB" * 5000,
                        "signature": "AA",
                    },
                }
            ),
        ],
    )
    def test_nonsense_is_no_passkey(self, alice: Browser, visitor: Browser, answer: str) -> None:
        visitor.get("/sign-in")
        assert visitor.post("/sign-in/passkey", passkey=answer).status_code == 422
        alice.get(PAGE)
        assert alice.post(MINE, name="Nonsense", passkey=answer).status_code == 422

    def test_no_other_site_can_do_it(self, device: Device, visitor: Browser) -> None:
        answer = device.sign(asked(visitor))
        visitor.csrf_token = "forged"
        assert visitor.post("/sign-in/passkey", passkey=answer).status_code == 400
        assert visitor.post("/sign-in/passkey/options").status_code == 400

    def test_so_many_tries_an_hour(self, app: Flask, visitor: Browser) -> None:
        app.extensions["mailcote"] = replace(app.extensions["mailcote"], rate_sign_ins=4)
        visitor.get("/sign-in")
        tries = [visitor.post("/sign-in/passkey/options").status_code for _ in range(7)]
        assert tries == [200] * 6 + [429]
        before = len(entries(app, "sign-in refused"))
        assert visitor.post("/sign-in/passkey", passkey="{}").status_code == 429
        assert len(entries(app, "sign-in refused")) == before


class TestProof:
    def test_it_works(self, app: Flask, alice: Browser, device: Device) -> None:
        forget_proofs(app)
        page = alice.post(f"{MINE}/begin")
        assert "Use a passkey" in page.text
        answer = device.sign(asked(alice, PROOF))
        assert "Add a passkey" in alice.post(f"{MINE}/begin", proof="", passkey=answer).text

    def test_not_by_anothers(self, app: Flask, alice: Browser, bob: Browser) -> None:
        device, bobs = Device(), Device()
        device.add_to(alice)
        bobs.add_to(bob)
        forget_proofs(app)
        alice.get(PAGE)
        options = asked(alice, PROOF)
        assert len(options["allowCredentials"]) == 1
        refused = alice.post(f"{MINE}/begin", proof="", passkey=bobs.sign(options))
        assert (refused.status_code, "Is it you?" in refused.text) == (422, True)
        for_sign_in = device.sign(options_from_sign_in(app))
        assert alice.post(f"{MINE}/begin", proof="", passkey=for_sign_in).status_code == 422
        assert entries(app, "proof refused")


def forget_proofs(app: Flask) -> None:
    with app.app_context():
        db.session.execute(db.update(WebSession).values(proven_at=None))
        db.session.commit()


def options_from_sign_in(app: Flask) -> dict[str, Any]:
    return asked(Browser(app, app.test_client()))


class TestOnesOwn:
    def one(self, app: Flask) -> int:
        with app.app_context():
            found: int = db.session.scalars(db.select(Passkey.id)).one()
            return found

    @pytest.mark.usefixtures("device")
    def test_it_is_named_otherwise(self, app: Flask, alice: Browser) -> None:
        path = f"{MINE}/{self.one(app)}"
        assert "Telephone" in alice.get(path).text
        assert len(alice.queries) <= MAX_QUERIES
        assert alice.post(f"{path}/name", name="").status_code == 422
        assert "Mobile" in alice.follow(alice.post(f"{path}/name", name="Mobile")).text

    def test_it_is_removed(
        self, app: Flask, alice: Browser, device: Device, visitor: Browser
    ) -> None:
        path = f"{MINE}/{self.one(app)}"
        alice.get(path)
        assert "is removed" in alice.follow(alice.post(f"{path}/remove")).text
        assert device.sign_in(visitor).status_code == 422
        assert count(app, RecoveryCode) == 0  # they stood in for it
        assert visitor.sign_in(ALICE).request.path == "/"

    @pytest.mark.usefixtures("device")
    def test_codes_stay_with_an_app(
        self, app: Flask, alice: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        phone = Phone(monkeypatch)
        phone.set_up(alice)
        alice.post(f"{MINE}/{self.one(app)}/remove")
        assert count(app, RecoveryCode) == 10

    @pytest.mark.usefixtures("device")
    def test_turning_the_app_off_leaves_the_passkey(
        self, app: Flask, alice: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        phone = Phone(monkeypatch)
        phone.set_up(alice)
        alice.get(PAGE)
        off = alice.post(f"{PAGE}/end", password=PEOPLES_PASSWORD, code=phone.next())
        assert "The authenticator app is off." in alice.follow(off).text
        assert (count(app, Passkey), count(app, RecoveryCode)) == (1, 10)

    @pytest.mark.usefixtures("device")
    def test_it_is_a_strangers_to_nobody(self, app: Flask, bob: Browser) -> None:
        path = f"{MINE}/{self.one(app)}"
        assert bob.get(path).status_code == 404
        bob.get(PAGE)
        assert bob.post(f"{path}/name", name="Mine").status_code == 404
        assert bob.post(f"{path}/remove").status_code == 404
        assert count(app, Passkey) == 1

    @pytest.mark.usefixtures("device")
    def test_an_admin_takes_it_off(self, app: Flask, root: Browser, visitor: Browser) -> None:
        root.get(f"/admin/people/{ALICE}")
        assert root.post(f"/admin/people/{ALICE}/two-factor").status_code == 303
        assert count(app, Passkey) == 0
        assert visitor.sign_in(ALICE).request.path == "/"


@pytest.mark.usefixtures("people")
class TestDemanded:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """Admins have to have a second factor."""
        return replace(settings, two_factor="admins")

    def test_a_passkey_is_enough(self, app: Flask, visitor: Browser) -> None:
        visitor.get("/sign-in")
        visitor.post("/sign-in", email="root@people.example", password=PEOPLES_PASSWORD)
        assert visitor.get("/admin/nodes").location == PAGE
        device = Device()
        assert len(codes_of(device.add_to(visitor))) == 10
        assert visitor.get("/admin/nodes").status_code == 200
        again = Browser(app, app.test_client())
        assert device.sign_in(again).status_code == 303
        assert again.get("/admin/nodes").status_code == 200

    def test_the_last_one_stays(self, app: Flask, root: Browser) -> None:
        Device().add_to(root)
        with app.app_context():
            first = db.session.scalars(db.select(Passkey.id)).one()
        path = f"{MINE}/{first}"
        root.get(path)
        with unchanged(app):
            answer = root.post(f"{path}/remove")
        assert answer.status_code == 409
        assert "add the other one first" in answer.text
        assert "Telephone" in answer.text
        Device().add_to(root, "Key ring")
        root.get(path)
        assert "is removed" in root.follow(root.post(f"{path}/remove")).text
        assert root.get("/admin/nodes").status_code == 200

    def test_of_two_removed_at_once_one_stays(self, app: Flask, root: Browser) -> None:
        for name in ("Telephone", "Key ring"):
            Device().add_to(root, name)
        with app.app_context():
            ids = list(db.session.scalars(db.select(Passkey.id)))
        root.get(PAGE)
        other = copy(root)
        other.client = app.test_client()
        for name in ("mailcote", "browser"):
            cookie = root.client.get_cookie(name)
            assert cookie
            other.client.set_cookie(name, cookie.value)
        with ThreadPoolExecutor(2) as pool:
            paths = [f"{MINE}/{one}/remove" for one in ids]
            answers = [
                pool.submit(who.post, path) for who, path in zip((root, other), paths, strict=True)
            ]
        assert sorted(one.result().status_code for one in answers) == [303, 409]
        assert count(app, Passkey) == 1

    def test_who_need_not_have_one_may_remove_it(self, app: Flask, alice: Browser) -> None:
        Device().add_to(alice)
        with app.app_context():
            only = db.session.scalars(db.select(Passkey.id)).one()
        alice.get(PAGE)
        assert alice.post(f"{MINE}/{only}/remove").status_code == 303


class TestNameBeyondAscii:
    """Browsers ask for it in punycode, and that is what passkeys are for."""

    PANEL = "https://panel.xn--mnchen-3ya.example"

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, public_url=self.PANEL)

    def test_it_works(self, visitor: Browser) -> None:
        page = visitor.client.get("/sign-in", base_url=self.PANEL)
        assert page.status_code == 200
        shown = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        assert shown
        answer = visitor.client.post(
            "/sign-in/passkey/options",
            base_url=self.PANEL,
            data={"csrf_token": shown[1]},
            headers={"Referer": f"{self.PANEL}/sign-in"},
        )
        assert answer.get_json()["rpId"] == "panel.xn--mnchen-3ya.example"


class TestRestored:
    """What somebody proves themselves with is part of a backup, and comes back with it."""

    def test_it_works(
        self,
        app: Flask,
        alice: Browser,
        device: Device,
        visitor: Browser,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        phone = Phone(monkeypatch)
        phone.set_up(alice)
        used, code, *_rest = phone.recovery_codes
        enter(visitor, used)
        run = app.test_cli_runner().invoke
        file = f"{app.instance_path}/backup"
        assert run(args=["backup", file]).exit_code == 0
        done = run(args=["person", "reset-two-factor", ALICE])
        assert (done.exit_code, count(app, Passkey), count(app, RecoveryCode)) == (0, 0, 0)
        restored = run(args=["restore", file])
        assert restored.exit_code == 0, restored.output
        assert not is_signed_in(visitor)
        assert enter(visitor, used) == 422, "a code that was used stays used"
        assert enter(visitor, phone.now()) == 422, "so does that of the app"
        for one in (code, phone.next()):
            assert enter(visitor, one) == 303
            assert is_signed_in(visitor)
            visitor.post("/sign-out")
        assert device.sign_in(visitor).status_code == 303
        with app.app_context():
            kept = db.session.scalars(db.select(Passkey)).one()
            assert (kept.name, kept.sign_count) == ("Telephone", device.count)


def enter(browser: Browser, code: str) -> int:
    """Sign in as alice by her password and a code."""
    browser.get("/sign-in")
    browser.get(browser.post("/sign-in", email=ALICE, password=PEOPLES_PASSWORD).location)
    return browser.post("/sign-in/code", code=code).status_code


class TestTakenOffByTheOperator:
    def test_it_works(
        self,
        app: Flask,
        alice: Browser,
        bob: Browser,
        device: Device,
        visitor: Browser,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        Phone(monkeypatch).set_up(alice)
        bobs = Device()
        bobs.add_to(bob)
        done = app.test_cli_runner().invoke(args=["person", "reset-two-factor", ALICE])
        assert (done.exit_code, ALICE in done.output) == (0, True)
        assert not is_signed_in(alice)
        assert is_signed_in(bob)
        assert device.sign_in(visitor).status_code == 422
        assert visitor.sign_in(ALICE).request.path == "/"
        assert (count(app, Passkey), count(app, TwoFactor)) == (1, 0)
        entry = entries(app, "reset-two-factor")[-1]
        assert (entry.actor, entry.object) == ("command line", ALICE)


class TestWithoutAName:
    """Browsers make passkeys for names, by HTTPS; this panel has neither."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, public_url="http://192.0.2.7:8000")

    def test_nothing_of_it_is_there(self, alice: Browser, visitor: Browser) -> None:
        assert "passkey" not in visitor.get("/sign-in").text
        assert "Passkeys are not offered here" in alice.get(PAGE).text
        assert visitor.post("/sign-in/passkey/options").status_code == 404
        for path in (PROOF, MINE, f"{MINE}/begin", f"{MINE}/1/remove"):
            assert alice.post(path).status_code == 404, path
        alice.get(PAGE)
        assert alice.post(MINE, name="None", passkey="{}").status_code == 404
        visitor.get("/sign-in")
        assert visitor.post("/sign-in/passkey", passkey="{}").status_code == 422
