"""What shows a secret or destroys asks again who somebody is, and then goes on with it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import Flask

from app.config import Settings
from app.extensions import db
from app.models import Mailbox, Token
from app.web import BLUEPRINTS
from tests.conftest import PASSWORD
from tests.web.conftest import PEOPLES_PASSWORD, Browser, age
from tests.web.phone import Phone

TOKEN = {"name": "n8n <b>&", "scope": "read", "days": "30"}
# What has to ask; a new view that destroys or shows a secret belongs here.
ASKING = {
    "admin_domains.remove", "admin_keys.collect", "admin_losses.lose", "admin_losses.send_links",
    "admin_nodes.add", "admin_nodes.remove", "admin_nodes.rotate", "admin_people.add",
    "admin_people.disable", "admin_people.edit", "admin_people.enable", "admin_people.invite",
    "admin_people.reset_two_factor", "approvals.approve", "domains.unlink", "mailboxes.delete",
    "passkeys.begin", "passkeys.remove", "tokens.add", "two_factor.begin",
}  # fmt: skip


def tokens(app: Flask) -> list[tuple[str, str]]:
    with app.app_context():
        query = db.select(Token.name, Token.scope).where(Token.name == TOKEN["name"])
        return [(row.name, row.scope) for row in db.session.execute(query)]


def test_it_works(app: Flask, alice: Browser) -> None:
    age(app)
    alice.get("/tokens/new")
    asked = alice.post("/tokens/new", **TOKEN)
    assert (asked.status_code, asked.headers["Cache-Control"]) == (403, "no-store")
    assert "Is it you?" in asked.text
    assert 'name="name" value="n8n &lt;b&gt;&amp;"' in asked.text
    assert tokens(app) == []
    done = alice.post("/tokens/new", **TOKEN, proof=PEOPLES_PASSWORD)
    assert "is ready" in done.text
    assert tokens(app) == [(TOKEN["name"], "read")]
    alice.get("/tokens/new")
    assert "is ready" in alice.post("/tokens/new", **TOKEN).text  # once is enough


def test_it_does_not_ask_who_has_just_signed_in(app: Flask, alice: Browser) -> None:
    age(app, 14 * 60)
    alice.get("/tokens/new")
    assert "is ready" in alice.post("/tokens/new", **TOKEN).text


def test_a_clock_that_was_set_back_proves_nothing(app: Flask, alice: Browser) -> None:
    age(app, -86400)
    alice.get("/tokens/new")
    assert "Is it you?" in alice.post("/tokens/new", **TOKEN).text


@pytest.mark.parametrize("proof", ["", "a guess", "123456", "x" * 5000])
def test_it_rejects_a_wrong_proof(app: Flask, alice: Browser, proof: str) -> None:
    age(app)
    alice.get("/tokens/new")
    answer = alice.post("/tokens/new", **TOKEN, proof=proof)
    assert answer.status_code == 422
    assert "neither your password nor the present code" in answer.text
    assert not proof or proof not in answer.text
    assert tokens(app) == []


def test_a_code_is_a_proof_and_only_once(
    app: Flask, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = Phone(monkeypatch)
    phone.set_up(alice)
    age(app)
    alice.get("/tokens/new")
    assert alice.post("/tokens/new", **TOKEN, proof=phone.now()).status_code == 422
    assert "is ready" in alice.post("/tokens/new", **TOKEN, proof=phone.next()).text


@pytest.mark.parametrize("password", ["пароль-482913!", "48-29-13", "日482913"])
def test_a_password_with_six_digits_is_no_code(app: Flask, alice: Browser, password: str) -> None:
    alice.get("/account")
    alice.post("/account/password", present=PEOPLES_PASSWORD, password=password)
    age(app)
    alice.get("/tokens/new")
    assert "is ready" in alice.post("/tokens/new", **TOKEN, proof=password).text


def test_no_other_site_can_answer(app: Flask, alice: Browser) -> None:
    age(app)
    alice.get("/tokens/new")
    answer = alice.post("/tokens/new", **TOKEN, proof=PEOPLES_PASSWORD, csrf_token="forged")
    assert answer.status_code == 400
    assert tokens(app) == []


def test_the_proof_of_another_session_is_none_of_this(app: Flask, alice: Browser) -> None:
    age(app)
    other = Browser(app, app.test_client())
    other.sign_in("alice@people.example")
    alice.get("/tokens/new")
    assert alice.post("/tokens/new", **TOKEN).status_code == 403


def test_a_question_in_a_dialog_is_asked_there(app: Flask, alice: Browser) -> None:
    alice.get("/mailboxes/new")
    alice.post(
        "/mailboxes/new", local_part="x", domain="example.nl", password=PASSWORD, quota_mb="1"
    )
    age(app)
    path = "/mailboxes/x@example.nl/delete"
    token = {"csrf_token": alice.csrf_token, "typed": "x@example.nl", "project": "1"}
    headers = {"HX-Request": "true", "HX-Request-Type": "partial"}
    part = alice.client.post(path, data=token, headers=headers).text
    assert part.lstrip().startswith("<form")
    assert f'hx-post="{path}"' in part
    assert 'name="typed" value="x@example.nl"' in part
    token["proof"] = PEOPLES_PASSWORD
    answer = alice.client.post(path, data=token, headers=headers)
    assert answer.headers["HX-Redirect"].startswith("/mailboxes")
    with app.app_context():
        assert db.session.scalars(db.select(Mailbox)).all() == []


def test_every_view_that_has_to_asks(app: Flask) -> None:
    names = {blueprint.name for blueprint in BLUEPRINTS}
    asking = {
        endpoint
        for endpoint, view in app.view_functions.items()
        if endpoint.partition(".")[0] in names and vars(view).get("asks_for_proof")
    }
    assert asking == ASKING
    for rule in app.url_map.iter_rules():
        if rule.endpoint in asking:
            assert "GET" not in (rule.methods or ()), rule.endpoint


class TestGuessing:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """Four attempts an hour."""
        return replace(settings, rate_sign_ins=4)

    def test_it_is_as_slow_as_at_the_door(self, app: Flask, alice: Browser) -> None:
        age(app)
        alice.get("/tokens/new")
        codes = [alice.post("/tokens/new", proof="a guess").status_code for _ in range(7)]
        assert codes == [422] * 5 + [429] * 2
        assert alice.post("/tokens/new", proof=PEOPLES_PASSWORD).status_code == 429
