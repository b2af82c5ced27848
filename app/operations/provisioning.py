"""Writing the zones of domains that were registered through the platform, and taking it back.

Turning e-mail on or off only leaves an order; somebody carries it out a moment later, outside any
transaction, and again until it is done. So a name server that is down holds up no mailbox. What is
about to be written is noted first: whatever happens in between, it is known as the panel's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from .. import clock
from ..caller import Caller
from ..database import write_transaction
from ..dns.records import Record
from ..dns.updates import CannotUpdate, Kept, Provider, Rfc2136
from ..extensions import db, settings
from ..fields import DomainName, RegisteredHere
from ..models import Domain, ZoneJob, ZoneRecord
from .answers import DomainAnswer
from .domains import counted
from .operation import operation
from .results import OneDomain
from .zone_jobs import order_records
from .zones import records_of

MANY, LEASE_SECONDS = 5, 300
# How long to wait before trying again, by how often it failed; after that hourly.
_PAUSES = (10, 30, 120, 600)
HOUR = 3600
_NOT_SET_UP = "No name server is set up to be written: MAILCOTE_DNS_UPDATE_SERVER and _KEY name it."


@operation(who="admin", answers=DomainAnswer, title="Say who registered a domain")
def update_domain(
    caller: Caller, *, domain: DomainName, registered_here: RegisteredHere
) -> OneDomain:
    """Say whether a domain was registered through the platform, which then looks after its zone.

    For admins. The records of such a domain are written into its zone by themselves while its
    e-mail is on, and taken back when that ends; nothing else in the zone is touched. Said of
    another domain, what was written is taken back.
    """
    row = caller.any_domain(domain)
    if row.is_registered_here and not registered_here:
        order_records(row, are_wanted=False)
    row.is_registered_here = registered_here
    if row.email_enabled:
        order_records(row, are_wanted=True)
    return counted(caller, [row])[0]


@dataclass(frozen=True)
class _Order:
    """A job that was taken, with what it needs."""

    name: str
    asked_at: str
    is_wanted: bool
    records: Sequence[Record]  # none: what was written is to be taken back
    written: Sequence[Kept]


def run_due() -> int:
    """Carry out the orders that are due; how many there were. Raises Busy.

    Several processes may do so at once: whoever takes one pushes its next time into the future.
    """
    is_due = ZoneJob.done_at.is_(None) & (ZoneJob.next_at <= clock.now())
    if db.session.scalar(select(ZoneJob.name).where(is_due).limit(1)) is None:
        db.session.rollback()
        return 0
    provider = Rfc2136.of(settings)
    with write_transaction() as session:
        jobs = session.scalars(
            select(ZoneJob)
            .where(is_due)
            .order_by(ZoneJob.next_at)
            .limit(MANY)
            .with_for_update(skip_locked=True)
        ).all()
        orders = [_taken(job) for job in jobs]
    for order in orders:
        _carry_out(provider, order)
    return len(orders)


def rewrite_what_changed() -> None:
    """Order the zones anew whose records are no longer those that were written, as after a node got
    another name. Raises Busy."""
    with write_transaction(is_lasting=False) as session:
        domains = session.scalars(
            select(Domain).where(Domain.is_registered_here, Domain.email_enabled)
        ).all()
        for domain in domains:
            wanted = {
                (one.full_name(domain.name), one.type, one.data) for one in records_of(domain)
            }
            known = {(one.owner, one.type, one.value) for one in _written(domain.name)}
            job = session.get(ZoneJob, domain.name)
            if known - wanted or (job is None and wanted):
                order_records(domain, are_wanted=True)


def state_of(name: str) -> ZoneJob | None:
    """What was ordered for a domain's zone, and what became of it."""
    found: ZoneJob | None = db.session.get(ZoneJob, name)
    return found


def _taken(job: ZoneJob) -> _Order:
    job.next_at = clock.from_now(seconds=LEASE_SECONDS)
    domain = db.session.scalar(select(Domain).where(Domain.name == job.name))
    is_wanted = job.is_wanted and domain is not None
    records = records_of(domain) if domain is not None and is_wanted else []
    return _Order(job.name, job.asked_at, job.is_wanted, records, _written(job.name))


def _written(name: str) -> list[Kept]:
    rows = db.session.scalars(select(ZoneRecord).where(ZoneRecord.domain == name))
    return [Kept(row.owner, row.type, row.value) for row in rows]


def _carry_out(provider: Provider | None, order: _Order) -> None:
    if not order.records and not order.written:
        _finish(order, [], [])
        return
    if provider is None:
        _fail(order, _NOT_SET_UP)
        return
    try:
        change = provider.prepare(order.name, order.records, order.written)
        if change.add:
            with write_transaction():
                _note(order.name, {*order.written, *change.kept, *change.add})
        provider.apply(change)
    except CannotUpdate as error:
        _fail(order, str(error))
        return
    _finish(order, change.kept + change.add, change.left_alone)


def _note(name: str, written: Iterable[Kept]) -> None:
    """Keep what is in a zone by our doing."""
    db.session.execute(db.delete(ZoneRecord).where(ZoneRecord.domain == name))
    for one in written:
        db.session.add(ZoneRecord(domain=name, owner=one.owner, type=one.type, value=one.value))


def _finish(order: _Order, written: Sequence[Kept], left_alone: Sequence[str]) -> None:
    with write_transaction() as session:
        _note(order.name, written)
        job = session.get(ZoneJob, order.name, with_for_update=True)
        if job is None:
            return
        job.attempts = 0
        job.problem = " ".join(left_alone)[:1024] or None
        if (job.asked_at, job.is_wanted) == (order.asked_at, order.is_wanted):
            job.done_at = clock.now()
        else:  # it was asked for anew meanwhile
            job.next_at = clock.now()


def _fail(order: _Order, problem: str) -> None:
    with write_transaction() as session:
        job = session.get(ZoneJob, order.name, with_for_update=True)
        if job is None:
            return
        pause = _PAUSES[job.attempts] if job.attempts < len(_PAUSES) else HOUR
        job.attempts += 1
        job.problem = problem[:1024]
        job.next_at = clock.from_now(seconds=pause)
