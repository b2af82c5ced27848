"""The revision that every change of what nodes must know raises, and the record of who did what.

The counter is raised near the end of the transaction that makes the change, and its row stays
locked until the commit: revision n+1 can be taken only when n is committed or rolled back, so a
reader who sees revision n sees every change up to n. (A database sequence would not do: numbers
are then seen in another order than they were given, and readers miss changes.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, cast

from sqlalchemy import Index, Table, Update, bindparam, event, func, insert, inspect, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.orm.attributes import set_committed_value

from .. import clock
from ..extensions import Base, db
from .columns import Actor, Id, Moment, Name, Word
from .mail import Domain, Gone, Mailbox, PurgeAck, PurgeOrder


class Feed(Base):
    """The one row that says which state of the panel this is.

    `epoch` changes when the panel is restored from a backup; within it the revision never falls.
    `users` counts the exported mailboxes as the operations account for them: when the export
    holds as many, its being smaller than before is meant, and `shrink_is_meant` allows it. A
    panel that is new or restored has no such account of what nodes hold: it is false until they
    all follow this epoch, or an admin confirms the shrinking.
    """

    __tablename__ = "feed"
    exported = ("shrink_is_meant", "users")
    is_exported = True

    id: Mapped[Id]
    epoch: Mapped[Word]
    revision: Mapped[int]
    users: Mapped[int]
    shrink_is_meant: Mapped[bool]
    deltas_from: Mapped[int] = mapped_column(default=0, server_default="0")


class AuditEntry(Base):
    """One thing that was done: by whom, from where, to what. Never a value that was secret.

    Entries are added in the transaction that did it, and never changed or deleted: the database
    refuses that, by triggers that migration 0011 makes.
    """

    __tablename__ = "audit_entries"
    __table_args__ = (Index(None, "action", "at"), {"sqlite_autoincrement": True})

    id: Mapped[Id]
    at: Mapped[Moment] = mapped_column(default=clock.now, index=True)
    actor: Mapped[Actor]
    approved_by: Mapped[Actor | None]  # the person who let an assistant do it
    address: Mapped[Word | None]
    project_id: Mapped[int | None] = mapped_column(index=True)
    action: Mapped[Word]
    object: Mapped[str]
    given: Mapped[Name]  # the names of the fields that were given, never their values
    revision: Mapped[int]


# Past the session, which would take five times as long: nobody asks for a line just written.
_RECORD = insert(cast(Table, AuditEntry.__table__))


def record(
    session: Session,
    *,
    actor: str,
    action: str,
    object: str = "",  # noqa: A002 - the column's name
    given: str = "",
    address: str | None = None,
    project_id: int | None = None,
    approved_by: str | None = None,
    revision: int | None = None,
) -> None:
    """Add a line to the audit log; `revision` is the present one where none was raised."""
    if revision is None:
        revision = session.scalars(db.select(Feed.revision)).one()
    line = {
        "actor": actor,
        "action": action,
        "object": object,
        "given": given,
        "address": address,
        "project_id": project_id,
        "approved_by": approved_by,
        "revision": revision,
    }
    session.execute(_RECORD, line)


# The revision at which the present epoch began; NULL where nothing was ever restored.
RESTORED_AT = (
    select(func.max(AuditEntry.revision)).where(AuditEntry.action == "restore").scalar_subquery()
)

STAMPS: tuple[str, ...] = ("revision", "address_revision")  # the second only of addresses
Exported = Domain | Feed | Mailbox | PurgeAck | PurgeOrder


@event.listens_for(db.session, "before_flush")
def _note_exported_changes(session: Session, _context: Any, _instances: Any) -> None:
    noted: set[Exported] = session.info.setdefault("exported", set())
    for row in (*session.new, *session.dirty, *session.deleted):
        if isinstance(row, Exported) and _nodes_must_know(session, row):
            noted.add(row)
            if isinstance(row, Mailbox) and _changes_address(session, row):
                session.info.setdefault("addressed", set()).add(row)
            session.info["users"] = session.info.get("users", 0) + _difference(session, row)
        if row in session.deleted and isinstance(row, Domain | Mailbox | PurgeOrder):
            # Its e-mail may have been turned off an instant before, within this transaction.
            was_exported = _was_exported(row) or row in noted
            session.info.setdefault("gone", []).append((row, was_exported))


@event.listens_for(db.session, "after_rollback")
@event.listens_for(db.session, "after_commit")
def _forget_exported_changes(session: Session) -> None:
    session.info.pop("exported", None)
    session.info.pop("addressed", None)
    session.info.pop("users", None)
    session.info.pop("gone", None)


# Made once: making it would take as long as running it does. Of the table, not of the model, whose
# rows the session would look for.
_feed = cast(Table, Feed.__table__).c
_RAISE = (
    update(cast(Table, Feed.__table__))
    .values(revision=_feed.revision + 1, users=_feed.users + bindparam("more_users"))
    .returning(_feed.revision)
)
# Who listens on this channel hears of the change when it is committed. One statement does both.
CHANNEL = "mailcote_changes"
_RAISE_AND_TELL = _RAISE.returning(func.pg_notify(CHANNEL, ""))


def raise_revision(session: Session) -> int:
    """Raise the revision if this transaction changed what nodes must know; the revision then."""
    session.flush()
    changed: set[Exported] = session.info.get("exported", set())
    if not changed:
        present: int = session.scalars(db.select(Feed.revision)).one()
        _remember_gone(session, present)
        return present
    more = {"more_users": session.info.get("users", 0)}
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    revision: int = session.execute(_RAISE if is_sqlite else _RAISE_AND_TELL, more).one()[0]
    _stamp(session, [row for row in changed if row in session], revision)  # not what was deleted
    session.info["exported"], session.info["addressed"] = set(), set()
    session.info["users"] = 0
    _remember_gone(session, revision)
    return revision


def _stamp(session: Session, rows: Iterable[Exported], revision: int) -> None:
    """Write the revision into rows, past the session: a second flush costs what the first did.

    One statement for all of a kind, since a node can be the home of thousands of domains.
    """
    addressed: set[Mailbox] = session.info.get("addressed", set())
    alike: defaultdict[tuple[type[Exported], tuple[str, ...]], list[Exported]] = defaultdict(list)
    for row in rows:
        stamped = STAMPS if row in addressed else STAMPS[:1]
        alike[type(row), stamped].append(row)
        for name in stamped:
            set_committed_value(row, name, revision)
    for (kind, names), those in alike.items():
        stamps = dict.fromkeys(names, revision)
        session.execute(_stamping(kind, names), [{**stamps, **_keys_of(row)} for row in those])


def _keys_of(row: Exported) -> dict[str, Any]:
    state: Any = inspect(row)
    return {f"key{place}": key for place, key in enumerate(state.identity)}


@cache
def _stamping(kind: type[Exported], names: tuple[str, ...]) -> Update:
    table = cast(Table, kind.__table__)
    is_row = [column == bindparam(f"key{place}") for place, column in enumerate(table.primary_key)]
    return update(table).where(*is_row).values({name: bindparam(name) for name in names})


def tell_nodes_of(session: Session, domains: Iterable[Domain]) -> None:
    """Raise the revision for these domains too: their home changed, though their rows did not."""
    noted: set[Exported] = session.info.setdefault("exported", set())
    noted.update(domain for domain in domains if domain.is_exported)


def _remember_gone(session: Session, revision: int) -> None:
    """Keep the names of rows that are deleted, so that who asks what changed is told.

    What nodes were to drop already went with the revision that its row had last.
    """
    for row, was_exported in session.info.pop("gone", []):
        kind, key = _named(row)
        if gone_with := revision if was_exported else row.revision:
            session.merge(Gone(kind=kind, key=key, revision=gone_with))


def _named(row: Domain | Mailbox | PurgeOrder) -> tuple[str, str]:
    if isinstance(row, PurgeOrder):
        return "purge", row.mailbox_id
    return ("domain", row.name) if isinstance(row, Domain) else ("user", row.id)


def _was_exported(row: Domain | Mailbox | PurgeOrder) -> bool:
    """Whether nodes held it until its deletion, as far as the row itself tells."""
    if isinstance(row, PurgeOrder):
        return row.is_released
    name = "email_enabled" if isinstance(row, Domain) else "purge_at"
    attributes: Any = inspect(row).attrs  # type: ignore[attr-defined]  # of a union of models
    history = attributes[name].history
    before = history.deleted[0] if history.deleted else getattr(row, name)
    return bool(before) if isinstance(row, Domain) else before is None


def _nodes_must_know(session: Session, row: Exported) -> bool:
    if row in session.new or row in session.deleted:
        return _difference(session, row) != 0 if isinstance(row, Mailbox) else row.is_exported
    if isinstance(row, Domain) and not (row.is_exported or _was_exported(row)):
        return False
    return _has_changed(row, row.exported)


def _changes_address(session: Session, row: Mailbox) -> bool:
    return row in session.new or row in session.deleted or _has_changed(row, row.addressed)


def _has_changed(row: Exported, names: Sequence[str]) -> bool:
    attributes: Any = inspect(row).attrs  # type: ignore[attr-defined]  # of a union of models
    return any(attributes[name].history.has_changes() for name in names)


def _difference(session: Session, row: Exported) -> int:
    """By how many users the export grows through the change of this row."""
    if not isinstance(row, Mailbox):
        return 0
    history = inspect(row).attrs.purge_at.history
    before = history.deleted[0] if history.deleted else row.purge_at
    was_there = row not in session.new and before is None
    is_there = row not in session.deleted and row.purge_at is None
    return is_there - was_there
