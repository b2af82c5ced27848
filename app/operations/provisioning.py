"""Writing the zones of domains that were registered through the platform, and taking it back.

Turning e-mail on or off only leaves an order; somebody carries it out a moment later, outside any
transaction, and again until it is done. So a name server that is down holds up no mailbox. What is
about to be written is noted first: whatever happens in between, it is known as the panel's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from .. import clock
from ..caller import Caller
from ..database import write_transaction
from ..dns.provider import CannotUpdate, Kept, Provider
from ..dns.records import Record
from ..extensions import db, settings
from ..fields import DomainName, RegisteredHere
from ..models import Domain, ZoneJob, ZoneRecord
from .answers import DomainAnswer
from .domains import counted
from .operation import operation
from .results import OneDomain
from .zone_jobs import order_records
from .zones import records_of, records_of_all

LEASE = 120  # seconds; no conversation with a name server takes as long
DELAYS = (10, 30, 120, 600, 3600)  # seconds until the next attempt; the last again and again
LACKING = 3600  # seconds until records that were not written are tried again
MANY = 200  # orders given in one transaction: others write, too
MAX_PROBLEM = 1024  # characters, as the column has them
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


class _AskedAnew(Exception):
    """Something else is wanted by now, or somebody else is at it."""


@dataclass(frozen=True)
class _Claim:
    """A job that is ours until its lease ends, and what it needs to know from the database."""

    name: str
    is_wanted: bool
    asked_at: str
    lease: str
    records: list[Record]
    written: list[Kept]
    intended: list[Kept] = field(default_factory=list)

    def is_of(self, job: ZoneJob) -> bool:
        """Whether nothing else was wanted of the job since, and nobody else has claimed it."""
        return (job.asked_at, job.next_at) == (self.asked_at, self.lease)

    def intend(self, adding: list[Kept]) -> None:
        """Put on record what is about to be added. Raises _AskedAnew, Busy."""
        with write_transaction() as session:
            if not self.is_of(_job(session, self.name)):
                raise _AskedAnew
            _remember(session, self.name, adding)
        self.intended.extend(adding)


def run_due(provider: Provider | None = None, *, at_most: int = 50) -> int:
    """Carry out what is due, each job in its turn; how many were tried.

    Any number of processes and hosts may do so at once. Raises Busy when the database cannot be
    written; what was begun is then taken up again once its lease has ended.
    """
    if not _anything_due():
        return 0
    from ..dns.updates import Rfc2136  # with dnspython, which nobody else needs so far

    provider = provider or Rfc2136.of(settings)
    for number in range(at_most):
        claim = _claim() if _anything_due() else None
        if claim is None:
            return number
        _carry_out(claim, provider)
    return at_most


def rewrite_what_changed() -> None:
    """Order the zones anew whose records are no longer those that were written, as after a node got
    another name; and now and then those that lack some, which something may have been in the way
    of. Raises Busy."""
    behind = _behind()
    db.session.rollback()
    for start in range(0, len(behind), MANY):
        names = behind[start : start + MANY]
        with write_transaction(is_lasting=False) as session:
            query = select(Domain).where(Domain.name.in_(names), _is_looked_after())
            for domain in session.scalars(query.order_by(Domain.name).with_for_update()):
                order_records(domain, are_wanted=True)


def _behind() -> list[str]:
    """The names of domains whose zones are to be written anew, by four queries for all."""
    domains = db.session.scalars(select(Domain).where(_is_looked_after())).all()
    written: dict[str, set[Kept]] = {}
    columns = (ZoneRecord.domain, ZoneRecord.owner, ZoneRecord.type, ZoneRecord.value)
    for name, *values in db.session.execute(select(*columns)) if domains else ():
        written.setdefault(name, set()).add(Kept(*values))
    jobs = {job.name: job for job in db.session.scalars(select(ZoneJob))} if domains else {}
    wanted = records_of_all(domains) if domains else {}
    return [
        name
        for name, records in wanted.items()
        if _is_behind(jobs.get(name), _as_kept(name, records, written), written.get(name, set()))
    ]


def _is_behind(job: ZoneJob | None, wanted: set[Kept], written: set[Kept]) -> bool:
    if job is None:
        return bool(wanted)
    if job.done_at is None and job.is_wanted:  # it is to be done, when its time has come
        return False
    is_long = job.done_at is None or clock.seconds_since(job.done_at) > LACKING
    return bool(written - wanted) or (wanted != written and is_long)


def _as_kept(name: str, records: list[Record], written: dict[str, set[Kept]]) -> set[Kept]:
    """The records as they are kept. Most are so as they are; what is not, dnspython has to say."""
    from ..dns.updates import as_kept

    plainly = {Kept(one.full_name(name), one.type, one.data) for one in records}
    return plainly if plainly == written.get(name) else as_kept(name, records)


def _is_looked_after() -> ColumnElement[bool]:
    """Whether a domain's zone is to hold its records."""
    return Domain.is_registered_here & Domain.email_enabled


