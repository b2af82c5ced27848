"""The pages of API tokens."""

from __future__ import annotations

import html
import json
import re

import pytest
from flask import Flask

from app.caller import command_line
from app.extensions import db
from app.models import Token
from app.operations import OPERATIONS
from tests.web.conftest import MARKUP, MAX_QUERIES, Browser, without_tokens


def make(browser: Browser, **fields: str) -> str:
    """Make a token in the form; the text that is shown once."""
    browser.get("/tokens/new")
    values = {"name": "website", "scope": "write", "days": "90", **fields}
    page = browser.post("/tokens/new", **values)
    assert page.status_code == 200, page.text
    found = re.search(r"wpa_[0-9A-Za-z]{38}", page.text)
    assert found
    return found[0]


def stored(app: Flask, name: str = "website") -> Token:
    with app.app_context():
        token: Token = db.session.scalars(db.select(Token).where(Token.name == name)).one()
        return token


def status_with(app: Flask, text: str, project: int = 1) -> int:
    """What the API says to somebody with this token."""
    path = f"/iapi/project/{project}/email_account/list-domains"
    headers = {"Authorization": f"Bearer {text}"}
    return app.test_client().get(path, headers=headers).status_code


def test_it_works(app: Flask, alice: Browser) -> None:
    text = make(alice, name="website", scope="read", days="30")
    assert status_with(app, text) == 200
    assert status_with(app, text, project=2) == 404
    token = stored(app)
    assert (token.project_id, token.scope) == (1, "read")
    assert token.expires_at is not None


def test_a_token_may_be_made_without_an_end(app: Flask, alice: Browser) -> None:
    make(alice, days="")
    assert stored(app).expires_at is None


def test_it_is_shown_once_and_kept_by_no_cache(alice: Browser) -> None:
    alice.get("/tokens/new")
    page = alice.post("/tokens/new", name="website", scope="write", days="90")
    assert page.headers["Cache-Control"] == "no-store"
    assert re.search(r"<h1[^>]* data-focus>", page.text)
    found = re.search(r"wpa_[0-9A-Za-z]{38}", page.text)
    assert found
    listed = alice.get("/tokens").text
    assert found[0] not in listed
    assert found[0][:8] in listed


def test_its_page_shows_how_to_use_it(alice: Browser) -> None:
    alice.get("/tokens/new")
    page = alice.post("/tokens/new", name="website", scope="write", days="90").text
    assert "http://127.0.0.1:8000/iapi/project/1/email_account/list-domains" in page
    assert "claude mcp add --transport http mailcote http://127.0.0.1:8000/mcp-token" in page


def test_an_assistant_can_use_what_its_page_shows(alice: Browser) -> None:
    alice.get("/tokens/new")
    page = alice.post("/tokens/new", name="website", scope="write", days="90").text
    found = re.search(r'<pre id="example-mcp"[^>]*>(.*?)</pre>', page, re.DOTALL)
    assert found
    shown = json.loads(html.unescape(found[1]))["mcpServers"]["mailcote"]
    assert shown["type"] == "http"
    answer = alice.app.test_client().post(
        shown["url"].removeprefix("http://127.0.0.1:8000"),
        json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
        headers=shown["headers"],
    )
    assert answer.get_json()["result"]["tools"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", ""), ("name", "x" * 101), ("scope", "all"), ("days", "99999"), ("days", "9" * 5000)],
)
def test_it_rejects_what_cannot_be_with_the_form(alice: Browser, field: str, value: str) -> None:
    alice.get("/tokens/new")
    fields = {"name": "website", "scope": "write", "days": "90", field: value}
    page = alice.post("/tokens/new", **fields)
    assert page.status_code == 422
    assert f'<a href="#{field}">' in page.text
    assert "data-focus" in page.text
    assert "Error:" in page.text


def test_a_revoked_token_stays_in_the_list_and_opens_nothing(app: Flask, alice: Browser) -> None:
    text = make(alice)
    number = stored(app).id
    assert "Revoke website?" in alice.get(f"/tokens/{number}/revoke").text
    page = alice.follow(alice.post(f"/tokens/{number}/revoke"))
    assert "The token website is revoked." in page.text
    assert "Revoked" in page.text
    assert status_with(app, text) == 401


def test_an_empty_list_says_what_to_do(app: Flask, alice: Browser) -> None:
    with app.app_context():
        OPERATIONS["add-project"](command_line(), name="A third one")
    root = Browser(app, app.test_client())
    root.sign_in("root@people.example")
    assert "No token yet" in root.get("/tokens?project=3").text


def test_it_hides_from_strangers(
    app: Flask, alice: Browser, bob: Browser, charlie: Browser
) -> None:
    make(alice, name="secret plan")
    number = stored(app, "secret plan").id
    assert "secret plan" in bob.get("/tokens").text
    assert "secret plan" not in charlie.get("/tokens").text
    absent = charlie.get("/tokens/99999/revoke")
    foreign = charlie.get(f"/tokens/{number}/revoke")
    assert absent.status_code == foreign.status_code == 404
    assert without_tokens(absent.text) == without_tokens(foreign.text)
    assert charlie.post(f"/tokens/{number}/revoke").status_code == 404
    assert stored(app, "secret plan").revoked_at is None


def test_an_id_beyond_all_ids_is_not_found(alice: Browser) -> None:
    assert alice.get(f"/tokens/{10**30}/revoke").status_code == 404


def test_a_name_is_text_wherever_it_is_shown(app: Flask, alice: Browser) -> None:
    make(alice, name=MARKUP)
    number = stored(app, MARKUP).id
    for page in (
        alice.get("/tokens"),
        alice.get(f"/tokens/{number}/revoke"),
        alice.follow(alice.post(f"/tokens/{number}/revoke")),
    ):
        assert "onload=1" in page.text
        assert "<svg onload" not in page.text


def test_they_ask_the_database_little_however_many_there_are(alice: Browser) -> None:
    for _ in range(3):
        make(alice)
    alice.get("/tokens")
    assert len(alice.queries) <= MAX_QUERIES
