"""The page of one's own account."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from typing import Any

import pytest
from flask import Flask

from app import create_app
from app.config import Settings
from app.database import write_transaction
from app.extensions import db
from app.models import WebSession
from app.web.browsers import in_words
from tests.web.conftest import MAX_QUERIES, PEOPLES_PASSWORD, Browser

NEW = "four words in row"


@pytest.fixture
def elsewhere(app: Flask, alice: Browser) -> Browser:
    """Alice's other browser, in which she signed in later."""
    browser = Browser(app, app.test_client())
    browser.sign_in("alice@people.example")
    return browser


def is_signed_in(browser: Browser) -> bool:
    return browser.get("/account").status_code == 200


def ends(page: str) -> list[str]:
    """The sessions that have a button to end them."""
    return re.findall(r"/account/sessions/(\d+)/end", page)


def test_it_works(alice: Browser) -> None:
    page = alice.get("/account").text
    assert "alice@people.example" in page
    assert "Alice&#39;s company" in page
    assert "This browser" in page


def test_the_password_changes_and_all_other_sessions_end(
    app: Flask, alice: Browser, elsewhere: Browser, bob: Browser
) -> None:
    alice.get("/account")
    answer = alice.post("/account/password", present=PEOPLES_PASSWORD, password=NEW)
    assert "Your password is changed" in alice.follow(answer).text
    assert not is_signed_in(elsewhere)
    assert is_signed_in(bob)
    assert elsewhere.sign_in("alice@people.example", NEW).status_code == 200


@pytest.mark.parametrize(
    ("present", "password", "field"),
    [
        ("wrong", NEW, "present"),
        ("", NEW, "present"),
        (PEOPLES_PASSWORD, "short", "password"),
        (PEOPLES_PASSWORD, "alice@people.example", "password"),
    ],
)
def test_it_rejects_a_password_with_the_form(
    alice: Browser, elsewhere: Browser, present: str, password: str, field: str
) -> None:
    alice.get("/account")
    page = alice.post("/account/password", present=present, password=password)
    assert page.status_code == 422
    assert f'<a href="#{field}">' in page.text
    assert "data-focus" in page.text
    assert not present or present == PEOPLES_PASSWORD or f'"{present}"' not in page.text
    assert is_signed_in(elsewhere)


class TestGuessing:
    """Who finds a browser open may not guess the password faster than anybody else."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """Four attempts an hour."""
        return replace(settings, rate_sign_ins=4)

    def test_the_present_password_is_guessed_as_slowly_as_at_the_door(self, alice: Browser) -> None:
        alice.get("/account")
        codes = []
        for _ in range(6):
            answer = alice.post("/account/password", present="a guess", password=NEW)
            codes.append(answer.status_code)
        assert codes == [422] * 5 + [429]  # the fifth is the one that this address has of its own
        assert int(answer.headers["Retry-After"]) > 0
        right = alice.post("/account/password", present=PEOPLES_PASSWORD, password=NEW)
        assert right.status_code == 429

    def test_the_right_one_costs_nothing(self, alice: Browser) -> None:
        for _ in range(8):
            alice.get("/account")
            fields = {"present": PEOPLES_PASSWORD, "password": PEOPLES_PASSWORD}
            assert alice.post("/account/password", **fields).status_code == 303


@pytest.mark.parametrize("path", ["/account/password", "/account/sessions/end-others", "/sign-out"])
def test_a_session_that_ends_while_a_form_is_sent_is_no_fault(
    app: Flask, alice: Browser, path: str
) -> None:
    alice.get("/account")
    endpoint, _ = app.url_map.bind("localhost").match(path, method="POST")
    with ended_meanwhile(app, endpoint):
        answer = alice.post(path, present=PEOPLES_PASSWORD, password=NEW)
    assert answer.status_code in (303, 404)
    assert not is_signed_in(alice)
    assert alice.sign_in("alice@people.example").status_code == 200  # the password is the same


@contextmanager
def ended_meanwhile(app: Flask, endpoint: str) -> Iterator[None]:
    """All sessions end, from elsewhere, between the check of a request's session and its view."""
    view = app.view_functions[endpoint]

    @wraps(view)
    def late(**values: Any) -> Any:
        with app.app_context(), write_transaction() as session:
            session.execute(db.delete(WebSession))
        return view(**values)

    app.view_functions[endpoint] = late
    yield
    app.view_functions[endpoint] = view


def test_one_session_is_ended(alice: Browser, elsewhere: Browser) -> None:
    (number,) = ends(alice.get("/account").text)
    page = alice.follow(alice.post(f"/account/sessions/{number}/end"))
    assert "The session is ended." in page.text
    assert not is_signed_in(elsewhere)


def test_all_other_sessions_are_ended(app: Flask, alice: Browser, elsewhere: Browser) -> None:
    assert "End all others" in alice.get("/account").text
    alice.follow(alice.post("/account/sessions/end-others"))
    assert not is_signed_in(elsewhere)
    assert "End all others" not in alice.get("/account").text


def test_it_hides_from_strangers(alice: Browser, elsewhere: Browser, bob: Browser) -> None:
    (number,) = ends(alice.get("/account").text)
    assert ends(bob.get("/account").text) == []
    assert bob.post(f"/account/sessions/{number}/end").status_code == 404
    bob.get("/account")
    bob.post("/account/sessions/end-others")
    assert is_signed_in(elsewhere)


def test_a_session_id_beyond_all_ids_is_refused(alice: Browser) -> None:
    alice.get("/account")
    assert alice.post(f"/account/sessions/{10**30}/end").status_code in (404, 422)


def test_who_belongs_to_no_project_has_an_account(nobody: Browser) -> None:
    assert is_signed_in(nobody)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_theme_is_kept_in_a_cookie(alice: Browser, theme: str) -> None:
    assert "data-theme" not in alice.get("/account").text
    answer = alice.post("/account/theme", theme=theme)
    assert "SameSite=Lax" in answer.headers["Set-Cookie"]
    assert "Max-Age=31536000" in answer.headers["Set-Cookie"]
    assert f'data-theme="{theme}"' in alice.follow(answer).text
    page = alice.follow(alice.post("/account/theme", theme=""))
    assert "data-theme" not in page.text


def test_a_theme_that_does_not_exist_is_refused(alice: Browser) -> None:
    alice.get("/account")
    assert alice.post("/account/theme", theme='"><svg>').status_code == 400


def test_its_cookie_is_secure_where_the_session_is(settings: Settings) -> None:
    for url, is_secure in (("http://127.0.0.1", False), ("https://127.0.0.1", True)):
        app = create_app(replace(settings, public_url=url))
        assert app.config["SESSION_COOKIE_SECURE"] is is_secure
        app.extensions["node_desk"].close()


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Firefox/153.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/156.0 Safari/537.36 Edg/156.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; like Mac OS X) Version/19.0 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 16) Chrome/156.0 Safari/537.36", "Chrome on Android"),
        ("curl/8.14.1", "curl"),
        ("", "A browser"),
        ('"><svg onload=1>', "A browser"),
    ],
)
def test_a_browser_is_named_in_words(user_agent: str, words: str) -> None:
    assert in_words(user_agent) == words


def test_it_asks_the_database_little(alice: Browser, elsewhere: Browser) -> None:
    alice.get("/account")
    assert len(alice.queries) <= MAX_QUERIES
