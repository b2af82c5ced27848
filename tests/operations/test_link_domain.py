"""link-domain, and the claims it makes."""

from __future__ import annotations

import pytest

from app import clock
from app.caller import Caller
from app.database import write_transaction
from app.errors import OperationError
from app.extensions import db
from app.models import DomainClaim
from app.operations import linking
from app.operations.claims import claims, forget_old_claims
from app.operations.domains import add_domain, assign_domain
from app.operations.linking import link_domain, unlink_domain, verify_domain
from tests.conftest import Cast
from tests.operations import ledger


def in_days(days: int) -> None:
    """Move all claims as if so many days had passed."""
    with write_transaction() as session:
        for claim in session.scalars(db.select(DomainClaim)):
            claim.expires_at = clock.from_now(days=linking.CLAIM_DAYS - days)


def refusal(caller: Caller, domain: str) -> tuple[str, str | None]:
    """The code and field with which verifying a domain is refused."""
    with pytest.raises(OperationError) as refused:
        verify_domain(caller, domain=domain)
    return refused.value.code, refused.value.field


def test_it_works(core: Cast) -> None:
    with ledger.recorded(revisions=0):
        answer = link_domain(core.alice, domain="New.NL.").to_answer()["domain"]
    assert (answer["domain"], answer["linked"]) == ("new.nl", False)
    proof = answer["proof"]
    assert (proof["type"], proof["name"]) == ("TXT", "_mailcote")
    assert proof["full_name"] == "_mailcote.new.nl"
    assert len(proof["value"].partition("mailcote-verification=")[2]) == 32
    assert answer["expires_at"] > clock.from_now(days=29)
    assert [claim.name for claim in claims(core.alice)] == ["new.nl"]


def test_nothing_is_linked_before_it_is_proven(core: Cast) -> None:
    link_domain(core.alice, domain="new.nl")
    assert refusal(core.alice, "new.nl") == ("DOMAIN_NOT_PROVEN", "domain")
    with pytest.raises(OperationError) as refused:
        core.alice.domain("new.nl")
    assert refused.value.code == "DOMAIN_NOT_FOUND"


def test_doing_it_again_answers_the_same_record(core: Cast) -> None:
    first = link_domain(core.alice, domain="new.nl").to_answer()["domain"]
    again = link_domain(core.alice, domain="new.nl").to_answer()["domain"]
    assert first["proof"] == again["proof"]


def test_what_is_linked_is_answered_as_linked(core: Cast) -> None:
    answer = link_domain(core.alice, domain="example.nl").to_answer()["domain"]
    assert answer == {"domain": "example.nl", "domain_unicode": "example.nl", "linked": True}


def test_a_claim_keeps_nobody_else_from_anything(core: Cast) -> None:
    ours = link_domain(core.alice, domain="new.nl").to_answer()["domain"]["proof"]
    theirs = link_domain(core.charlie, domain="new.nl").to_answer()["domain"]["proof"]
    assert ours["value"] != theirs["value"]
    add_domain(core.root, domain="new.nl", project_id=2)
    assert claims(core.charlie) == []
    assert [claim.name for claim in claims(core.alice)] == ["new.nl"]


def test_what_is_linked_elsewhere_is_not_told(core: Cast) -> None:
    taken = link_domain(core.charlie, domain="example.nl").to_answer()["domain"]
    free = link_domain(core.charlie, domain="free.nl").to_answer()["domain"]
    assert taken.keys() == free.keys()


@pytest.mark.parametrize("name", ["shop.example.nl", "nl.example.nl", "www.shop.example.nl"])
def test_a_child_of_another_project_s_domain_needs_a_proof_of_its_own(
    core: Cast, name: str
) -> None:
    assert link_domain(core.charlie, domain=name).to_answer()["domain"]["linked"] is False
    assert refusal(core.charlie, name)[0] == "DOMAIN_NOT_PROVEN"


def test_the_operator_s_word_stands_for_the_proof(core: Cast) -> None:
    link_domain(core.alice, domain="new.nl")
    assign_domain(core.root, domain="new.nl", project_id=1)
    assert claims(core.alice) == []
    assert core.alice.domain("new.nl").project_id == 1


def test_a_claim_is_given_up_after_thirty_days(core: Cast) -> None:
    first = link_domain(core.alice, domain="new.nl").to_answer()["domain"]["proof"]
    in_days(29)
    forget_old_claims()
    assert len(claims(core.alice)) == 1
    in_days(30)
    assert claims(core.alice) == []
    assert refusal(core.alice, "new.nl")[0] == "DOMAIN_NOT_FOUND"
    again = link_domain(core.alice, domain="new.nl").to_answer()["domain"]["proof"]
    assert again["value"] != first["value"]
    in_days(30)
    forget_old_claims()
    assert db.session.scalar(db.select(db.func.count()).select_from(DomainClaim)) == 0


def test_it_rejects_more_than_a_person_looks_after(
    core: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linking, "MAX_CLAIMS", 2)
    for name in ("a.nl", "b.nl", "a.nl"):
        link_domain(core.alice, domain=name)
    with pytest.raises(OperationError) as refused:
        link_domain(core.alice, domain="c.nl")
    assert refused.value.code == "TOO_MANY_CLAIMS"
    link_domain(core.charlie, domain="c.nl")


def test_a_claim_can_be_given_up(core: Cast) -> None:
    link_domain(core.alice, domain="new.nl")
    assert unlink_domain(core.alice, domain="new.nl").to_answer() == {
        "domain": {"domain": "new.nl", "removed": True}
    }
    assert claims(core.alice) == []


def test_it_hides_from_strangers(core: Cast) -> None:
    link_domain(core.alice, domain="new.nl")
    assert claims(core.charlie) == []
    assert refusal(core.charlie, "new.nl") == ("DOMAIN_NOT_FOUND", "domain")
    with pytest.raises(OperationError) as refused:
        unlink_domain(core.charlie, domain="new.nl")
    assert refused.value.code == "DOMAIN_NOT_FOUND"
