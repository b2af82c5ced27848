"""What people type is text on every page that shows it: never markup, never a template."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from markupsafe import escape

from app import sessions
from app.caller import caller_with_token, command_line
from app.extensions import db
from app.models import Project
from app.operations import OPERATIONS
from tests.conftest import PASSWORD
from tests.web.conftest import PEOPLES_PASSWORD, Browser

CANARY = '"><svg onload=1>{{7007*7007}}</script>'
RESULT = str(7007 * 7007)
PERSON = "o'{{7007*7007}}&co@people.example"
ADMIN = "admin@people.example"
MAX_PAGES = 200

_LINK = re.compile(r'href="(/[^"]*)"')
_LEAVES = ("/static/", "/iapi/", "/admin/audit.csv")


@pytest.fixture
def released(app: Flask) -> Flask:
    """A panel with a canary wherever somebody may choose the text."""

    def run(name: str, /, project: int | None = None, **values: object) -> None:
        caller = command_line()
        OPERATIONS[name](caller.in_project(project) if project else caller, **values)

    with app.app_context():
        for name in (CANARY, f"another {CANARY}"):
            project = OPERATIONS["add-project"](command_line(), name=name).id
        run("assign-domain", domain="canary.example", project_id=project)
        run("enable-email", project, domain="canary.example")
        run("add-user", project, email="info@canary.example", password=PASSWORD)
        run("add-person", email=PERSON, password=PEOPLES_PASSWORD, projects=[project])
        run("add-person", email=ADMIN, password=PEOPLES_PASSWORD, is_admin=True)
        made = OPERATIONS["add-token"](command_line(), name=CANARY, project_id=project)
        hold_a_call(project, made.text)
        for email in (PERSON, ADMIN):
            sessions.sign_in(email, PEOPLES_PASSWORD, address="192.0.2.7", user_agent=CANARY)
    return app


def hold_a_call(project: int, token: str) -> None:
    """Let an assistant with this token ask for something."""
    db.session.execute(db.update(Project).values(needs_approval=True))
    db.session.commit()
    caller = replace(caller_with_token(f"Bearer {token}", "::1"), is_assistant=True)
    OPERATIONS["remove-user"](caller.in_project(project), email="info@canary.example")


@pytest.mark.parametrize("email", [PERSON, ADMIN])
def test_no_page_takes_text_for_markup(released: Flask, email: str) -> None:
    seen = dict(crawl(signed_in(released, email)))
    assert len(seen) >= (15 if email == PERSON else 30)
    assert [path for path, text in seen.items() if CANARY in text or RESULT in text] == []
    assert sum(escape(CANARY) in text for text in seen.values()) >= 3


def signed_in(app: Flask, email: str) -> Browser:
    """The browser of somebody, which has a strange name itself."""
    client = app.test_client()
    client.environ_base["HTTP_USER_AGENT"] = CANARY
    browser = Browser(app, client)
    browser.sign_in(email)
    return browser


def crawl(browser: Browser) -> Iterator[tuple[str, str]]:
    """Every page that links lead to, and what htmx gets of it, with what the server sent."""
    waiting, seen = ["/"], {"/"}
    while waiting and len(seen) < MAX_PAGES:
        path = waiting.pop()
        answer = browser.get(path)
        assert answer.status_code == 200, path
        yield path, answer.text
        yield f"part of {path}", browser.part(path).text
        found = {html.unescape(link).partition("#")[0] for link in _LINK.findall(answer.text)}
        waiting += sorted(link for link in found - seen if not link.startswith(_LEAVES))
        seen |= found


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/admin/nodes", "name"),
        ("/admin/domains/new", "domain"),
        ("/admin/people/new", "email"),
        ("/mailboxes/new?project=1", "local_part"),
    ],
)
def test_what_is_refused_comes_back_as_text(released: Flask, path: str, field: str) -> None:
    browser = signed_in(released, ADMIN)
    browser.get(path)
    answer = browser.post(path, **{"domain": "example.nl", field: CANARY})
    assert answer.status_code == 422
    assert CANARY not in answer.text
    assert RESULT not in answer.text
    assert f'value="{escape(CANARY)}"' in answer.text
