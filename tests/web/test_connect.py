"""Connecting programs: what to paste, and what each of them last called."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select

from app.calls import program_of
from app.extensions import db
from app.models import Call
from app.models.calls import CALLS_KEPT
from tests.conftest import PASSWORD, Api, Cast
from tests.mcp.client import tool_name
from tests.web.conftest import MARKUP, Browser

MCP = "http://127.0.0.1:8000/mcp"
ADD = "/iapi/project/1/email_account/add-user"


@pytest.fixture
def api(app: Flask, people: Cast) -> Api:
    """The JSON API, on the panel with people."""
    return Api(app.test_client(), people)


def by(api: Api, user_agent: str, who: str = "alice") -> None:
    """List the users with a program that calls itself so."""
    project = 2 if who == "charlie" else 1
    headers = {**api.as_(who), "User-Agent": user_agent}
    path = f"/iapi/project/{project}/email_account/list-users"
    assert api.client.get(path, headers=headers).status_code == 200


def card(page: str, program: str) -> str:
    """The part of the page about one program."""
    return page.partition(f'<section class="card" id="{program}"')[2].partition("</section>")[0]


def test_it_works(alice: Browser) -> None:
    page = alice.get("/connect").text
    assert f"claude mcp add --transport http mailcote {MCP}" in page
    for program in ("claude", "chatgpt", "cursor", "vscode"):
        assert MCP in card(page, program)
    for program in ("n8n", "curl"):
        assert "/iapi/project/1/email_account/" in card(page, program)
    assert page.count("No call by") == 6
    assert "Claude and ChatGPT on the web cannot get here" in page
    assert 'aria-current="page"' in page


def test_it_is_about_the_project_at_hand(root: Browser, nobody: Browser) -> None:
    assert "/iapi/project/2/" in card(root.get("/connect?project=2").text, "curl")
    page = nobody.get("/connect")
    assert "/iapi/" not in page.text


def test_it_shows_the_last_calls(alice: Browser, api: Api) -> None:
    for _ in range(3):
        by(api, "curl/8.0")
    as_bob = {**api.as_("bob"), "User-Agent": "n8n"}
    api.client.post(ADD, json={"email": "x"}, headers=as_bob)
    params = {"name": tool_name("list-domains"), "arguments": {}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {**api.as_("alice"), "User-Agent": "claude-code/3.1 (cli)"}
    assert api.client.post("/mcp", json=message, headers=headers).status_code == 200
    page = alice.get("/connect").text
    assert "list-users" in card(page, "curl")
    assert "3 times" in card(page, "curl")
    assert "FORBIDDEN" in card(page, "n8n")
    assert "list-domains" in card(page, "claude")
    assert page.count("No call by") == 3


def test_others_have_a_place_of_their_own(alice: Browser, api: Api) -> None:
    assert 'id="others"' not in alice.get("/connect").text
    by(api, "Wget/1.21")
    assert "list-users" in card(alice.get("/connect").text, "others")


def test_it_hides_from_strangers(alice: Browser, charlie: Browser, api: Api) -> None:
    by(api, "curl/8.0", "charlie")
    alice.get("/connect")
    assert "list-users" not in card(alice.get("/connect").text, "curl").partition("</pre>")[2]
    assert "list-users" in card(charlie.get("/connect").text, "curl").partition("</pre>")[2]


def test_what_a_program_calls_itself_is_never_shown(alice: Browser, api: Api) -> None:
    by(api, f"curl/{MARKUP}")
    page = alice.get("/connect").text
    assert "onload" not in page
    assert "list-users" in card(page, "curl")


def test_no_value_that_was_sent_is_kept(app: Flask, alice: Browser, api: Api) -> None:
    api("add-user", email="info@example.nl", password=PASSWORD)
    page = alice.get("/connect").text
    assert "add-user" in page
    assert "info@example.nl" not in page
    assert PASSWORD not in page


def test_only_the_last_are_kept(app: Flask, alice: Browser, api: Api) -> None:
    for number in range(CALLS_KEPT + 4):
        by(api, "curl/8.0", ("alice", "bob")[number % 2])
    alice.get("/connect")
    with app.app_context():
        assert len(db.session.scalars(select(Call)).all()) == CALLS_KEPT


@pytest.mark.parametrize(
    ("user_agent", "actor", "program"),
    [
        ("Claude-User", "person a@b.nl through X", "claude"),
        ("python-httpx/0.28", "person a@b.nl through Claude", "claude"),
        ("openai-mcp/1.0.0", "person a@b.nl through X", "chatgpt"),
        ("Cursor/3.0 (linux)", "token 3 (x)", "cursor"),
        ("node", "token 3 (Cursor)", "cursor"),
        ("vscode/1.120", "token 3 (x)", "vscode"),
        ("n8n", "token 3 (curl)", "n8n"),
        ("curl/8.0", "token 3 (n8n)", "curl"),
        ("curlew", "token 3 (x)", ""),
        ("", "person claude@cursor.nl through X", ""),
        ("", "", ""),
    ],
)
def test_a_program_is_known_by_its_word(user_agent: str, actor: str, program: str) -> None:
    assert program_of(user_agent, actor) == program
