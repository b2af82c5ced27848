"""What the DNS says of a domain: asked for when somebody wants to know, and now and then by itself.

Name servers are asked outside any transaction, and what was found is kept: pages show the last
good answer. `check_due` may run in several processes and on several hosts at once.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from sqlalchemy import ColumnElement, select

from .. import clock
from ..caller import Caller, no_such_domain
from ..database import write_transaction
from ..dns.check import Report, check, check_many
from ..dns.lookup import Asking
from ..dns.proof import Proof
from ..dns.records import Record
from ..dns.verdicts import DomainState, RecordState, Verdict, domain_state, settled
from ..extensions import db, settings
from ..fields import DomainName
from ..models import DnsCheck, Domain, DomainClaim
from .answers import RecordsAnswer
from .asking import asking
from .claims import live_claim_of, look_for, proof_of
from .operation import operation
from .results import DomainRecords
from .zones import records_of, records_of_all

HOUR, DAY = 3600, 24 * 3600
# What was found so short a while ago is answered again.
FRESH_SECONDS = 5
# How many domains are checked between two looks at the database, and how long that may take:
# after it, others check what is not settled.
MANY, LEASE_SECONDS = 200, 600
# A transaction for each would take longer than the look itself.
KEPT_AT_ONCE = 25


@operation(
    who="project", answers=RecordsAnswer, title="List the DNS records of a domain", reads=True
)
def list_records(caller: Caller, *, domain: DomainName) -> DomainRecords:
    """List the records a domain's zone has to hold for its mail, each with what was last found.

    Asks nobody and changes nothing; check-domain looks anew. Before a domain is linked, its one
    record is the proof of ownership.
    """
    row = _linked(caller, domain)
    if row is None:
        return _of_claim(_claim(caller, domain))
    return _of_domain(row)


@operation(who="project", answers=RecordsAnswer, title="Check a domain in the DNS", reads=True)
def check_domain(caller: Caller, *, domain: DomainName) -> DomainRecords:
    """Ask the domain's own name servers and a resolver which of its records are there by now.

    Answers what list-records does, as found just now, and what is still missing or wrong with what
    to do about it. Takes up to some seconds. Changes nothing but what the panel knows; a domain
    that is not linked yet stays so, verify-domain links it.
    """
    row = _linked(caller, domain)
    if row is None:
        return _check_claim(caller, domain)
    check_row = db.session.get(DnsCheck, row.id)
    if row.email_enabled and not _is_fresh(check_row):
        name, domain_id, records = row.name, row.id, records_of(row)
        with asking(row.project_id or 0) as how:
            report = check(name, records, how)
        _keep([(domain_id, report)])
    return _of_domain(caller.domain(domain))


def begin_check(domain: Domain) -> None:
    """Have a domain looked at from now on, which its e-mail was just turned on for."""
    if db.session.get(DnsCheck, domain.id) is None:
        db.session.add(DnsCheck(domain_id=domain.id))


def end_check(domain: Domain) -> None:
    """Look at it no more."""
    db.session.execute(db.delete(DnsCheck).where(DnsCheck.domain_id == domain.id))


@dataclass
class Checked:
    """How many domains were looked at, and for how many that changed their state."""

    domains: int = 0
    changed: int = 0


def check_due(at_once: int = 32) -> Checked:
    """Check some of the domains that are due. Raises Busy.

    Whoever takes one pushes its next time into the future first, with its row locked: another
    process takes others.
    """
    done = Checked()
    if not _anything_due():
        return done
    ids, wanted = _taken()
    found: list[tuple[int, Report]] = []
    for name, report in check_many(wanted.items(), Asking.of(settings), at_once=at_once):
        found.append((ids[name], report))
        done.domains += 1
        if len(found) >= KEPT_AT_ONCE or done.domains == len(wanted):
            done.changed += _keep(found)
            found.clear()
    return done


def _taken() -> tuple[dict[str, int], dict[str, list[Record]]]:
    """The domains to check by name: their numbers, and the records they are to have."""
    with write_transaction(is_lasting=False) as session:
        rows = session.execute(
            select(DnsCheck, Domain)
            .join(Domain, Domain.id == DnsCheck.domain_id)
            .where(_is_due())
            .order_by(DnsCheck.next_at)
            .limit(MANY)
            .with_for_update(of=DnsCheck, skip_locked=True)
        ).all()
        for row, _domain in rows:
            row.next_at = clock.from_now(seconds=LEASE_SECONDS)
        ids = {domain.name: domain.id for _row, domain in rows}
        return ids, records_of_all(domain for _row, domain in rows)


def check_all() -> None:
    """Have every domain looked at that is not just being so."""
    with write_transaction(is_lasting=False) as session:
        session.execute(db.update(DnsCheck).values(next_at=clock.now()))


def _is_due() -> ColumnElement[bool]:
    return DnsCheck.next_at <= clock.now()


def _anything_due() -> bool:
    """Whether there is a domain to check; it saves a transaction."""
    found = db.session.scalar(select(DnsCheck.domain_id).where(_is_due()).limit(1))
    db.session.rollback()
    return found is not None


def _keep(reports: Sequence[tuple[int, Report]]) -> int:
    """Keep what was found; answers for how many domains it changed their state."""
    found = dict(reports)
    with write_transaction(is_lasting=False) as session:
        # In one order everywhere, lest two wait for each other. What is not there any more is of a
        # domain whose e-mail was turned off meanwhile.
        query = select(DnsCheck).where(DnsCheck.domain_id.in_(found)).order_by(DnsCheck.domain_id)
        rows = session.scalars(query.with_for_update()).all()
        return sum(_enter(row, found[row.domain_id]) for row in rows)


def _enter(row: DnsCheck, report: Report) -> bool:
    verdicts = settled([Verdict.from_json(one) for one in row.records], report.verdicts)
    was = cast(DomainState, row.state)
    state = domain_state(verdicts, was=was, since=row.since)
    row.records = [verdict.to_json() for verdict in verdicts]
    row.provider = report.provider or row.provider
    row.sources = report.sources
    row.checked_at = clock.now()
    row.next_at = clock.from_now(seconds=_pause(state))
    if state != was:
        row.state, row.since = state, row.checked_at
    return state != was


def _pause(state: DomainState) -> int:
    """Seconds until the next look; spread, so that thousands of domains do not come due at once."""
    pause = DAY if state == "ready" else HOUR
    return int(pause * random.uniform(0.9, 1.0))  # noqa: S311 - nothing depends on it


def _is_fresh(row: DnsCheck | None) -> bool:
    return bool(row and row.checked_at and 0 <= clock.seconds_since(row.checked_at) < FRESH_SECONDS)


def _linked(caller: Caller, name: str) -> Domain | None:
    found: Domain | None = db.session.scalar(
        select(Domain).where(Domain.name == name, Domain.project_id == caller.project_id)
    )
    return found


def _claim(caller: Caller, name: str) -> DomainClaim:
    """The project's claim; without one the domain does not exist for it. Raises NotFound."""
    claim = live_claim_of(caller, name)
    if claim is None:
        raise no_such_domain(name)
    return claim


