"""What pages show of mailboxes: searches within a project, and how full each of them is.

These change nothing and are not offered to programs; programs have the list operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute

from .. import clock
from ..caller import Caller
from ..extensions import db
from ..models import AuditEntry, Domain, Mailbox, MailboxUsage, PasswordLink
from .browse import Page

MailboxState = Literal["", "active", "waiting", "off", "removed"]
Sort = Literal["email", "-email", "quota", "-quota", "used", "-used", "changed", "-changed"]


@dataclass(frozen=True)
class MailboxSearch:
    """What to look for; unknown values were replaced by these defaults."""

    q: str = ""
    domain: str = ""
    state: MailboxState = ""
    sort: Sort = "email"
    page: int = 1
    per: int = 25


_ORDERS: dict[str, ColumnElement[Any] | InstrumentedAttribute[Any]] = {
    "email": Mailbox.email,
    "quota": Mailbox.quota_mb,
    "changed": Mailbox.updated_at,
    "used": func.coalesce(Mailbox.percent_used, -1),
}


@dataclass(frozen=True)
class MailboxRow:
    """A mailbox, what nodes told of it, if they did, and the link its owner has, while it works."""

    mailbox: Mailbox
    usage: MailboxUsage | None
    link: PasswordLink | None


def mailboxes(caller: Caller, search: MailboxSearch) -> Page[MailboxRow]:
    """The project's mailboxes that match, without those of domains whose e-mail is off."""
    domains = select(Domain.id).where(Domain.project_id == caller.project_id, Domain.email_enabled)
    if search.domain:
        domains = domains.where(Domain.name == search.domain)
    conditions = [Mailbox.domain_id.in_(domains), *_state(search.state)]
    if search.q:
        conditions.append(Mailbox.email.contains(search.q.lower(), autoescape=True))
    total = db.session.scalar(select(func.count()).select_from(Mailbox).where(*conditions)) or 0
    number = min(search.page, max(1, -(-total // search.per)))
    column = _ORDERS[search.sort.removeprefix("-")]
    order = column.desc() if search.sort.startswith("-") else column.asc()
    chosen = (
        select(Mailbox.id)
        .where(*conditions)
        .order_by(order, Mailbox.email)
        .limit(search.per)
        .offset((number - 1) * search.per)
    )
    wanted = Mailbox.id.in_(chosen.scalar_subquery())
    rows = db.session.execute(
        _told_of(select(Mailbox, MailboxUsage, PasswordLink), wanted).order_by(order, Mailbox.email)
    ).all()
    return Page([MailboxRow(*row) for row in rows], total, number, search.per)


def one(caller: Caller, mailbox: Mailbox) -> MailboxRow:  # noqa: ARG001 - it is theirs
    """A mailbox the caller has looked up, with what a list tells of it."""
    it = Mailbox.id == mailbox.id
    return MailboxRow(
        mailbox, *db.session.execute(_told_of(select(MailboxUsage, PasswordLink), it)).one()
    )


def _told_of(query: Any, wanted: ColumnElement[bool]) -> Any:
    """A query about mailboxes, with what nodes told of them and the links that work."""
    works = PasswordLink.expires_at > clock.now()
    return (
        query.select_from(Mailbox)
        .outerjoin(MailboxUsage, MailboxUsage.mailbox_id == Mailbox.id)
        .outerjoin(PasswordLink, works & (PasswordLink.mailbox_id == Mailbox.id))
        .where(wanted)
    )


def just_removed(caller: Caller, count: int) -> list[str]:
    """The addresses the caller removed last, so many of them, as far as they still are removed."""
    last = (
        select(AuditEntry.object)
        .where(
            AuditEntry.actor == caller.actor,
            AuditEntry.project_id == caller.project_id,
            AuditEntry.action == "remove-user",
        )
        .order_by(AuditEntry.id.desc())
        .limit(count)
    )
    return list(
        db.session.scalars(
            select(Mailbox.email)
            .join(Domain)
            .where(
                Mailbox.email.in_(last),
                Mailbox.purge_at.is_not(None),
                Domain.project_id == caller.project_id,
            )
            .order_by(Mailbox.email)
        )
    )


def _state(state: MailboxState) -> list[ColumnElement[bool]]:
    """A mailbox is off while it may not sign in or may not receive."""
    if state == "removed":
        return [Mailbox.purge_at.is_not(None)]
    if state == "active":
        works = Mailbox.can_login & Mailbox.can_receive & ~Mailbox.is_waiting
        return [Mailbox.purge_at.is_(None), works]
    if state == "waiting":
        return [Mailbox.purge_at.is_(None), Mailbox.is_waiting.is_(True)]
    if state == "off":
        return [Mailbox.purge_at.is_(None), ~(Mailbox.can_login & Mailbox.can_receive)]
    return [Mailbox.purge_at.is_(None)]


def first_mailboxes(caller: Caller, domain: Domain, count: int) -> Sequence[Mailbox]:
    """The first mailboxes of a domain of the caller's project, without the removed ones."""
    return db.session.scalars(
        select(Mailbox)
        .where(Mailbox.domain_id == domain.id, Domain.project_id == caller.project_id)
        .where(Mailbox.purge_at.is_(None))
        .join(Domain)
        .order_by(Mailbox.email)
        .limit(count)
    ).all()
