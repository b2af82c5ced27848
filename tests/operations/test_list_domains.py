"""list-domains."""

from __future__ import annotations

from app.operations.domains import add_domain, enable_email, list_domains
from app.operations.mailboxes import add_user, remove_user
from tests.conftest import PASSWORD, Cast
from tests.operations import ledger


def test_it_works(core: Cast) -> None:
    for name in ("a", "b", "c"):
        add_user(core.alice, email=f"{name}@example.nl", password=PASSWORD)
    remove_user(core.alice, email="a@example.nl")
    [domain] = list_domains(core.alice).to_answer()["domains"]
    assert (domain["domain"], domain["domain_unicode"]) == ("example.nl", "example.nl")
    assert (domain["email_enabled"], domain["mailboxes"], domain["active_mailboxes"]) == (
        True,
        3,
        2,
    )
    assert domain["created_at"] == ledger.domain("example.nl").created_at


def test_its_fields_are_the_contract_s(core: Cast) -> None:
    fields = {"domain", "domain_unicode", "email_enabled", "mailboxes", "active_mailboxes"}
    answer = list_domains(core.alice).to_answer()
    assert answer.keys() == {"domains", "total"}
    assert answer["domains"][0].keys() == fields | {"created_at"}
    root = list_domains(core.root).to_answer()["domains"][0]
    assert root.keys() == fields | {"created_at", "project_id"}
    assert root.get("project_id") == 1


def test_it_leaves_out_domains_whose_email_is_off(core: Cast) -> None:
    before = list_domains(core.alice).to_answer()
    enable_email(core.alice, domain="parked.nl")
    after = list_domains(core.alice).to_answer()
    assert [domain["domain"] for domain in before["domains"]] == ["example.nl"]
    assert [domain["domain"] for domain in after["domains"]] == ["example.nl", "parked.nl"]
    assert (before["total"], after["total"]) == (1, 2)


def test_it_sorts_in_byte_order(core: Cast) -> None:
    names = ["a-b.nl", "a.nl", "a0.nl", "ab.nl", "xn--bcher-kva.nl", "z.nl"]
    for name in reversed(names):
        add_domain(core.root, domain=name, project_id=1)
        enable_email(core.alice, domain=name)
    found = [domain["domain"] for domain in list_domains(core.alice).to_answer()["domains"]]
    assert found == sorted([*names, "example.nl"])


def test_it_changes_nothing(core: Cast) -> None:
    before = ledger.everything()
    list_domains(core.caller("bob"))
    assert ledger.everything() == before


def test_it_hides_from_strangers(core: Cast) -> None:
    add_user(core.alice, email="info@example.nl", password=PASSWORD)
    [domain] = list_domains(core.charlie).to_answer()["domains"]
    assert (domain["domain"], domain["mailboxes"]) == ("charlie.nl", 0)


def test_it_rejects_input(core: Cast) -> None:
    with ledger.refused("INVALID_INPUT", "domain"):
        list_domains(core.alice, domain="example.nl")
