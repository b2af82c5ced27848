"""A code counts once, also when several bring it at the same moment, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from flask import Flask

from app.extensions import db
from app.models import HalfSession, RecoveryCode, WebSession
from tests.conftest import Cast
from tests.web.conftest import PEOPLES_PASSWORD, Browser, is_signed_in
from tests.web.phone import Phone
from tests.web.test_hostile_addresses import database, people, settings

__all__ = ["database", "people", "settings"]
ALICE = "alice@people.example"
AT_ONCE, ROUNDS = 4, 3


def beginning(app: Flask) -> Browser:
    """A browser in which her password was typed."""
    browser = Browser(app, app.test_client())
    browser.get("/sign-in")
    browser.get(browser.post("/sign-in", email=ALICE, password=PEOPLES_PASSWORD).location)
    return browser


def bring(browsers: list[Browser], code: str) -> list[int]:
    """What each is answered who brings it; all set off together."""
    together = Barrier(len(browsers))

    def enter(browser: Browser) -> int:
        together.wait()
        return browser.post("/sign-in/code", code=code).status_code

    with ThreadPoolExecutor(len(browsers)) as pool:
        return list(pool.map(enter, browsers))


@pytest.mark.parametrize("kind", ["app", "recovery"])
def test_one_of_them_gets_in(
    app: Flask,
    people: Cast,
    alice: Browser,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    phone = Phone(monkeypatch)
    phone.set_up(alice)
    for number in range(ROUNDS):
        browsers = [beginning(app) for _ in range(AT_ONCE)]
        code = phone.next() if kind == "app" else phone.recovery_codes[number]
        assert sorted(bring(browsers, code)) == [303] + [422] * (AT_ONCE - 1)
        assert sum(map(is_signed_in, browsers)) == 1
    with app.app_context():
        sessions = db.session.scalar(db.select(db.func.count()).select_from(WebSession))
        halves = db.session.scalar(db.select(db.func.count()).select_from(HalfSession))
        codes = db.session.scalar(db.select(db.func.count()).select_from(RecoveryCode))
    assert (sessions, halves) == (1 + ROUNDS, ROUNDS * (AT_ONCE - 1))
    assert codes == (10 if kind == "app" else 10 - ROUNDS)
