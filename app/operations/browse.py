"""What pages show: searches and lists, each within what the caller can reach.

These change nothing and are not offered to programs; programs have the list operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute

from ..caller import Caller
from ..errors import Forbidden
from ..extensions import db
from ..models import (
    AuditEntry,
    Domain,
    Feed,
    Mailbox,
    Membership,
    Node,
    Person,
    Project,
    SyncKey,
    Token,
)
from .results import Sync, sync_of

Row = TypeVar("Row")
MailboxState = Literal["", "active", "off", "removed"]
Sort = Literal["email", "-email", "quota", "-quota", "changed", "-changed"]


@dataclass(frozen=True)
class Page(Generic[Row]):
    """One page of a list; `number` begins at 1."""

    rows: Sequence[Row]
    total: int
    number: int
    per: int

    @property
    def last(self) -> int:
        """The number of the last page."""
        return max(1, -(-self.total // self.per))


@dataclass(frozen=True)
class MailboxSearch:
    """What to look for; unknown values were replaced by these defaults."""

    q: str = ""
    domain: str = ""
    state: MailboxState = ""
    sort: Sort = "email"
    page: int = 1
    per: int = 25


_ORDERS: dict[str, InstrumentedAttribute[Any]] = {
    "email": Mailbox.email,
    "quota": Mailbox.quota_mb,
    "changed": Mailbox.updated_at,
}


def mailboxes(caller: Caller, search: MailboxSearch) -> Page[Mailbox]:
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
    rows = db.session.scalars(
        select(Mailbox)
        .where(*conditions)
        .order_by(order, Mailbox.email)
        .limit(search.per)
        .offset((number - 1) * search.per)
    ).all()
    return Page(rows, total, number, search.per)


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
        return [Mailbox.purge_at.is_(None), Mailbox.can_login & Mailbox.can_receive]
    if state == "off":
        return [Mailbox.purge_at.is_(None), ~(Mailbox.can_login & Mailbox.can_receive)]
    return [Mailbox.purge_at.is_(None)]


@dataclass(frozen=True)
class DomainRow:
    """A domain with the counts of its mailboxes and the name of its project."""

    domain: Domain
    active: int
    removed: int
    project: str | None


def domains(caller: Caller) -> list[DomainRow]:
    """All domains linked to the caller's project, e-mail on or off, sorted by name."""
    return _domains(Domain.project_id == caller.project_id)


def all_domains(caller: Caller) -> list[DomainRow]:
    """All domains of the panel, for admins."""
    _refuse_all_but_admins(caller)
    return _domains(Domain.id.is_not(None))


def _domains(condition: ColumnElement[bool]) -> list[DomainRow]:
    counts = (
        select(
            Mailbox.domain_id,
            func.count().filter(Mailbox.purge_at.is_(None)).label("active"),
            func.count().filter(Mailbox.purge_at.is_not(None)).label("removed"),
        )
        .where(Mailbox.domain_id.in_(select(Domain.id).where(condition)))
        .group_by(Mailbox.domain_id)
        .subquery()
    )
    rows = db.session.execute(
        select(
            Domain,
            func.coalesce(counts.c.active, 0),
            func.coalesce(counts.c.removed, 0),
            Project.name,
        )
        .outerjoin(counts, counts.c.domain_id == Domain.id)
        .outerjoin(Project, Project.id == Domain.project_id)
        .where(condition)
        .order_by(Domain.name)
    )
    return [DomainRow(*row) for row in rows]


@dataclass(frozen=True)
class Overview:
    """What the first page tells of a project."""

    domains: int
    enabled: int
    active: int
    removed: int
    off: int
    quota_mb: int
    synced_nodes: int


def overview(caller: Caller) -> Overview:
    """Counts of the caller's project, by two queries."""
    linked = Domain.project_id == caller.project_id
    removed = Mailbox.purge_at.is_not(None)
    is_off = Mailbox.purge_at.is_(None) & ~(Mailbox.can_login & Mailbox.can_receive)
    total, enabled, nodes = db.session.execute(
        select(
            func.count(),
            func.count().filter(Domain.email_enabled),
            select(func.count())
            .select_from(Node)
            .where(Node.last_sync_at.is_not(None))
            .scalar_subquery(),
        ).where(linked)
    ).one()
    active, gone, off, quota = db.session.execute(
        select(
            func.count().filter(~removed),
            func.count().filter(removed),
            func.count().filter(is_off),
            func.coalesce(func.sum(Mailbox.quota_mb).filter(~removed), 0),
        )
        .select_from(Mailbox)
        .where(Mailbox.domain_id.in_(select(Domain.id).where(linked, Domain.email_enabled)))
    ).one()
    return Overview(total, enabled, active, gone, off, int(quota), nodes)


