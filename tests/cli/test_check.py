"""`mailcote check`, `mailcote purge` and `mailcote confirm-shrink`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import psycopg
import pytest
from flask import Flask
from sqlalchemy.engine import make_url

from app import checks
from app.caller import command_line
from app.operations import OPERATIONS
from tests.applications import let_go
from tests.conftest import JUST_MIGRATED, PASSWORD, Cast, cheap_settings, needs_postgres
from tests.databases import libpq, new_panel, postgres_database

from .mailcote import Mailcote


@contextmanager
def panel(mailcote: Mailcote) -> Iterator[sqlite3.Connection]:
    """The database as something other than the panel would change it."""
    with closing(sqlite3.connect(mailcote.settings.instance / "panel.db")) as database:
        yield database
        database.commit()


@pytest.fixture
def mailboxes(app: Flask, cast: Cast) -> None:
    """Three mailboxes, one of them removed."""
    with app.app_context():
        caller = command_line().in_project(1)
        for name in ("info", "sales", "gone"):
            OPERATIONS["add-user"](caller, email=f"{name}@example.nl", password=PASSWORD)
        OPERATIONS["remove-user"](caller, email="gone@example.nl")


def verdicts(mailcote: Mailcote) -> tuple[int, list[str]]:
    """The exit code, and the sentences on what is wrong."""
    said = mailcote("check")
    assert said.err == ""
    lines = said.out.splitlines()
    assert len(lines) == 7
    assert all(line.startswith(("ok     ", "warn   ", "WRONG  ")) for line in lines)
    return said.code, [line[7:] for line in lines if line.startswith("WRONG")]


def test_all_is_well(mailcote: Mailcote, mailboxes: None) -> None:
    assert verdicts(mailcote) == (0, [])
    assert "nodes are told 2 of 2 active mailboxes" in mailcote("check").out


def test_it_warns_of_links_that_lead_nowhere(mailcote: Mailcote) -> None:
    warning = "warn   links begin with http://127.0.0.1:8000: MAILCOTE_PUBLIC_URL is not set"
    assert mailcote.done("check").last_line == warning
    address = "https://panel.example.nl"
    elsewhere = Mailcote(replace(mailcote.settings, public_url=address))
    assert elsewhere.done("check").last_line == f"ok     links begin with {address}"


def test_it_finds_a_reference_to_nothing(mailcote: Mailcote, mailboxes: None) -> None:
    with panel(mailcote) as database:
        database.execute("UPDATE tokens SET project_id = 77 WHERE project_id = 2")
    assert verdicts(mailcote) == (1, ["the database file is sound"])


def test_it_finds_a_row_that_no_node_would_accept(mailcote: Mailcote, mailboxes: None) -> None:
    with panel(mailcote) as database:
        database.execute("UPDATE mailboxes SET password_hash = 'x' WHERE email LIKE 'info@%'")
    assert verdicts(mailcote) == (1, ["nodes are told 1 of 2 active mailboxes"])


def test_it_finds_a_secret_key_that_others_can_read(mailcote: Mailcote) -> None:
    key = mailcote.settings.instance / "secret_key"
    key.touch(mode=0o600)
    assert verdicts(mailcote) == (0, [])
    key.chmod(0o640)
    assert verdicts(mailcote) == (1, ["the secret key can be read by its owner only"])


def test_it_finds_a_disk_that_is_nearly_full(
    mailcote: Mailcote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "ENOUGH_DISK", 2**70)
    code, [sentence] = verdicts(mailcote)
    assert code == 1
    assert "MiB are free" in sentence


def test_it_finds_a_damaged_file(mailcote: Mailcote, mailboxes: None, app: Flask) -> None:
    let_go(app)
    with panel(mailcote) as database:
        database.execute("PRAGMA journal_mode = DELETE")
        [page_size] = database.execute("PRAGMA page_size").fetchone()
        [root] = database.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'mailboxes'"
        ).fetchone()
    with (mailcote.settings.instance / "panel.db").open("r+b") as file:
        file.seek((root - 1) * page_size)
        file.write(b"\xff" * page_size)
    said = mailcote("check")
    assert said.code == 1
    assert said.err == "mailcote: The database cannot be used: database disk image is malformed\n"


def test_purging_lets_go_of_what_is_past_its_grace_period(
    mailcote: Mailcote, mailboxes: None
) -> None:
    nothing = "Mailboxes gone: 0. Purge orders sent out: 0.\n"
    assert mailcote.done("purge").out == nothing
    with panel(mailcote) as database:
        database.execute(
            "UPDATE mailboxes SET purge_at = '2020-01-01T00:00:00Z' WHERE purge_at IS NOT NULL"
        )
    assert mailcote.done("purge").out == "Mailboxes gone: 1. Purge orders sent out: 1.\n"
    assert mailcote.done("purge").out == nothing
    with panel(mailcote) as database:
        assert database.execute("SELECT count(*) FROM mailboxes").fetchone() == (2,)


def test_confirming_a_shrink_says_so(mailcote: Mailcote, mailboxes: None) -> None:
    with panel(mailcote) as database:
        database.execute("UPDATE feed SET shrink_is_meant = 0")
    mailcote.done("confirm-shrink")
    with panel(mailcote) as database:
        assert database.execute("SELECT shrink_is_meant FROM feed").fetchone() == (1,)


@needs_postgres
@pytest.mark.real
def test_every_command_works_on_postgresql(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str
) -> None:
    with postgres_database(postgres_url) as url:
        mailcote = Mailcote(new_panel(tmp_path_factory.mktemp("instance"), url))
        assert mailcote.done("project", "add", "Bakery").last_line == "1"
        mailcote.done("domain", "link", "example.nl", "--project", "1")
        mailcote.done("person", "add", "alice@example.nl", "--project", "1")
        assert mailcote.refused("person", "add", "alice@example.nl").startswith("There already")
        assert mailcote.done("token", "add", "--admin").last_line.startswith("wpa_")
        assert mailcote.done("node", "add", "mpi01").last_line.startswith("mck_")
        mailcote.done("purge")
        mailcote.done("confirm-shrink")
        warning = "warn   a power cut can undo what was acknowledged: PostgreSQL has fsync off"
        assert warning in mailcote.done("check").out  # the tests' own server need not last


@needs_postgres
@pytest.mark.real
@pytest.mark.parametrize("setting", ["off", "on", "local"])
def test_it_warns_of_a_server_that_does_not_wait_for_its_disk(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str, setting: str
) -> None:
    with postgres_database(postgres_url, like=JUST_MIGRATED) as url:
        with psycopg.connect(libpq(url), autocommit=True) as server:
            name = make_url(url).database
            server.execute(f"ALTER DATABASE {name} SET synchronous_commit = {setting}")
        said = Mailcote(cheap_settings(tmp_path_factory.mktemp("instance"), url)).done("check").out
    assert ("fsync and synchronous_commit off" in said) == (setting == "off")
