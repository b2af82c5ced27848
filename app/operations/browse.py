"""What pages show: what there is of each kind, within what the caller can reach.

These change nothing and are not offered to programs; programs have the list operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import ColumnElement, func, select

from .. import clock
from ..caller import Caller
from ..errors import Forbidden
from ..extensions import db
from ..models import (
    DnsCheck,
    Domain,
    Mailbox,
    Node,
    Project,
    Token,
)
from ..models.mail import FULL, NEARLY_FULL
from ..models.nodes import DOWN_SECONDS, is_awaited
from .results import Sync, slowest, sync_of

Row = TypeVar("Row")
# Domains whose mail worked and does no more (app.dns.verdicts.DomainState).
TROUBLED = ("attention", "blocked")


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
class DomainRow:
    """A domain with the counts of its mailboxes, the name of its project, its home, and its state
    in the DNS (app.dns.verdicts.DomainState), None while its e-mail is off."""

    domain: Domain
    active: int
    removed: int
    project: str | None
    home: Node | None
    dns: str | None


def domains(caller: Caller) -> list[DomainRow]:
    """All domains linked to the caller's project, e-mail on or off, sorted by name."""
    return domain_rows(Domain.project_id == caller.project_id)


def mail_domains(caller: Caller) -> Sequence[Domain]:
    """The domains of the caller's project whose e-mail is on, by name; no mailbox is counted."""
    return db.session.scalars(
        select(Domain)
        .where(Domain.project_id == caller.project_id, Domain.email_enabled)
        .order_by(Domain.name)
    ).all()


def domain_or_none(caller: Caller, name: str) -> DomainRow | None:
    """One domain of the caller's project, by one query."""
    rows = domain_rows((Domain.name == name) & (Domain.project_id == caller.project_id))
    return rows[0] if rows else None


def domain_rows(condition: ColumnElement[bool]) -> list[DomainRow]:
    """The domains of a condition with their counts, sorted by name, by one query."""
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
            Node,
            DnsCheck.state,
        )
        .outerjoin(counts, counts.c.domain_id == Domain.id)
        .outerjoin(Project, Project.id == Domain.project_id)
        .outerjoin(Node, Node.id == Domain.home_node_id)
        .outerjoin(DnsCheck, DnsCheck.domain_id == Domain.id)
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
    nearly_full: int
    full: int
    quota_mb: int
    troubled: int
    synced_nodes: int
    reachable_nodes: int

    @property
    def steps(self) -> dict[str, bool]:
        """What it takes until mail works, in order, and whether each is done."""
        return {
            "domain": self.domains > 0,
            "email": self.enabled > 0,
            "mailbox": self.active + self.removed > 0,
            "node": self.synced_nodes > 0,
        }

    @property
    def next_step(self) -> str | None:
        """The first step that is not done."""
        return next((step for step, is_done in self.steps.items() if not is_done), None)


def overview(caller: Caller) -> Overview:
    """Counts of the caller's project, by two queries."""
    linked = Domain.project_id == caller.project_id
    removed = Mailbox.purge_at.is_not(None)
    is_off = Mailbox.purge_at.is_(None) & ~(Mailbox.can_login & Mailbox.can_receive)
    heard = clock.from_now(seconds=-DOWN_SECONDS)
    synced = select(func.count()).select_from(Node).where(Node.last_sync_at.is_not(None))
    reachable = synced.where(Node.last_sync_at > heard, is_awaited())
    total, enabled, troubled, *nodes = db.session.execute(
        select(
            func.count(),
            func.count().filter(Domain.email_enabled),
            func.count().filter(DnsCheck.state.in_(TROUBLED)),
            synced.scalar_subquery(),
            reachable.scalar_subquery(),
        )
        .select_from(Domain)
        .outerjoin(DnsCheck, DnsCheck.domain_id == Domain.id)
        .where(linked)
    ).one()
    active, gone, off, nearly_full, full, quota = db.session.execute(
        select(
            func.count().filter(~removed),
            func.count().filter(removed),
            func.count().filter(is_off),
            func.count().filter(~removed, Mailbox.percent_used.between(NEARLY_FULL, FULL - 1)),
            func.count().filter(~removed, Mailbox.percent_used >= FULL),
            func.coalesce(func.sum(Mailbox.quota_mb).filter(~removed), 0),
        )
        .select_from(Mailbox)
        .where(Mailbox.domain_id.in_(select(Domain.id).where(linked, Domain.email_enabled)))
    ).one()
    return Overview(
        total, enabled, active, gone, off, nearly_full, full, int(quota), troubled, *nodes
    )


def sync(caller: Caller, mailbox: Mailbox) -> Sync:  # noqa: ARG001 - how far is no secret
    """On how many nodes the last change of a mailbox or its domain is live, and which one it waits
    for."""
    revision = max(mailbox.revision, mailbox.domain.revision)
    found = sync_of(db.session(), mailbox, revision)
    if found.nodes_applied < found.nodes:
        found.waiting_for = slowest(db.session(), mailbox, revision)
    return found


def home_host(caller: Caller, domain: Domain) -> str | None:  # noqa: ARG001 - as mail_nodes
    """The public name of a domain's home, which mail programs use; None without a home."""
    home = db.session.get(Node, domain.home_node_id) if domain.home_node_id else None
    return home.host if home else None


def token(caller: Caller, token_id: int) -> Token | None:
    """One token of the caller's project."""
    found: Token | None = db.session.scalar(
        select(Token).where(Token.id == token_id, Token.project_id == caller.project_id)
    )
    return found


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


def nodes_down(caller: Caller) -> int:
    """How many nodes are down, for the title of admins' pages."""
    if not caller.is_admin:
        raise Forbidden("Only an admin can see this.")
    return sum(node.state == "down" for node in db.session.scalars(select(Node)))
