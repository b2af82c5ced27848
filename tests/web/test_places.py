"""A sign-in from somewhere new is told, on the account page and by mail."""

from __future__ import annotations

import pytest
from flask import Flask

from app.config import Settings
from tests.web.conftest import PEOPLES_PASSWORD, Browser, notices

ALICE = "alice@people.example"
NEWS = "Signed in from somewhere new"


def sign_in(browser: Browser, address: str = "127.0.0.1") -> None:
    browser.get("/sign-in")
    data = {"csrf_token": browser.csrf_token, "email": ALICE, "password": PEOPLES_PASSWORD}
    answer = browser.client.post("/sign-in", data=data, environ_base={"REMOTE_ADDR": address})
    assert answer.status_code == 303


def test_it_works(app: Flask, alice: Browser, visitor: Browser, bob: Browser) -> None:
    assert NEWS not in alice.get("/account").text  # the first one is no news
    sign_in(visitor)
    assert NEWS in alice.get("/account").text
    assert NEWS not in bob.get("/account").text
    assert NEWS not in alice.follow(alice.post("/account/sign-ins/confirm")).text
    visitor.get("/account")
    visitor.post("/sign-out")
    sign_in(visitor)
    assert NEWS not in alice.get("/account").text


def test_a_browser_at_another_address_is_news(alice: Browser) -> None:
    sign_in(alice, "192.0.2.9")
    assert NEWS in alice.get("/account").text


def test_its_cookie_opens_nothing(app: Flask, alice: Browser) -> None:
    cookie = alice.client.get_cookie("browser")
    assert cookie is not None and cookie.http_only and cookie.same_site == "Lax"
    thief = Browser(app, app.test_client())
    thief.client.set_cookie("browser", cookie.value)
    assert thief.get("/account").status_code == 303


@pytest.mark.parametrize("value", ["", "x", "mcb_" + "x" * 38, "x" * 3000])
def test_a_cookie_that_was_made_up_is_replaced(
    app: Flask, alice: Browser, visitor: Browser, value: str
) -> None:
    visitor.client.set_cookie("browser", value)
    sign_in(visitor)
    kept = visitor.client.get_cookie("browser")
    assert kept is not None and kept.value != value
    assert NEWS in alice.get("/account").text


def test_it_is_told_by_mail_once(
    app: Flask, settings: Settings, alice: Browser, visitor: Browser
) -> None:
    visitor.client.environ_base["HTTP_USER_AGENT"] = "call 0900-evil"
    sign_in(visitor, "192.0.2.7")
    (notice,) = notices(app)
    assert (notice.recipient, notice.subject) == (ALICE, "a new sign-in")
    assert "192.0.2.7" in notice.text and f"{settings.public_url}/account" in notice.text
    assert "evil" not in notice.text
