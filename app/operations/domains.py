"""The verbs of domains."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import func

from ..caller import Caller
from ..errors import Conflict, StillInUse
from ..extensions import db
from ..fields import DomainName, ProjectId
from ..models import Domain, DomainClaim, Mailbox, Node, Project, PurgeOrder
from .answers import DomainAnswer, DomainsAnswer, RemovedDomainAnswer
from .operation import operation
from .results import Domains, GoneDomain, OneDomain
from .seen import Shown, of_domain
from .zone_checks import begin_check, end_check
from .zone_jobs import order_records


@operation(who="project", answers=DomainAnswer, title="Turn e-mail on")
def enable_email(caller: Caller, *, domain: DomainName) -> OneDomain:
    """Turn e-mail on for a domain that is linked to the project.

    Mailboxes can be made as soon as it is on. Doing it again changes nothing. Mailboxes that were
    removed before e-mail was turned off, and are not purged yet, can be restored again.
    """
    row = caller.domain(domain)
    row.email_enabled = True
    begin_check(row)
    order_records(row, are_wanted=True)
    return counted(caller, [row])[0]


@operation(who="project", answers=DomainAnswer, title="Turn e-mail off", destroys=True)
def disable_email(caller: Caller, *, domain: DomainName) -> OneDomain:
    """Turn e-mail off for a domain; it stays linked to the project.

    Refused with MAILBOXES_EXIST while the domain has active mailboxes; the message says how many.
    Removed mailboxes are kept for the rest of their grace period. Undo it with enable-email.
    """
    row = caller.domain(domain)
    if row.email_enabled:
        refuse_while_in_use(row)
    row.email_enabled = False
    end_check(row)
    order_records(row, are_wanted=False)
    return counted(caller, [row])[0]


@operation(who="project", answers=DomainsAnswer, title="List domains", reads=True)
def list_domains(caller: Caller) -> Domains:
    """List the project's domains that have e-mail turned on, with the number of mailboxes of each.

    Changes nothing. Domains that are linked but have e-mail off are not in the list.
    """
    rows = db.session.scalars(
        db.select(Domain)
        .where(Domain.project_id == caller.project_id, Domain.email_enabled)
        .order_by(Domain.name)
    )
    return Domains(counted(caller, rows))


@operation(who="admin", answers=DomainAnswer, title="Register a domain", adds_up=True, status=201)
def add_domain(
    caller: Caller, *, domain: DomainName, project_id: ProjectId | None = None
) -> OneDomain:
    """Register a mail domain, and link it to a project when project_id is given.

    For admins. E-mail is off until enable-email turns it on. A domain that is registered already
    is refused with DOMAIN_EXISTS.
    """
    if db.session.scalar(db.select(Domain.id).where(Domain.name == domain)):
        raise Conflict("DOMAIN_EXISTS", f"{domain} is already registered.", field="domain")
    if project_id is not None:
        caller.in_project(project_id, field="project_id")
        _end_claim(domain, project_id)
    row = Domain(name=domain, project_id=project_id)
    db.session.add(row)
    db.session.flush()
    return OneDomain(row, 0, 0, tells_project=True)


def _project_shown(caller: Caller, given: dict[str, Any]) -> Shown:
    row = caller.any_domain(given["domain"])
    project = db.session.get(Project, row.project_id) if row.project_id else None
    return of_domain(row, project.name if project else None)


@operation(who="admin", answers=DomainAnswer, shows=_project_shown, is_internal=True)
def assign_domain(caller: Caller, *, domain: DomainName, project_id: ProjectId) -> OneDomain:
    """Link a domain to a project by an operator's word, registering it where that is needed.

    Refused with MAILBOXES_EXIST while it has active mailboxes in another project. What was removed
    there is turned into purge orders: nobody who gets the domain later sees it.
    """
    caller.in_project(project_id, field="project_id")
    row = db.session.scalar(db.select(Domain).where(Domain.name == domain).with_for_update())
    if row is None:
        row = Domain(name=domain)
        db.session.add(row)
        db.session.flush()
    if row.project_id not in (None, project_id):
        refuse_while_in_use(row)
        let_go(row)
    row.project_id = project_id
    _end_claim(domain, project_id)
    return counted(caller, [row])[0]


@operation(who="admin", answers=DomainAnswer, shows=_project_shown, is_internal=True)
def unassign_domain(caller: Caller, *, domain: DomainName) -> OneDomain:
    """Take a domain out of its project; it stays registered, with e-mail off.

    Refused with MAILBOXES_EXIST while it has active mailboxes. What was removed is turned into
    purge orders: nobody who gets the domain later sees it.
    """
    row = caller.any_domain(domain)
    refuse_while_in_use(row)
    let_go(row)
    row.project_id = None
    return counted(caller, [row])[0]


@operation(
    who="admin",
    answers=RemovedDomainAnswer,
    title="Remove a domain from the panel",
    destroys=True,
)
def remove_domain(caller: Caller, *, domain: DomainName) -> GoneDomain:
    """Remove a domain from the panel, whatever project it is linked to.

    For admins. Refused with MAILBOXES_EXIST while it has active mailboxes. Mailboxes that were
    removed before cannot be restored any more; their mail is purged when their time comes.
    """
    row = caller.any_domain(domain)
    refuse_while_in_use(row)
    let_go(row)
    db.session.delete(row)
    return GoneDomain(domain)


def refuse_while_in_use(domain: Domain) -> None:
    """Raises StillInUse while a domain has active mailboxes."""
    count = db.session.scalar(
        db.select(func.count())
        .select_from(Mailbox)
        .where(Mailbox.domain_id == domain.id, Mailbox.purge_at.is_(None))
    )
    if count:
        raise StillInUse(domain.name, count)


def let_go(domain: Domain) -> None:
    """Turn its e-mail off and let go of what it leaves behind: whoever gets it sees nothing of it.

    The removed mailboxes become purge orders that keep their dates.
    """
    domain.email_enabled = False
    end_check(domain)
    order_records(domain, are_wanted=False)
    _order_purges(domain)


def _order_purges(domain: Domain) -> None:
    """Turn the removed mailboxes into purge orders that keep their dates."""
    for mailbox in db.session.scalars(
        db.select(Mailbox).where(Mailbox.domain_id == domain.id, Mailbox.purge_at.is_not(None))
    ):
        db.session.add(PurgeOrder(mailbox_id=mailbox.id, due_at=mailbox.purge_at))
        db.session.delete(mailbox)
    db.session.flush()


def _end_claim(name: str, project_id: int) -> None:
    """The operator's word stands for the proof."""
    db.session.execute(
        db.delete(DomainClaim).where(DomainClaim.name == name, DomainClaim.project_id == project_id)
    )


def counted(caller: Caller, domains: Iterable[Domain]) -> list[OneDomain]:
    """Domains with the counts of their mailboxes, by one query for all of them; for admins with the
    names of their homes, by one more where there are any."""
    rows = list(domains)
    counts = {
        domain_id: (mailboxes, active)
        for domain_id, mailboxes, active in db.session.execute(
            db.select(
                Mailbox.domain_id,
                func.count(),
                func.count().filter(Mailbox.purge_at.is_(None)),
            )
            .where(Mailbox.domain_id.in_([row.id for row in rows]))
            .group_by(Mailbox.domain_id)
        )
    }
    homes = _names_of_homes(rows) if caller.is_admin else {}
    return [
        OneDomain(
            row,
            *counts.get(row.id, (0, 0)),
            tells_project=caller.is_admin,
            home=homes.get(row.home_node_id or 0),
        )
        for row in rows
    ]


def _names_of_homes(domains: list[Domain]) -> dict[int, str]:
    ids = {row.home_node_id for row in domains if row.home_node_id is not None}
    if not ids:
        return {}
    return dict(db.session.execute(db.select(Node.id, Node.name).where(Node.id.in_(ids))).all())