def _check_claim(caller: Caller, name: str) -> DomainRecords:
    proof = look_for(_claim(caller, name))
    return _of_claim(_claim(caller, name), proof)


def _of_domain(domain: Domain) -> DomainRecords:
    """The records that are expected at present, each with what was last found of it."""
    row = db.session.get(DnsCheck, domain.id)
    found = [Verdict.from_json(one) for one in row.records] if row else []
    known = {verdict.record: verdict for verdict in found}
    records = records_of(domain)
    return DomainRecords(
        domain.name,
        state="off" if not domain.email_enabled else row.state if row else "checking",
        verdicts=[known.get(record) or _unknown(record) for record in records],
        checked_at=row.checked_at if row else None,
        provider=row.provider if row else None,
        is_managed=domain.is_registered_here,
    )


def _unknown(record: Record) -> Verdict:
    """Of a record that nobody has looked for yet."""
    return Verdict(record, "unknown", (), None, None, None, clock.now())


def _of_claim(claim: DomainClaim, proof: Proof | None = None) -> DomainRecords:
    verdict = _unknown(proof_of(claim))
    if proof:
        state: RecordState = "ok" if proof.state == "proven" else proof.state
        verdict = replace(verdict, state=state, found=proof.found, advice=proof.sentence)
    elif claim.problem:
        verdict = replace(verdict, state="missing", advice=claim.problem)
    return DomainRecords(
        claim.name, state="unproven", verdicts=[verdict], checked_at=claim.checked_at
    )
