"""The guide."""

from __future__ import annotations

import re
from pathlib import Path

import click

from app.cli import commands
from app.operations import OPERATIONS
from tests.web.conftest import MAX_QUERIES, Browser

ROOT = Path(__file__).resolve().parents[2]


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


def test_operating_is_for_admins(alice: Browser, root: Browser) -> None:
    for name in ("operating", "upgrade", "recovery"):
        assert f'id="{name}"' in root.get("/docs").text
        assert f'id="{name}"' not in alice.get("/docs").text


def test_every_command_it_names_is_one(root: Browser) -> None:
    page = re.sub(r"<[^>]+>", "", root.get("/docs").text)
    named = set(re.findall(r"^\s*(?:15 .*/sbin/)?mailcote ([a-z][a-z -]*[a-z])(?= |$)", page, re.M))
    assert len(named) >= 7
    for words in named:
        command: click.Command | None = commands
        for word in words.split():
            if isinstance(command, click.Group):
                command = command.get_command(click.Context(command), word)
        assert command and not isinstance(command, click.Group), words


def test_every_file_it_names_is_there(root: Browser) -> None:
    page = root.get("/docs").text
    for name in set(re.findall(r"(?:app|templates)/[\w/]+\.?\w+", page)):
        assert (ROOT / name).exists(), name


def test_it_lists_the_operations_that_its_reader_can_use(alice: Browser, root: Browser) -> None:
    for browser, is_admin in ((alice, False), (root, True)):
        page = browser.get("/docs").text
        for operation in OPERATIONS.values():
            is_listed = f"<code>{operation.name}</code>" in page
            may = not operation.is_internal and (operation.who == "project" or is_admin)
            assert is_listed == may, operation.name


def test_who_belongs_to_no_project_can_read_it(nobody: Browser) -> None:
    assert nobody.get("/docs").status_code == 200
