"""The audit log as admins read it: in pages that are searched, and as a whole for a file.

Entries are made by `operation` and where sessions begin and end; nothing changes one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, func, or_, select

from ..caller import Caller
from ..extensions import db
from ..models import AuditEntry
from .browse import Page
from .oversight import refuse_all_but_admins

CHUNK = 1000  # entries that are held in memory at a time
# What a file holds of each, in this order.
COLUMNS = (
    "at",
    "actor",
    "address",
    "project_id",
    "action",
    "object",
    "given",
    "revision",
    "approved_by",
    "id",
)


@dataclass(frozen=True)
class AuditSearch:
    """Which entries of the audit log to show."""

    q: str = ""
    action: str = ""
    page: int = 1
    per: int = 50


def found(caller: Caller, search: AuditSearch) -> Page[AuditEntry]:
    """A page of the entries that match, newest first."""
    refuse_all_but_admins(caller)
    conditions = _matching(search)
    total = db.session.scalar(select(func.count()).select_from(AuditEntry).where(*conditions)) or 0
    number = min(search.page, max(1, -(-total // search.per)))
    rows = db.session.scalars(
        select(AuditEntry)
        .where(*conditions)
        .order_by(AuditEntry.id.desc())
        .limit(search.per)
        .offset((number - 1) * search.per)
    ).all()
    return Page(rows, total, number, search.per)


def newest_first(caller: Caller, search: AuditSearch) -> Iterator[AuditEntry]:
    """All entries that match, read as they are used."""
    refuse_all_but_admins(caller)
    query = select(AuditEntry).where(*_matching(search)).order_by(AuditEntry.id.desc())
    yield from _in_chunks(query, AuditEntry.id.__lt__)


def oldest_first(caller: Caller, since: str = "") -> Iterator[AuditEntry]:
    """All entries from this moment on, as `clock` writes one, read as they are used."""
    refuse_all_but_admins(caller)
    query = select(AuditEntry).where(AuditEntry.at >= since).order_by(AuditEntry.id)
    yield from _in_chunks(query, AuditEntry.id.__gt__)


def _in_chunks(
    query: Select[AuditEntry], beyond: Callable[[int], ColumnElement[bool]]
) -> Iterator[AuditEntry]:
    """What a query finds, a chunk at a time; `beyond` an id lies what comes after it."""
    rows = db.session.scalars(query.limit(CHUNK)).all()
    while rows:
        yield from rows
        last = rows[-1].id
        db.session.expunge_all()
        rows = db.session.scalars(query.where(beyond(last)).limit(CHUNK)).all()


def actions(caller: Caller) -> Sequence[str]:
    """What has ever been done, to choose from."""
    refuse_all_but_admins(caller)
    query = select(AuditEntry.action).distinct().order_by(AuditEntry.action)
    return db.session.scalars(query).all()


def _matching(search: AuditSearch) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if search.action:
        conditions.append(AuditEntry.action == search.action)
    if search.q:
        texts = (AuditEntry.object, AuditEntry.actor, AuditEntry.approved_by, AuditEntry.address)
        conditions.append(or_(*(text.icontains(search.q, autoescape=True) for text in texts)))
    return conditions
