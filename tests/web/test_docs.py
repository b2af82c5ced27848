"""The guide."""

from __future__ import annotations

import re

from app.operations import OPERATIONS
from tests.web.conftest import MAX_QUERIES, Browser


def test_it_works(alice: Browser) -> None:
    page = alice.get("/docs")
    assert page.status_code == 200
    assert "kept for 30 days" in page.text
    assert "/iapi/project/1/email_account/add-user" in page.text
    assert len(alice.queries) <= MAX_QUERIES


def test_every_anchor_leads_somewhere(alice: Browser) -> None:
    page = alice.get("/docs").text
    anchors = re.findall(r'href="#([a-z]+)"', page)
    assert len(anchors) > 5
    assert [name for name in anchors if f'id="{name}"' not in page] == []


def test_every_link_leads_somewhere(alice: Browser) -> None:
    links = set(re.findall(r'<a[^>]* href="(/[^"]*)"', alice.get("/docs").text))
    assert [link for link in links if alice.get(link).status_code != 200] == []


def test_it_lists_the_operations_that_its_reader_can_use(alice: Browser, root: Browser) -> None:
    for browser, is_admin in ((alice, False), (root, True)):
        page = browser.get("/docs").text
        for operation in OPERATIONS.values():
            is_listed = f"<code>{operation.name}</code>" in page
            may = not operation.is_internal and (operation.who == "project" or is_admin)
            assert is_listed == may, operation.name


def test_who_belongs_to_no_project_can_read_it(nobody: Browser) -> None:
    assert nobody.get("/docs").status_code == 200