def sync(caller: Caller, revision: int) -> Sync:  # noqa: ARG001 - how far is no secret
    """On how many nodes a revision is live."""
    return sync_of(db.session(), revision)


def tokens(caller: Caller) -> Sequence[Token]:
    """The tokens of the caller's project, the usable ones first."""
    return db.session.scalars(
        select(Token)
        .where(Token.project_id == caller.project_id)
        .order_by(Token.revoked_at.is_not(None), Token.created_at.desc(), Token.id.desc())
    ).all()


def projects(caller: Caller) -> Sequence[Project]:
    """The projects the caller can choose from, by name."""
    query = select(Project).order_by(Project.name, Project.id)
    if caller.projects is not None:
        query = query.where(Project.id.in_(caller.projects))
    return db.session.scalars(query).all()


@dataclass(frozen=True)
class NodeRow:
    """A node, how many changes it is behind (None: not told yet), and its keys."""

    node: Node
    behind: int | None
    keys: Sequence[SyncKey] = ()


def nodes(caller: Caller) -> list[NodeRow]:
    """All nodes with their lag, for admins."""
    _refuse_all_but_admins(caller)
    feed = db.session.scalars(select(Feed)).one()
    return [
        NodeRow(node, _behind(node, feed))
        for node in db.session.scalars(select(Node).order_by(Node.name))
    ]


def node(caller: Caller, name: str) -> NodeRow | None:
    """One node with its keys, for admins."""
    _refuse_all_but_admins(caller)
    found = db.session.scalar(select(Node).where(Node.name == name))
    if found is None:
        return None
    feed = db.session.scalars(select(Feed)).one()
    keys = db.session.scalars(
        select(SyncKey).where(SyncKey.node_id == found.id).order_by(SyncKey.id.desc())
    ).all()
    return NodeRow(found, _behind(found, feed), keys)


def nodes_down(caller: Caller) -> int:
    """How many nodes are down, for the title of admins' pages."""
    _refuse_all_but_admins(caller)
    return sum(node.state == "down" for node in db.session.scalars(select(Node)))


def _behind(node: Node, feed: Feed) -> int | None:
    if node.applied_revision is None or node.applied_epoch != feed.epoch:
        return None
    return max(0, feed.revision - node.applied_revision)


@dataclass(frozen=True)
class PersonRow:
    """A person and the projects they belong to."""

    person: Person
    projects: list[Project]


def people(caller: Caller) -> list[PersonRow]:
    """Everybody who can sign in, for admins, by two queries."""
    _refuse_all_but_admins(caller)
    belongs: dict[int, list[Project]] = {}
    for person_id, project in db.session.execute(
        select(Membership.person_id, Project)
        .join(Project, Project.id == Membership.project_id)
        .order_by(Project.name)
    ):
        belongs.setdefault(person_id, []).append(project)
    everybody = db.session.scalars(select(Person).order_by(Person.email))
    return [PersonRow(person, belongs.get(person.id, [])) for person in everybody]


@dataclass(frozen=True)
class ProjectRow:
    """A project with how much it holds."""

    project: Project
    people: int
    domains: int


def project_rows(caller: Caller) -> list[ProjectRow]:
    """All projects, for admins."""
    _refuse_all_but_admins(caller)
    members = (
        select(func.count())
        .select_from(Membership)
        .where(Membership.project_id == Project.id)
        .scalar_subquery()
    )
    linked = (
        select(func.count())
        .select_from(Domain)
        .where(Domain.project_id == Project.id)
        .scalar_subquery()
    )
    rows = db.session.execute(select(Project, members, linked).order_by(Project.name, Project.id))
    return [ProjectRow(*row) for row in rows]


@dataclass(frozen=True)
class AuditSearch:
    """Which entries of the audit log to show."""

    q: str = ""
    action: str = ""
    page: int = 1
    per: int = 50


def audit(caller: Caller, search: AuditSearch) -> Page[AuditEntry]:
    """The audit log, newest first, for admins."""
    _refuse_all_but_admins(caller)
    conditions: list[ColumnElement[bool]] = []
    if search.action:
        conditions.append(AuditEntry.action == search.action)
    if search.q:
        conditions.append(
            AuditEntry.object.contains(search.q, autoescape=True)
            | AuditEntry.actor.contains(search.q, autoescape=True)
            | AuditEntry.address.contains(search.q, autoescape=True)
        )
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


def _refuse_all_but_admins(caller: Caller) -> None:
    if not caller.is_admin:
        raise Forbidden("Only an admin can see this.")