def state_of(name: str) -> ZoneJob | None:
    """What was ordered for a domain's zone, and what became of it."""
    found: ZoneJob | None = db.session.get(ZoneJob, name)
    return found


def _anything_due() -> bool:
    found = db.session.scalar(select(ZoneJob.name).where(_is_due()).limit(1))
    db.session.rollback()
    return found is not None


def _is_due() -> ColumnElement[bool]:
    return ZoneJob.done_at.is_(None) & (ZoneJob.next_at <= clock.now())


def _claim() -> _Claim | None:
    """The job that has waited longest, and is nobody else's for the time of its lease."""
    with write_transaction() as session:
        query = select(ZoneJob).where(_is_due()).order_by(ZoneJob.next_at, ZoneJob.name).limit(1)
        job = session.scalar(query.with_for_update(skip_locked=True))
        if job is None:
            return None
        job.next_at = clock.from_now(seconds=LEASE)
        # Whoever gave the order may have read the domain before somebody turned its e-mail off.
        domain = session.scalar(select(Domain).where(Domain.name == job.name, _is_looked_after()))
        is_wanted = job.is_wanted and domain is not None
        return _Claim(
            name=job.name,
            is_wanted=is_wanted,
            asked_at=job.asked_at,
            lease=job.next_at,
            records=records_of(domain) if is_wanted and domain else [],
            written=list(_on_record(session, job.name)),
        )


def _carry_out(claim: _Claim, provider: Provider | None) -> None:
    """Talk to the name server with no transaction open, and record what came of it."""
    try:
        if not claim.is_wanted and not claim.written:
            _record(claim, [], [])
        elif provider is None:
            _record_failure(claim, _NOT_SET_UP, DELAYS[-1])
        elif claim.is_wanted:
            told = provider.put(claim.name, claim.records, claim.written, intend=claim.intend)
            _record(claim, told.kept, [_line(claim, *each) for each in told.left_alone])
        else:
            gone = set(provider.take_back(claim.name, claim.written))
            _record(claim, [one for one in claim.written if one not in gone], [])
    except _AskedAnew:
        return
    except CannotUpdate as error:
        if not error.is_uncertain:
            _forget(claim)
        _record_failure(claim, str(error))


def _record(claim: _Claim, kept: list[Kept], left_alone: list[str]) -> None:
    """What stands and is ours from now on; and that the job is done, unless it was asked anew."""
    with write_transaction() as session:
        job = _job(session, claim.name)
        rows = _on_record(session, claim.name)
        for one in {*claim.written, *claim.intended} - set(kept):
            if one in rows:
                session.delete(rows[one])
        _remember(session, claim.name, kept)
        if not claim.is_of(job):
            # Who came in between may have done its part before this was in the zone.
            job.done_at, job.next_at = None, min(job.next_at, clock.now())
        elif kept and not claim.is_wanted:
            _put_off(job, "Some records are still there, though the name server took the update.")
        else:
            job.done_at, job.attempts = clock.now(), 0
            job.problem = _as_fits(left_alone)


def _forget(claim: _Claim) -> None:
    """Strike off the record what was meant to be added, and for certain was not."""
    with write_transaction() as session:
        rows = _on_record(session, claim.name)
        for one in set(claim.intended) - set(claim.written):
            if one in rows:
                session.delete(rows[one])


def _record_failure(claim: _Claim, sentence: str, delay: int | None = None) -> None:
    with write_transaction() as session:
        job = _job(session, claim.name)
        if claim.is_of(job):
            _put_off(job, sentence, delay)


def _put_off(job: ZoneJob, sentence: str, delay: int | None = None) -> None:
    wait = delay or DELAYS[min(job.attempts, len(DELAYS) - 1)]
    job.attempts += 1
    job.problem = sentence
    job.next_at = clock.from_now(seconds=wait)


def _job(session: Session, name: str) -> ZoneJob:
    """The job as it is now, its row locked."""
    return session.get_one(ZoneJob, name, with_for_update=True)


def _on_record(session: Session, name: str) -> dict[Kept, ZoneRecord]:
    rows = session.scalars(
        select(ZoneRecord).where(ZoneRecord.domain == name).order_by(ZoneRecord.id)
    )
    return {Kept(row.owner, row.type, row.value): row for row in rows}


def _remember(session: Session, name: str, kept: Iterable[Kept]) -> None:
    rows = _on_record(session, name)
    for one in dict.fromkeys(kept):
        if one not in rows:
            values = {"owner": one.owner, "type": one.type, "value": one.value}
            session.add(ZoneRecord(domain=name, **values))


def _line(claim: _Claim, record: Record, why: str) -> str:
    return f"{record.type} {record.full_name(claim.name)}: {why}"


def _as_fits(lines: list[str]) -> str | None:
    """As many lines as can be kept, None for none."""
    while len("\n".join(lines)) > MAX_PROBLEM:
        lines = [*lines[:-2], "…"] if lines[-1] == "…" else [*lines[:-1], "…"]
    return "\n".join(lines) or None
