"""add-user."""

from __future__ import annotations

import pytest

from app.errors import Conflict, NotFound
from app.extensions import db
from app.models import AuditEntry, Feed, Mailbox
from app.operations.mailboxes import add_user, remove_user
from tests.conftest import PASSWORD, Cast


def test_it_works(core: Cast) -> None:
    before = db.session.scalars(db.select(Feed.revision)).one()
    answer = add_user(core.alice, email="INFO@Example.NL", password=PASSWORD).to_answer()
    user = answer["user"]
    assert (user["email"], user["domain"]) == ("info@example.nl", "example.nl")
    assert (user["quota_mb"], user["active"]) == (1024, True)
    assert (user["can_login"], user["can_receive"]) == (True, True)
    assert user["sync"] == {"revision": before + 1, "nodes": 1, "nodes_applied": 0}
    stored = db.session.scalars(db.select(Mailbox)).one()
    assert stored.password_hash.startswith("{BLF-CRYPT}$2y$04$")


def test_it_leaves_one_audit_entry_without_the_password(core: Cast) -> None:
    add_user(core.alice, email="info@example.nl", password=PASSWORD)
    entry = db.session.scalars(db.select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert entry is not None
    assert (entry.action, entry.object) == ("add-user", "info@example.nl")
    assert (entry.actor, entry.address) == ("token 1 (alice)", "192.0.2.1")
    assert entry.given == "email password quota_mb"


def test_it_refuses_an_address_that_is_taken(core: Cast) -> None:
    add_user(core.alice, email="info@example.nl", password=PASSWORD)
    with pytest.raises(Conflict) as refusal:
        add_user(core.alice, email="Info@example.nl", password=PASSWORD)
    assert refusal.value.code == "MAILBOX_EXISTS"


def test_it_names_the_ways_out_for_a_removed_address(core: Cast) -> None:
    add_user(core.alice, email="info@example.nl", password=PASSWORD)
    remove_user(core.alice, email="info@example.nl")
    with pytest.raises(Conflict) as refusal:
        add_user(core.alice, email="info@example.nl", password=PASSWORD)
    assert refusal.value.code == "MAILBOX_REMOVED"
    assert "restore-user" in str(refusal.value.recovery)
    assert "hard_delete" in str(refusal.value.recovery)


def test_it_hides_from_strangers(core: Cast) -> None:
    with pytest.raises(NotFound) as refusal:
        add_user(core.charlie, email="info@example.nl", password=PASSWORD)
    assert refusal.value.code == "DOMAIN_NOT_FOUND"


def test_it_rejects_a_domain_whose_email_is_off(core: Cast) -> None:
    with pytest.raises(Conflict) as refusal:
        add_user(core.alice, email="info@parked.nl", password=PASSWORD)
    assert refusal.value.code == "EMAIL_NOT_ENABLED"
