"""unassign-domain."""

from __future__ import annotations

import pytest

from app.errors import Forbidden, NotFound, StillInUse
from app.extensions import db
from app.models import Domain, Mailbox, PurgeOrder
from app.operations.domains import assign_domain, enable_email, unassign_domain
from app.operations.mailboxes import add_user, list_users, remove_user
from tests.conftest import PASSWORD, Cast


def test_it_works(core: Cast) -> None:
    for _twice in range(2):
        domain = unassign_domain(core.root, domain="Example.NL").to_answer()["domain"]
        assert (domain["project_id"], domain["email_enabled"]) == (None, False)
    with pytest.raises(NotFound):
        enable_email(core.alice, domain="example.nl")


def test_it_is_refused_while_active_mailboxes_exist(core: Cast) -> None:
    add_user(core.alice, email="info@example.nl", password=PASSWORD)
    with pytest.raises(StillInUse) as refusal:
        unassign_domain(core.root, domain="example.nl")
    assert "1 active mailbox" in refusal.value.message
    row = db.session.scalars(db.select(Domain).where(Domain.name == "example.nl")).one()
    assert (row.project_id, row.email_enabled) == (1, True)


def test_who_gets_the_domain_later_sees_nothing_of_before(core: Cast) -> None:
    add_user(core.alice, email="info@example.nl", password=PASSWORD)
    remove_user(core.alice, email="info@example.nl")
    mailbox = db.session.scalars(db.select(Mailbox)).one()
    unassign_domain(core.root, domain="example.nl")
    order = db.session.scalars(db.select(PurgeOrder)).one()
    assert (order.mailbox_id, order.due_at) == (mailbox.id, mailbox.purge_at)
    assert not order.is_released, "not before its time"
    assign_domain(core.root, domain="example.nl", project_id=2)
    enable_email(core.charlie, domain="example.nl")
    assert list_users(core.charlie).total == 0


def test_it_is_for_admins(core: Cast) -> None:
    with pytest.raises(Forbidden):
        unassign_domain(core.alice, domain="example.nl")
