"""unlink-domain."""

from __future__ import annotations

import pytest

from app.errors import OperationError
from app.extensions import db
from app.models import Domain, PurgeOrder
from app.operations.domains import assign_domain, enable_email
from app.operations.linking import unlink_domain
from app.operations.mailboxes import add_user, list_users, remove_user
from tests.conftest import PASSWORD, Cast
from tests.operations import ledger


def test_it_works(core: Cast) -> None:
    with ledger.recorded():
        answer = unlink_domain(core.alice, domain="example.nl").to_answer()
    assert answer == {"domain": {"domain": "example.nl", "removed": True}}
    assert "example.nl" not in ledger.exported()["domains"]
    assert db.session.scalar(db.select(Domain.id).where(Domain.name == "example.nl")) is None


def test_it_rejects_a_domain_in_use(core: Cast) -> None:
    add_user(core.alice, email="info@example.nl", password=PASSWORD)
    with ledger.recorded(entries=0, revisions=0), pytest.raises(OperationError) as refused:
        unlink_domain(core.alice, domain="example.nl")
    assert refused.value.code == "MAILBOXES_EXIST"


def test_whoever_gets_it_next_sees_nothing_of_it(core: Cast) -> None:
    add_user(core.alice, email="info@example.nl", password=PASSWORD)
    remove_user(core.alice, email="info@example.nl")
    unlink_domain(core.alice, domain="example.nl")
    assign_domain(core.root, domain="example.nl", project_id=2)
    enable_email(core.charlie, domain="example.nl")
    assert list_users(core.charlie, domain="example.nl").to_answer()["users"] == []
    assert len(db.session.scalars(db.select(PurgeOrder)).all()) == 1


def test_the_platform_keeps_what_is_registered_through_it(core: Cast) -> None:
    core.root.any_domain("example.nl").is_registered_here = True
    db.session.commit()
    unlink_domain(core.alice, domain="example.nl")
    row = core.root.any_domain("example.nl")
    assert (row.project_id, row.email_enabled) == (None, False)


def test_it_hides_from_strangers(core: Cast) -> None:
    for domain in ("example.nl", "nowhere.nl"):
        with pytest.raises(OperationError) as refused:
            unlink_domain(core.charlie, domain=domain)
        assert (refused.value.code, refused.value.status) == ("DOMAIN_NOT_FOUND", 404)
