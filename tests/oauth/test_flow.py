"""From nothing to a tool's answer, and what is kept of it."""

from __future__ import annotations

import logging
import re

import pytest
from flask import Flask

from tests.api.answers import state
from tests.conftest import PASSWORD
from tests.mcp.client import done
from tests.oauth.program import CALLBACK, ISSUER, Program
from tests.web.conftest import PEOPLES_PASSWORD, Browser

NEW = {"email": "info@example.nl", "password": PASSWORD}


def test_it_works(alice: Browser, program: Program) -> None:
    back = program.ask(alice)
    assert back.keys() == {"code", "state", "iss"}
    assert (back["state"], back["iss"]) == ("st&te=1", ISSUER)
    answer = program.exchange(back["code"])
    assert answer.headers["Cache-Control"] == "no-store"
    granted = answer.get_json()
    assert granted.keys() == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert (granted["token_type"], granted["expires_in"]) == ("Bearer", 3600)
    assert granted["scope"] == "read write"
    assert done(program.result("add-user", **NEW))["user"]["email"] == NEW["email"]
    first = program.access
    assert program.refresh().status_code == 200
    assert program.access != first
    assert done(program.result("list-users"))["total"] == 1


def test_who_is_not_signed_in_signs_in_first(visitor: Browser, program: Program) -> None:
    address = program.address(state="a b+c%26/é?=&")
    answer = visitor.get(address)
    came_by = [answer]
    assert answer.location.startswith("/sign-in?next=/oauth/authorize")
    page = visitor.follow(answer)
    came_by.append(page)
    target = re.search(r'name="next" value="([^"]+)"', page.text)
    assert target
    where = target[1].replace("&amp;", "&")
    answer = visitor.post(
        "/sign-in", email="alice@people.example", password=PEOPLES_PASSWORD, next=where
    )
    page = visitor.follow(answer)
    assert page.status_code == 200, page.text
    came_by += [answer, page]
    back = visitor.post(answer.location, reach="1", may="read", answer="refuse")
    assert back.location.startswith(CALLBACK)
    assert "state=a+b%2Bc%2526%2F%C3%A9%3F%3D%26" in back.location
    # The window stays the assistant's all the way; elsewhere it is the panel's alone.
    for one in (*came_by, back):
        assert one.headers["Cross-Origin-Opener-Policy"] == "unsafe-none", one.request.path
    assert visitor.get("/").headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_nothing_of_it_can_be_read_from_the_panel(
    app: Flask, alice: Browser, program: Program, caplog: pytest.LogCaptureFixture
) -> None:
    """Not from its database, and not from the log of who asks for all there is to know."""
    caplog.set_level(logging.DEBUG)
    code = program.ask(alice)["code"]
    program.exchange(code)
    secrets = {code, program.access, program.refresh_token}
    program.refresh()
    program.result("list-users")
    secrets |= {program.access, program.refresh_token}
    program.exchange(code)
    assert len(secrets) == 5
    kept = str(state(app)) + caplog.text
    for secret in secrets:
        assert secret not in kept
        assert secret.split("_")[1] not in kept


def test_the_audit_log_names_both(app: Flask, alice: Browser, program: Program) -> None:
    program.connect(alice)
    done(program.result("add-user", **NEW))
    entries = [str(entry) for entry in state(app)["audit_entries"]]
    (connected,) = [entry for entry in entries if "connect-assistant" in entry]
    assert "'person alice@people.example'" in connected
    assert program.client_id in connected
    (added,) = [entry for entry in entries if "add-user" in entry]
    assert "'person alice@people.example through Helper'" in added
