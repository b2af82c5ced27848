"""What admins' pages show: every domain, person and project.

These change nothing and are not offered to programs; nobody but an admin reaches them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, Select, func, select

from ..addresses import parse_contact, parse_domain
from ..caller import Caller
from ..errors import Forbidden, Invalid, NotFound
from ..extensions import db
from ..fields import MAX_ID
from ..models import (
    Domain,
    Mailbox,
    Membership,
    Node,
    Passkey,
    Person,
    Project,
    Token,
    TwoFactor,
)
from .browse import DomainRow, Page, domain_rows

LinkState = Literal["", "on", "off", "unlinked"]


@dataclass(frozen=True)
class DomainSearch:
    """Which domains to show; unknown values were replaced by these defaults."""

    q: str = ""
    state: LinkState = ""
    page: int = 1
    per: int = 50


def domains(caller: Caller, search: DomainSearch) -> Page[DomainRow]:
    """The domains of all projects, and of none, that match."""
    refuse_all_but_admins(caller)
    conditions = _linked(search.state)
    if search.q:
        conditions.append(Domain.name.contains(_in_ascii(search.q), autoescape=True))
    total = db.session.scalar(select(func.count()).select_from(Domain).where(*conditions)) or 0
    number = min(search.page, max(1, -(-total // search.per)))
    chosen = (
        select(Domain.id)
        .where(*conditions)
        .order_by(Domain.name)
        .limit(search.per)
        .offset((number - 1) * search.per)
    )
    ids = db.session.scalars(chosen).all()
    return Page(domain_rows(Domain.id.in_(ids)), total, number, search.per)


def _in_ascii(text: str) -> str:
    """How a typed name is stored; a part of one is looked for as it is."""
    try:
        return parse_domain(text)
    except Invalid:
        return text.lower()


def _linked(state: LinkState) -> list[ColumnElement[bool]]:
    if state == "unlinked":
        return [Domain.project_id.is_(None)]
    if state:
        return [Domain.email_enabled == (state == "on")]
    return []


def domain(caller: Caller, name: str) -> DomainRow:
    """One domain of whatever project. Raises NotFound."""
    refuse_all_but_admins(caller)
    try:
        rows = domain_rows(Domain.name == parse_domain(name))
    except Invalid:
        rows = []
    if not rows:
        raise NotFound("DOMAIN_NOT_FOUND", "There is no such domain.")
    return rows[0]


@dataclass(frozen=True)
class Placement:
    """A domain with the nodes that can be its home, the one that is thought of (None: no home), and
    what the rest then is: backups."""

    row: DomainRow
    nodes: Sequence[Node]
    next: Node | None
    others: Sequence[Node]

    @property
    def is_same(self) -> bool:
        """Whether that is how it is."""
        return (self.row.home.id if self.row.home else None) == (self.next and self.next.id)


def placement(caller: Caller, name: str, thought_of: str) -> Placement:
    """What setting a domain's home would do. A node that is not there is none. Raises NotFound."""
    row = domain(caller, name)
    there = select(Node).where(Node.lost_at.is_(None)).order_by(Node.name)
    nodes = db.session.scalars(there).all()
    chosen = next((node for node in nodes if node.name == thought_of), None)
    return Placement(row, nodes, chosen, [node for node in nodes if node is not chosen])


@dataclass(frozen=True)
class PersonRow:
    """A person and the projects they belong to."""

    person: Person
    projects: list[Project]
    has_two_factor: bool = False


def people(caller: Caller) -> list[PersonRow]:
    """Everybody who can sign in."""
    refuse_all_but_admins(caller)
    return _with_projects(db.session.scalars(select(Person).order_by(Person.email)).all())


def person(caller: Caller, email: str) -> PersonRow:
    """One person. Raises NotFound."""
    refuse_all_but_admins(caller)
    try:
        known = select(Person).where(Person.email == parse_contact(email))
    except Invalid:
        known = select(Person).where(Person.id.is_(None))
    rows = _with_projects(db.session.scalars(known).all())
    if not rows:
        raise NotFound("PERSON_NOT_FOUND", "There is no such person.")
    return rows[0]


def _with_projects(people: Sequence[Person]) -> list[PersonRow]:
    belongs: dict[int, list[Project]] = {}
    query = select(Membership.person_id, Project).join(Project).order_by(Project.name)
    if len(people) == 1:
        query = query.where(Membership.person_id == people[0].id)
    for person_id, project in db.session.execute(query):
        belongs.setdefault(person_id, []).append(project)
    confirmed = select(TwoFactor.person_id).where(TwoFactor.confirmed_at.is_not(None))
    have = set(db.session.scalars(confirmed.union(select(Passkey.person_id))))
    return [PersonRow(person, belongs.get(person.id, []), person.id in have) for person in people]


@dataclass(frozen=True)
class ProjectRow:
    """A project with how much it holds."""

    project: Project
    people: int
    domains: int
    mailboxes: int


def projects(caller: Caller) -> list[ProjectRow]:
    """All projects with their counts, by one query."""
    refuse_all_but_admins(caller)
    rows = db.session.execute(
        select(
            Project,
            _count(Membership).where(Membership.project_id == Project.id).scalar_subquery(),
            _count(Domain).where(Domain.project_id == Project.id).scalar_subquery(),
            _count(Mailbox)
            .join(Domain)
            .where(Domain.project_id == Project.id, Mailbox.purge_at.is_(None))
            .scalar_subquery(),
        ).order_by(Project.name, Project.id)
    )
    return [ProjectRow(*row) for row in rows]


def _count(model: type) -> Select[int]:
    return select(func.count()).select_from(model)


@dataclass(frozen=True)
class WholeProject:
    """A project with its people and its domains."""

    project: Project
    people: Sequence[Person]
    domains: list[DomainRow]


def project(caller: Caller, project_id: int) -> WholeProject:
    """One project. Raises NotFound."""
    refuse_all_but_admins(caller)
    found = db.session.get(Project, project_id) if project_id <= MAX_ID else None
    if found is None:
        raise NotFound("PROJECT_NOT_FOUND", "There is no such project.")
    members = db.session.scalars(
        select(Person)
        .join(Membership)
        .where(Membership.project_id == project_id)
        .order_by(Person.email)
    ).all()
    return WholeProject(found, members, domain_rows(Domain.project_id == project_id))


def refuse_all_but_admins(caller: Caller) -> None:
    """Raises Forbidden for everybody else."""
    if not caller.is_admin:
        raise Forbidden("Only an admin can see this.")


def tokens(caller: Caller) -> Sequence[Token]:
    """All tokens of all projects and admins, those that still work first."""
    refuse_all_but_admins(caller)
    rows = db.session.scalars(select(Token).order_by(Token.id)).all()
    return sorted(rows, key=lambda token: not token.is_usable)
