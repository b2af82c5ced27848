"""`mailcote domain link`."""

from __future__ import annotations

import pytest

from .mailcote import Mailcote


@pytest.fixture(autouse=True)
def two_projects(mailcote: Mailcote) -> None:
    """Projects 1 and 2."""
    for name in ("Alice's company", "Charlie's company"):
        mailcote.done("project", "add", name)


def link(domain: str, project: str = "1") -> tuple[str, ...]:
    return ("domain", "link", domain, "--project", project)


def test_it_links_a_domain(mailcote: Mailcote) -> None:
    said = mailcote.done(*link("Café.example."))
    assert said.out == "xn--caf-dma.example is linked to project 1.\n"


def test_linking_it_again_changes_nothing(mailcote: Mailcote) -> None:
    mailcote.done(*link("example.nl"))
    mailcote.done(*link("example.nl"))


def test_it_gives_a_domain_without_mailboxes_to_another_project(mailcote: Mailcote) -> None:
    mailcote.done(*link("example.nl"))
    said = mailcote.done(*link("example.nl", "2"))
    assert said.out == "example.nl is linked to project 2.\n"


@pytest.mark.parametrize("domain", ["", "nl", "localhost", "1.2.3.4", "a b.nl", " example.nl", "-"])
def test_it_refuses_what_is_no_domain(mailcote: Mailcote, domain: str) -> None:
    assert mailcote.refused("domain", "link", "--project", "1", "--", domain)


def test_it_refuses_a_project_that_is_not_there(mailcote: Mailcote) -> None:
    assert mailcote.refused(*link("example.nl", "3")) == "There is no such project."
    assert "A project id" in mailcote.refused(*link("example.nl", "2147483648"))


def test_it_needs_a_project(mailcote: Mailcote) -> None:
    assert "'--project'" in mailcote.used_wrongly("domain", "link", "example.nl")
    assert "'--project'" in mailcote.used_wrongly(*link("example.nl", "one"))
