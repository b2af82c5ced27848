"""Asking a person: what they are shown, what they can decide, and what nobody is asked about."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask

from app.credentials import CLIENT, make
from tests.api.answers import state, unchanged
from tests.mcp.client import done, refused
from tests.oauth.program import CALLBACK, ISSUER, Program, came_back, offered
from tests.web.conftest import MARKUP, PEOPLES_PASSWORD, Browser, age, entries

LEADS_BACK = "form-action 'self' http://127.0.0.1:33418;"
ALLOW = {"reach": "1", "may": "write", "answer": "allow"}


def test_it_works(alice: Browser, program: Program) -> None:
    page = alice.get(program.address())
    assert page.status_code == 200
    for word in ("Helper", "a program on this computer", "alice@people.example", "any program can"):
        assert word in page.text
    assert "Alice&#39;s company" in page.text
    assert "Charlie" not in page.text
    back = alice.post(program.address(), reach="1", may="write", answer="allow")
    assert back.status_code == 303
    assert back.location.startswith(f"{CALLBACK}?code=")
    assert back.headers["Cache-Control"] == "no-store"


def test_refusing_tells_the_program(app: Flask, alice: Browser, program: Program) -> None:
    with unchanged(app):
        back = program.ask(alice, "refuse")
        again = program.ask(alice, "something else")
    assert back == again == {"error": "access_denied", "state": "st&te=1", "iss": ISSUER}


def test_no_page_of_others_can_press_the_button(
    app: Flask, alice: Browser, program: Program
) -> None:
    page = alice.get(program.address())
    policy = page.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert LEADS_BACK in policy
    assert "unsafe" not in policy
    with unchanged(app):
        for token in ("", "x", alice.csrf_token[:-2]):
            form = {"csrf_token": token, "reach": "1", "may": "write", "answer": "allow"}
            assert alice.client.post(program.address(), data=form).status_code == 400
        assert alice.get(f"{program.address()}&answer=allow&reach=1").status_code == 200


def test_a_name_is_text_and_nothing_else(alice: Browser, program: Program) -> None:
    program.register(client_name=f"{MARKUP}\u202e\x00\n  Claude\u200b" + "x" * 500)
    page = alice.get(program.address())
    assert page.status_code == 200
    assert "<svg onload" not in page.text
    assert "\u202e" not in page.text
    assert "onload=1&gt; Claude" in page.text
    assert "x" * 80 not in page.text
    program.connect(alice)
    program.result("list-users")
    for path in ("/account", "/connect"):
        page = alice.get(path)
        assert "<svg onload" not in page.text
        assert "onload=1&gt; Claude" in page.text, path


class TestProof:
    """Who lets a program in gives away what a token would: they are asked who they are."""

    def test_it_works(self, app: Flask, alice: Browser, program: Program) -> None:
        assert 'name="proof"' not in alice.get(program.address()).text
        age(app)
        page = alice.get(program.address())
        assert 'name="proof" type="password"' in page.text
        assert LEADS_BACK in page.headers["Content-Security-Policy"]
        back = alice.post(program.address(), **ALLOW, proof=PEOPLES_PASSWORD)
        assert came_back(back)["code"]
        assert 'name="proof"' not in alice.get(program.address()).text
        assert came_back(alice.post(program.address(), **ALLOW))["code"]  # once is enough

    def test_it_asks_who_came_to_the_page_before(
        self, app: Flask, alice: Browser, program: Program
    ) -> None:
        alice.get(program.address())
        age(app)
        with unchanged(app):
            page = alice.post(program.address(), **{**ALLOW, "may": "read"})
        assert page.status_code == 403
        assert 'name="proof"' in page.text
        assert '<option value="read" selected>' in page.text
        assert LEADS_BACK in page.headers["Content-Security-Policy"]

    @pytest.mark.parametrize("proof", ["", "a guess", "123456", "x" * 5000])
    def test_it_rejects_a_wrong_proof(
        self, app: Flask, alice: Browser, program: Program, proof: str
    ) -> None:
        age(app)
        alice.get(program.address())
        page = alice.post(program.address(), **ALLOW, proof=proof)
        assert page.status_code == 422
        assert "neither your password nor the present code" in page.text
        assert not proof or proof not in page.text
        assert entries(app, "connect-assistant") == []

    def test_refusing_needs_none(self, app: Flask, alice: Browser, program: Program) -> None:
        age(app)
        assert program.ask(alice, "refuse")["error"] == "access_denied"


class TestReach:
    """A person lets it into one project, and decides how far."""

    def test_it_may_less_than_it_asked_for(self, alice: Browser, program: Program) -> None:
        program.connect(alice, may="read")
        assert program.granted["scope"] == "read"
        assert program.call("enable-email", domain="parked.nl").status_code == 403

    def test_it_never_may_more_than_it_asked_for(self, alice: Browser, program: Program) -> None:
        assert 'name="may"' not in alice.get(program.address(scope="read")).text
        program.connect(alice, scope="read", may="write")
        assert program.granted["scope"] == "read"

    def test_all_is_asked_for_in_several_ways(self, alice: Browser, program: Program) -> None:
        for scope in (None, "", "write", "write read", "read  write"):
            program.connect(alice, scope=scope)
            assert program.granted["scope"] == "read write", scope

    def test_it_rejects_what_is_not_theirs(
        self, app: Flask, alice: Browser, program: Program
    ) -> None:
        alice.get(program.address())
        with unchanged(app):
            for reach in ("2", "99", "0", "-1", "x", "", "all", "1 ", "9" * 12):
                page = alice.post(program.address(), reach=reach, may="write", answer="allow")
                assert page.status_code in (403, 404, 422), reach

    def test_it_rejects_another_right(self, app: Flask, alice: Browser, program: Program) -> None:
        alice.get(program.address())
        with unchanged(app):
            for may in ("", "admin", "read write"):
                page = alice.post(program.address(), reach="1", may=may, answer="allow")
                assert page.status_code == 422, may

    def test_an_admin_chooses_any_project(self, root: Browser, program: Program) -> None:
        page = root.get(program.address())
        assert "Charlie&#39;s company" in page.text
        program.connect(root, reach="2")
        assert done(program.result("list-domains"))["domains"][0]["domain"] == "charlie.nl"
        refused(program.result("list-nodes"), "FORBIDDEN")
        refused(program.result("list-domains", project_id=1), "PROJECT_NOT_FOUND", "project_id")
        done(program.result("enable-email", domain="charlie.nl"))

    def test_an_admin_can_let_it_in_everywhere(self, root: Browser, program: Program) -> None:
        program.connect(root, reach="all")
        assert done(program.result("list-nodes"))["total"] == 1
        done(program.result("enable-email", domain="parked.nl", project_id=1))

    def test_who_has_no_project_can_only_refuse(
        self, app: Flask, nobody: Browser, program: Program
    ) -> None:
        page = nobody.get(program.address())
        assert "You have no project yet" in page.text
        with unchanged(app):
            page = nobody.post(program.address(), reach="1", may="read", answer="allow")
            assert page.status_code == 404
            assert came_back(nobody.post(program.address(), answer="refuse"))["error"]


# What makes nobody ask: the change of the request, and the error that its program is told.
WRONG: dict[str, tuple[dict[str, str | None], str]] = {
    "no PKCE": ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    "no challenge": ({"code_challenge": None}, "invalid_request"),
    "an empty challenge": ({"code_challenge": ""}, "invalid_request"),
    "a short challenge": ({"code_challenge": "x" * 42}, "invalid_request"),
    "a long challenge": ({"code_challenge": "x" * 44}, "invalid_request"),
    "an odd challenge": ({"code_challenge": "é" * 43}, "invalid_request"),
    "no method": ({"code_challenge_method": None}, "invalid_request"),
    "plain": ({"code_challenge_method": "plain"}, "invalid_request"),
    "another method": ({"code_challenge_method": "s256"}, "invalid_request"),
    "another scope": ({"scope": "read admin"}, "invalid_scope"),
    "an unknown scope": ({"scope": "mcp:é"}, "invalid_scope"),
    "another resource": ({"resource": "https://evil.example/mcp"}, "invalid_target"),
    "the tools for tokens": ({"resource": "http://127.0.0.1:8000/mcp-token"}, "invalid_target"),
    "the root": ({"resource": "http://127.0.0.1:8000"}, "invalid_target"),
    "no resource at all": ({"resource": ""}, "invalid_target"),
    "a token at once": ({"response_type": "token"}, "unsupported_response_type"),
    "more than a code": ({"response_type": "code id_token"}, "unsupported_response_type"),
    "an odd type": ({"response_type": 'é"\\'}, "unsupported_response_type"),
    "no type": ({"response_type": None}, "unsupported_response_type"),
}


def test_a_wrong_request_can_be_taken_back(app: Flask, alice: Browser, program: Program) -> None:
    alice.get("/account")
    with unchanged(app):
        for wrong, (changes, error) in WRONG.items():
            address = program.address(**changes)
            for answer in (
                alice.get(address),
                alice.post(address, reach="1", may="write", answer="allow"),
            ):
                back = offered(answer)
                assert "code" not in back, wrong
                assert (back["error"], back["state"], back["iss"]) == (error, "st&te=1", ISSUER)


def test_a_parameter_that_is_there_twice_can_be_taken_back(
    app: Flask, alice: Browser, program: Program
) -> None:
    with unchanged(app):
        for name in ("scope", "resource", "response_type", "code_challenge", "odd"):
            twice = f"{program.address(**{name: 'x'})}&{name}=read"
            assert offered(alice.get(twice))["error"] == "invalid_request", name


# What would send a person to where nobody vouches for: they are told, and nobody else is.
ASTRAY: dict[str, dict[str, str | None]] = {
    "no client": {"client_id": None},
    "an unknown client": {"client_id": make(CLIENT)},
    "a made-up client": {"client_id": "x\0y"},
    "an odd client": {"client_id": "é" * 2000},
    "a document by http": {"client_id": "http://example.com/client.json"},
    "no address": {"redirect_uri": None},
    "an empty address": {"redirect_uri": ""},
    "another address": {"redirect_uri": "https://evil.example/callback"},
    "another path": {"redirect_uri": f"{CALLBACK}/x"},
    "no path": {"redirect_uri": "http://127.0.0.1:33418"},
    "a query": {"redirect_uri": f"{CALLBACK}?x=1"},
    "another host of this computer": {"redirect_uri": "http://localhost:33418/callback"},
    "another scheme": {"redirect_uri": "https://127.0.0.1:33418/callback"},
    "a user": {"redirect_uri": "http://127.0.0.1:33418@evil.example/callback"},
    "a fragment": {"redirect_uri": f"{CALLBACK}#x"},
    "an odd port": {"redirect_uri": "http://127.0.0.1:99999/callback"},
    "a script": {"redirect_uri": "javascript:alert(1)"},
    "what Authlib cannot name": {"redirect_uri": 'http://127.0.0.1/callback"é\\'},
}


def test_nobody_is_sent_astray(app: Flask, alice: Browser, program: Program) -> None:
    alice.get("/account")
    twice = [f"{program.address()}&{urlencode({name: program.request()[name]})}"
             for name in ("client_id", "redirect_uri")]  # fmt: skip
    with unchanged(app):
        for address in (*twice, *(program.address(**changes) for changes in ASTRAY.values())):
            for answer in (
                alice.get(address),
                alice.post(address, reach="1", may="write", answer="allow"),
            ):
                assert answer.status_code == 400, address
                assert "Location" not in answer.headers
                assert "cannot be connected" in answer.text
                assert "evil" not in answer.text


def test_a_program_on_this_computer_listens_on_any_port(alice: Browser, program: Program) -> None:
    for port in ("", ":1", ":65535"):
        address = f"http://127.0.0.1{port}/callback"
        code = program.ask(alice, redirect_uri=address)["code"]
        assert program.exchange(code, redirect_uri=address).status_code == 200


SAME = (
    ("https://claude.ai/cb", "https://claude.ai/cb", True),
    ("https://claude.ai/cb?a=b", "https://claude.ai/cb?a=b", True),
    ("https://claude.ai/cb", "https://claude.ai:8443/cb", False),
    ("https://claude.ai/cb", "https://claude.ai/cb/", False),
    ("https://claude.ai/cb", "https://CLAUDE.ai/cb", False),
    ("https://claude.ai/cb", "https://claude.ai/%63b", False),
    ("http://localhost/cb", "http://localhost:3000/cb", True),
    ("http://[::1]/cb", "http://[::1]:3000/cb", True),
    ("http://localhost:1/cb", "http://localhost.evil.example:1/cb", False),
    ("cursor://anysphere.cursor-mcp/cb", "cursor://anysphere.cursor-mcp/cb", True),
    ("com.example.app:/cb", "com.example.app:/cb", True),
)


def test_any_other_address_is_the_same_letter_by_letter(alice: Browser, program: Program) -> None:
    for registered, asked, is_same in SAME:
        assert program.register(redirect_uris=[registered]).status_code == 201
        page = alice.get(program.address(redirect_uri=asked))
        assert page.status_code == (200 if is_same else 400), asked
        if is_same:
            back = alice.post(program.address(redirect_uri=asked), answer="refuse")
            assert back.location.startswith(asked)
            assert came_back(back)["error"] == "access_denied"


def test_a_consent_is_its_persons_own(
    app: Flask, alice: Browser, charlie: Browser, program: Program
) -> None:
    program.connect(alice)
    (row,) = state(app)["assistants"]
    with unchanged(app):
        charlie.get("/account")
        for number, status in ((row[0], 404), (99, 404), (10**18, 422)):
            answer = charlie.post(f"/account/assistants/{number}/disconnect")
            assert answer.status_code == status
    assert program.is_connected


def test_the_account_page_lists_and_disconnects(alice: Browser, program: Program) -> None:
    assert "None yet" in alice.get("/account").text
    program.ask(alice)
    assert "None yet" in alice.get("/account").text  # nothing came of it
    program.connect(alice, may="read")
    program.result("list-users")
    page = alice.get("/account")
    for word in ("Helper", "Alice&#39;s company", "may only read", "just now"):
        assert word in page.text
    answer = alice.post("/account/assistants/2/disconnect")
    assert "Helper is disconnected." in alice.follow(answer).text
    assert "None yet" in alice.get("/account").text
    assert not program.is_connected
    assert program.refresh().get_json()["error"] == "invalid_grant"


def test_a_forged_disconnection_does_nothing(app: Flask, alice: Browser, program: Program) -> None:
    program.connect(alice)
    with unchanged(app):
        answer = alice.client.post("/account/assistants/1/disconnect", data={"csrf_token": "x"})
        assert answer.status_code == 400


def test_an_address_is_not_logged_nor_kept(alice: Browser, program: Program) -> None:
    """A referrer would tell the next page what was asked."""
    answer: Any = alice.get(program.address())
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_program_does_not_choose_the_project(root: Browser, program: Program) -> None:
    """Its address says more than it should: neither this page nor the next one goes by it."""
    root.get("/?project=1")
    page = root.get(f"{program.address()}&project=2")
    assert '<option value="1" selected>' in page.text or 'selected value="1"' in page.text
    assert "charlie.nl" not in root.get("/domains").text
