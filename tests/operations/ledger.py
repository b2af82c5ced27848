"""What the panel has on record, and whether an operation has left there what it should."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest

from app.database import write_transaction
from app.errors import OperationError
from app.export import build
from app.extensions import Base, db
from app.models import AuditEntry, Domain, Feed, Mailbox, PurgeOrder

LONG_AGO = "2020-01-01T00:00:00Z"


def revision() -> int:
    """The panel's revision."""
    found: int = db.session.scalars(db.select(Feed.revision)).one()
    return found


def feed() -> Feed:
    """The panel's state, as the nodes are told it."""
    query = db.select(Feed).execution_options(populate_existing=True)
    found: Feed = db.session.scalars(query).one()
    return found


def entries() -> list[AuditEntry]:
    """The audit log, the oldest entry first."""
    return list(db.session.scalars(db.select(AuditEntry).order_by(AuditEntry.id)))


def mailbox(email: str) -> Mailbox:
    """A mailbox, live or removed."""
    found: Mailbox = db.session.scalars(db.select(Mailbox).where(Mailbox.email == email)).one()
    return found


def domain(name: str) -> Domain:
    """A domain, whoever's it is."""
    found: Domain = db.session.scalars(db.select(Domain).where(Domain.name == name)).one()
    return found


def orders() -> dict[str, bool]:
    """The purge orders: the mailbox's id, and whether the nodes are told."""
    query = db.select(PurgeOrder.mailbox_id, PurgeOrder.is_released)
    return {order.mailbox_id: order.is_released for order in db.session.execute(query)}


def order(mailbox_id: str) -> PurgeOrder:
    """The purge order for a mailbox."""
    query = db.select(PurgeOrder).where(PurgeOrder.mailbox_id == mailbox_id)
    found: PurgeOrder = db.session.scalars(query).one()
    return found


def exported() -> dict[str, Any]:
    """What the nodes are told now."""
    document: dict[str, Any] = orjson.loads(b"".join(build().chunks(0)))
    return document


def exported_users() -> dict[str, dict[str, Any]]:
    """The users the nodes are told of now, by address."""
    return {user["email"]: user for user in exported()["users"]}


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables, without what merely asking leaves behind."""
    db.session.rollback()
    return {
        name: sorted((tuple(row) for row in db.session.execute(_rows(name))), key=repr)
        for name in Base.metadata.tables
        if name != "buckets"
    }


def _rows(name: str) -> Any:
    columns = Base.metadata.tables[name].columns
    return db.select(*(column for column in columns if column.name != "last_used_at"))


def let_grace_periods_end() -> None:
    """Make everything that waits for a date due now."""
    with write_transaction() as session:
        session.execute(
            db.update(Mailbox).where(Mailbox.purge_at.is_not(None)).values(purge_at=LONG_AGO)
        )
        session.execute(db.update(PurgeOrder).values(due_at=LONG_AGO))


@contextmanager
def recorded(*, revisions: int = 1, entries: int = 1) -> Iterator[None]:
    """That what happens inside raises the revision so often, and leaves so many audit entries."""
    before, entries_before = revision(), _number_of_entries()
    yield
    db.session.rollback()
    assert revision() == before + revisions
    assert _number_of_entries() == entries_before + entries


def _number_of_entries() -> int:
    return db.session.scalar(db.select(db.func.count()).select_from(AuditEntry)) or 0


@contextmanager
def refused(code: str, field: str | None = None) -> Iterator[None]:
    """That what happens inside is refused with this code, and leaves every table as it was."""
    before = everything()
    with pytest.raises(OperationError) as refusal:
        yield
    assert (refusal.value.code, refusal.value.field) == (code, field)
    assert everything() == before
