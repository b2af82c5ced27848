"""add-domain."""

from __future__ import annotations

from dataclasses import replace

from app.operations.domains import add_domain, enable_email
from tests.conftest import Cast
from tests.operations import ledger


def test_it_works(core: Cast) -> None:
    with ledger.recorded(revisions=0):
        answer = add_domain(core.root, domain="New.NL.", project_id=1).to_answer()["domain"]
    assert (answer["domain"], answer.get("project_id"), answer["email_enabled"]) == (
        "new.nl",
        1,
        False,
    )
    assert (answer["mailboxes"], answer["active_mailboxes"]) == (0, 0)
    assert "new.nl" not in ledger.exported()["domains"]
    assert enable_email(core.alice, domain="new.nl").domain.email_enabled


def test_without_a_project_it_belongs_to_nobody(core: Cast) -> None:
    answer = add_domain(core.root, domain="new.nl").to_answer()["domain"]
    assert answer.get("project_id", "absent") is None
    assert ledger.domain("new.nl").project_id is None


def test_the_audit_entry_names_the_project_that_was_given(core: Cast) -> None:
    add_domain(core.root, domain="new.nl", project_id=2)
    add_domain(core.root, domain="free.nl")
    with_project, without = ledger.entries()[-2:]
    assert (with_project.action, with_project.object, with_project.project_id) == (
        "add-domain",
        "new.nl",
        2,
    )
    assert (without.object, without.project_id, without.given) == ("free.nl", None, "domain")


def test_it_stores_the_name_of_idna_2008(core: Cast) -> None:
    answer = add_domain(core.root, domain="Faß.De").to_answer()["domain"]
    assert (answer["domain"], answer["domain_unicode"]) == ("xn--fa-hia.de", "faß.de")


def test_it_rejects_a_name_that_is_taken_in_any_writing(core: Cast) -> None:
    add_domain(core.root, domain="bücher.example")
    for name in (
        "bücher.example",
        "BÜCHER.example.",
        "xn--bcher-kva.example",
        "bu\u0308cher.example",
    ):
        with ledger.refused("DOMAIN_EXISTS", "domain"):
            add_domain(core.root, domain=name)


def test_it_rejects_a_project_that_is_not_there(core: Cast) -> None:
    with ledger.refused("PROJECT_NOT_FOUND", "project_id"):
        add_domain(core.root, domain="new.nl", project_id=99)


def test_it_rejects_customers(core: Cast) -> None:
    for who in ("alice", "bob", "charlie"):
        with ledger.refused("FORBIDDEN"):
            add_domain(core.caller(who), domain="new.nl", project_id=1)


def test_it_rejects_an_admin_s_token_that_may_only_read(core: Cast) -> None:
    with ledger.refused("FORBIDDEN"):
        add_domain(replace(core.root, may_write=False), domain="new.nl")


def test_it_rejects_what_is_no_project_id(core: Cast) -> None:
    for value in (0, -1, 2**31, 1.5, True, "1", None, [1]):
        with ledger.refused("INVALID_INPUT", "project_id"):
            add_domain(core.root, domain="new.nl", project_id=value)


def test_it_rejects_what_is_no_mail_domain(core: Cast) -> None:
    for value in ("nl", "localhost", "1.2.3.4", "[1.2.3.4]", "a_b.nl", "-a.nl", "xn--a.nl", "", 1):
        with ledger.refused("INVALID_INPUT", "domain"):
            add_domain(core.root, domain=value)
