"""What people type is text on every page that shows it: never markup, never a template."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from markupsafe import escape
from playwright.sync_api import Browser, Page

from app import sessions
from app.caller import caller_with_token
from app.extensions import db
from app.models import Project
from app.operations import OPERATIONS
from tests.browser.desk import Desk
from tests.browser.panel import PASSWORD, Panel, serve

pytestmark = pytest.mark.long

CANARY = '"><svg onload=1>{{7007*7007}}</script>'
RESULT = str(7007 * 7007)
PERSON = "o'{{7007*7007}}&co@people.example"
ADMIN = "admin@people.example"
MAX_PAGES = 200

_LINK = re.compile(r'href="(/[^"]*)"')
_LEAVES = ("/static/", "/iapi/", "/admin/audit.csv")


@pytest.fixture
def windows(tmp_path: Path, chromium: Browser) -> Iterator[Desk]:
    """Windows on a panel whose every name is a canary."""
    with serve(tmp_path, lambda panel, _: release(panel)) as panel:
        desk = Desk(chromium, panel, {})
        yield desk
        desk.close()


def release(panel: Panel) -> None:
    """Put a canary wherever somebody may choose the text."""
    project = panel.project(CANARY, "canary.example")
    panel.project(f"another {CANARY}")
    panel.mailbox(project, "info@canary.example")
    panel.run("add-person", email=PERSON, password=PASSWORD, projects=[project])
    panel.run("add-person", email=ADMIN, password=PASSWORD, is_admin=True)
    text = panel.run("add-token", name=CANARY, project_id=project).text
    hold_a_call(panel, project, text)
    panel.run("add-node", name="mpi01")
    with panel.app.app_context():
        for email in (PERSON, ADMIN):
            sessions.sign_in(email, PASSWORD, address="192.0.2.7", user_agent=CANARY)


def hold_a_call(panel: Panel, project: int, token: str) -> None:
    """Let an assistant with this token ask for something."""
    with panel.app.app_context():
        db.session.execute(db.update(Project).values(needs_approval=True))
        db.session.commit()
        caller = replace(caller_with_token(f"Bearer {token}", "::1"), is_assistant=True)
        remove = OPERATIONS["remove-user"]
        remove(caller.in_project(project), email="info@canary.example")


@pytest.mark.parametrize("email", [PERSON, ADMIN])
def test_no_page_takes_text_for_markup(windows: Desk, email: str) -> None:
    page = windows.open(email, user_agent=CANARY)
    seen = dict(crawl(page))
    assert len(seen) >= (15 if email == PERSON else 30)
    assert [path for path, text in seen.items() if CANARY in text or RESULT in text] == []
    assert sum(escape(CANARY) in text for text in seen.values()) >= 3


def crawl(page: Page) -> Iterator[tuple[str, str]]:
    """Every page that links lead to, with what the server sent for it."""
    waiting, seen = ["/"], {"/"}
    while waiting and len(seen) < MAX_PAGES:
        path = waiting.pop()
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 200, path
        text = answer.text()
        yield path, text
        found = {html.unescape(link).partition("#")[0] for link in _LINK.findall(text)} - seen
        waiting += sorted(link for link in found if not link.startswith(_LEAVES))
        seen |= found


@pytest.mark.parametrize(
    ("path", "field", "button"),
    [
        ("/admin/nodes", "name", "Add node"),
        ("/admin/domains/new", "domain", "Add domain"),
        ("/admin/people/new", "email", "Add person"),
        ("/mailboxes/new", "local_part", "Create mailbox"),
    ],
)
def test_what_is_refused_comes_back_as_text(
    windows: Desk, path: str, field: str, button: str
) -> None:
    page = windows.open(ADMIN)
    page.goto(path)
    page.locator("form:has(button.primary)").evaluate("form => form.noValidate = true")
    page.locator(f"#{field}").fill(CANARY)
    with page.expect_response(lambda answer: answer.request.method == "POST") as sent:
        page.get_by_role("button", name=button).click()
    text = sent.value.text()
    assert sent.value.status == 422
    assert CANARY not in text
    assert RESULT not in text
    assert page.locator(f"#{field}").input_value() == CANARY
