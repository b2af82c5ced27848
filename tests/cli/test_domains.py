"""`mailcote domain …` and `mailcote check-dns`: claims, records, and what is due."""

from __future__ import annotations

import re

import pytest

from app import create_app
from app.caller import command_line
from app.cli.running import for_terminals
from app.operations import OPERATIONS
from tests.applications import let_go

from .mailcote import Mailcote


@pytest.fixture(autouse=True)
def one_domain(mailcote: Mailcote) -> None:
    """Project 1 with example.nl, its e-mail on, and project 2 with nothing."""
    for name in ("Alice's company", "Charlie's company"):
        mailcote.done("project", "add", name)
    mailcote.done("domain", "link", "example.nl", "--project", "1")


def test_a_claim_is_made_refused_and_given_up(mailcote: Mailcote) -> None:
    said = mailcote.done("domain", "link", "New.nl", "--project", "2", "--prove").out
    assert re.search(r'^_mailcote\.new\.nl\. IN TXT "mailcote-verification=\w{32}"$', said, re.M)
    assert "not registered" in mailcote.refused("domain", "verify", "new.nl", "--project", "2")
    assert "--project" in mailcote.refused("domain", "records", "new.nl")
    shown = mailcote.done("domain", "records", "new.nl", "--project", "2").out
    assert "_mailcote.new.nl. TXT" in shown
    assert mailcote.done("domain", "unlink", "new.nl", "--project", "2").out == (
        "new.nl is no longer linked.\n"
    )


def test_what_to_do_is_told_by_commands(mailcote: Mailcote) -> None:
    """What programs call is of no use at a terminal."""
    refused = mailcote("domain", "verify", "new.nl", "--project", "2")
    assert "Begin with mailcote domain link --prove, which answers" in refused.err
    app = create_app(mailcote.settings)
    with app.app_context():
        caller = command_line().in_project(1)
        OPERATIONS["enable-email"](caller, domain="example.nl")
        OPERATIONS["add-user"](caller, email="info@example.nl", password="a long pass phrase")
    let_go(app)
    for arguments in (
        ("domain", "unlink", "example.nl"),
        ("domain", "link", "example.nl", "--project", "2"),
    ):
        refused = mailcote(*arguments)
        assert refused.code == 1
        assert "Remove the mailboxes of the domain first, then try again." in refused.err


@pytest.mark.parametrize(
    ("hint", "told"),
    [
        ("Wait, or use unlink-domain.", "Wait, or use mailcote domain unlink."),
        (
            "Link it first (link-domain), then.",
            "Link it first (mailcote domain link --prove), then.",
        ),
        ("Turn e-mail on first (enable-email).", "Turn e-mail on first."),
        ("(see above) or relink-domains", "(see above) or relink-domains"),
        ("", ""),
    ],
)
def test_a_hint_names_commands(hint: str, told: str) -> None:
    assert for_terminals(hint) == told


def test_records_are_listed_and_taken_along(mailcote: Mailcote) -> None:
    shown = mailcote.done("domain", "records", "example.nl").out
    assert "unknown    example.nl. MX 10 mail.example.nl." in shown
    assert shown.splitlines()[-1].startswith("E-mail is off")
    zone = mailcote.done("domain", "records", "example.nl", "--zone-file").out
    assert "$ORIGIN example.nl." in zone


def test_what_is_due_is_checked(mailcote: Mailcote) -> None:
    assert mailcote.done("check-dns").out == "Domains checked: 0. Changed: 0.\n"
    app = create_app(mailcote.settings)
    with app.app_context():
        OPERATIONS["enable-email"](command_line().in_project(1), domain="example.nl")
    let_go(app)
    assert mailcote.done("check-dns").out == "Domains checked: 1. Changed: 1.\n"
    assert mailcote.done("check-dns").out == "Domains checked: 0. Changed: 0.\n"
    assert mailcote.done("check-dns", "--all").out == "Domains checked: 1. Changed: 0.\n"
    said = mailcote("domain", "check", "example.nl")
    assert (said.code, said.err) == (1, "")
    assert said.out.splitlines()[-1].startswith("No mail arrives yet")


@pytest.mark.parametrize("verb", ["check", "records", "unlink"])
@pytest.mark.parametrize("name", ["", "nl", "a..b", "1.2.3.4", " x.nl", "nowhere.nl"])
def test_it_refuses_what_is_not_there(mailcote: Mailcote, verb: str, name: str) -> None:
    assert mailcote.refused("domain", verb, "--", name)


@pytest.mark.parametrize("verb", ["check", "records", "unlink", "verify", "link"])
def test_it_refuses_a_project_that_no_database_can_have(mailcote: Mailcote, verb: str) -> None:
    options = ["--prove"] if verb == "link" else []
    said = mailcote.refused("domain", verb, "example.nl", "--project", "9" * 30, *options)
    assert said == "There is no such project."
