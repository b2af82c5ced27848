"""`mailcote person add`."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from app.credentials import WELCOME, is_well_formed
from app.passwords import matches
from tests.conftest import PASSWORD

from .mailcote import Mailcote, Said

ALICE = "alice@example.nl"


def add_with_password(mailcote: Mailcote, typed: str | bytes) -> Said:
    return mailcote("person", "add", ALICE, "--password-stdin", typed=typed)


def person(mailcote: Mailcote) -> tuple[str | None, bool, str | None]:
    """Alice's stored hash, whether she is an admin, and until when her link works."""
    with closing(sqlite3.connect(mailcote.settings.instance / "panel.db")) as database:
        found: tuple[str | None, int, str | None] = database.execute(
            "SELECT password_hash, is_admin, welcome_expires_at FROM people WHERE email = ?",
            (ALICE,),
        ).fetchone()
    return found[0], found[1] == 1, found[2]


def projects(mailcote: Mailcote) -> list[int]:
    with closing(sqlite3.connect(mailcote.settings.instance / "panel.db")) as database:
        return [row[0] for row in database.execute("SELECT project_id FROM memberships ORDER BY 1")]


def test_without_a_password_it_prints_a_link_alone_on_the_last_line(mailcote: Mailcote) -> None:
    mailcote.settings = replace(mailcote.settings, public_url="https://panel.example.nl")
    said = mailcote.done("person", "add", ALICE)
    address, _, welcome = said.last_line.rpartition("/")
    assert address == "https://panel.example.nl/welcome"
    assert is_well_formed(welcome, WELCOME)
    assert "7 days" in said.out
    password_hash, is_admin, expires_at = person(mailcote)
    assert password_hash is None
    assert not is_admin
    assert expires_at


def test_the_link_itself_is_not_stored(mailcote: Mailcote) -> None:
    welcome = mailcote.done("person", "add", ALICE).last_line.rpartition("/")[2]
    files = [path for path in mailcote.settings.instance.iterdir() if path.is_file()]
    assert not any(welcome.encode() in path.read_bytes() for path in files)


def test_with_a_password_it_says_that_they_can_sign_in(mailcote: Mailcote) -> None:
    said = add_with_password(mailcote, PASSWORD)
    assert said == Said(0, f"{ALICE} can sign in.\n", "")
    password_hash, _, expires_at = person(mailcote)
    assert password_hash
    assert matches(PASSWORD, password_hash)
    assert expires_at is None


@pytest.mark.parametrize(
    ("typed", "password"),
    [
        (f"{PASSWORD}\n", PASSWORD),
        (f"{PASSWORD}\r\n", PASSWORD),
        (f"  {PASSWORD}  \n", f"  {PASSWORD}  "),
        (f"\N{NO-BREAK SPACE}{PASSWORD}", f"\N{NO-BREAK SPACE}{PASSWORD}"),
        ("wachtwoord één", "wachtwoord één"),
        ("x" * 71 + "y\n", "x" * 71 + "y"),
    ],
)
def test_it_takes_one_line_end_from_the_password_and_nothing_else(
    mailcote: Mailcote, typed: str, password: str
) -> None:
    assert add_with_password(mailcote, typed.encode()).code == 0
    password_hash, _, _ = person(mailcote)
    assert password_hash
    assert matches(password, password_hash)


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        (b"", "too short"),
        (b"\n", "too short"),
        (b"\xff\xfe12345678\n", "not UTF-8"),
        (f"{PASSWORD}\n\n".encode(), "control character"),
        (f"{PASSWORD}\r".encode(), "control character"),
        (f"{PASSWORD}\n{PASSWORD}\n".encode(), "control character"),
        (b"pass\x00word12\n", "control character"),
        (b"y" * 73 + b"\n", "at most 72 bytes, and this one has 73"),
        ("é".encode() * 37, "at most 72 bytes, and this one has 74"),
        (b"y" * 2_000_000, "too long"),
        (b"password\n", "most common"),
        (f"{ALICE}\n".encode(), "same as the address"),
    ],
)
def test_it_refuses_a_password_that_cannot_be_used(
    mailcote: Mailcote, typed: bytes, reason: str
) -> None:
    sentence = mailcote.refused("person", "add", ALICE, "--password-stdin", typed=typed)
    assert reason in sentence
    assert PASSWORD not in sentence


def test_it_makes_an_admin(mailcote: Mailcote) -> None:
    mailcote.done("person", "add", ALICE, "--admin")
    assert person(mailcote)[1]


def test_it_takes_several_projects_the_same_one_once(mailcote: Mailcote) -> None:
    for name in ("one", "two", "three"):
        mailcote.done("project", "add", name)
    mailcote.done("person", "add", ALICE, "--project", "3", "--project", "1", "--project", "3")
    assert projects(mailcote) == [1, 3]


def test_it_refuses_a_project_that_is_not_there_and_adds_nobody(mailcote: Mailcote) -> None:
    assert mailcote.refused("person", "add", ALICE, "--project", "7") == "There is no such project."
    assert mailcote.done("person", "add", ALICE).code == 0


def test_it_refuses_who_is_there_already_in_any_case(mailcote: Mailcote) -> None:
    mailcote.done("person", "add", ALICE)
    sentence = mailcote.refused("person", "add", "Alice@Example.NL")
    assert sentence == f"There already is a person {ALICE}."


@pytest.mark.parametrize(
    "email", ["", "alice", "alice@", "@example.nl", " alice@example.nl", "a@b"]
)
def test_it_refuses_what_is_no_address(mailcote: Mailcote, email: str) -> None:
    assert mailcote.refused("person", "add", email)


def test_a_project_is_a_number(mailcote: Mailcote) -> None:
    assert "'--project'" in mailcote.used_wrongly("person", "add", ALICE, "--project", "bakery")
    assert "A project id" in mailcote.refused("person", "add", ALICE, "--project", "0")
