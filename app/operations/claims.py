"""Claims of domains: which there are, and whether their proof is in the DNS by now."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import select

from .. import clock
from ..caller import Caller
from ..database import write_transaction
from ..dns.lookup import Asking
from ..dns.proof import Proof, look_for_proof, proof_record
from ..dns.records import Record
from ..extensions import db, settings
from ..models import Domain, DomainClaim
from .asking import asking

HOUR, LEASE_SECONDS = 3600, 600
MANY, AT_ONCE = 200, 16


def claim_of(caller: Caller, domain: str) -> DomainClaim | None:
    """The project's claim of a domain, in time or not."""
    found: DomainClaim | None = db.session.scalar(
        select(DomainClaim).where(
            DomainClaim.name == domain, DomainClaim.project_id == caller.project_id
        )
    )
    return found


def live_claim_of(caller: Caller, domain: str) -> DomainClaim | None:
    """The same, unless its time is over."""
    claim = claim_of(caller, domain)
    return claim if claim and claim.expires_at > clock.now() else None


def proof_of(claim: DomainClaim) -> Record:
    """The record that proves it."""
    return proof_record(claim.token)


def claims(caller: Caller) -> Sequence[DomainClaim]:
    """The claims of the caller's project that are in time, by name, but for what is linked."""
    is_linked = select(Domain.id).where(
        Domain.name == DomainClaim.name, Domain.project_id == DomainClaim.project_id
    )
    return db.session.scalars(
        select(DomainClaim)
        .where(
            DomainClaim.project_id == caller.project_id,
            DomainClaim.expires_at > clock.now(),
            ~is_linked.exists(),
        )
        .order_by(DomainClaim.name)
    ).all()


def look_for(claim: DomainClaim) -> Proof:
    """Look for a claim's proof, and keep what was found. Raises Busy."""
    claim_id, name, token = claim.id, claim.name, claim.token
    with asking(claim.project_id) as how:
        proof = look_for_proof(name, token, how)
    _keep(claim_id, token, proof)
    return proof


def look_for_due() -> list[tuple[int, str]]:
    """Look for the proof of claims that are due; answers those that are proven now, as the ids of
    their projects and their names. Several processes may do so at once. Raises Busy."""
    is_due = (DomainClaim.next_at <= clock.now()) & (DomainClaim.expires_at > clock.now())
    if db.session.scalar(select(DomainClaim.id).where(is_due).limit(1)) is None:
        db.session.rollback()
        return []
    with write_transaction(is_lasting=False) as session:
        rows = session.scalars(
            select(DomainClaim)
            .where(is_due)
            .order_by(DomainClaim.next_at)
            .limit(MANY)
            .with_for_update(skip_locked=True)
        ).all()
        for row in rows:
            row.next_at = clock.from_now(seconds=LEASE_SECONDS)
        due = [(row.id, row.project_id, row.name, row.token) for row in rows]
    how = Asking.of(settings)
    proven = []
    with ThreadPoolExecutor(AT_ONCE) as threads:
        proofs = threads.map(lambda one: look_for_proof(one[2], one[3], how), due)
        for (claim_id, project_id, name, token), proof in zip(due, proofs, strict=True):
            _keep(claim_id, token, proof)
            if proof.state == "proven":
                proven.append((project_id, name))
    return proven


def forget_old_claims() -> None:
    """Give up the claims whose time is over."""
    is_over = DomainClaim.expires_at <= clock.now()
    if db.session.scalar(select(DomainClaim.id).where(is_over).limit(1)) is None:
        return
    with write_transaction(is_lasting=False) as session:
        session.execute(db.delete(DomainClaim).where(is_over))


def _keep(claim_id: int, token: str, proof: Proof) -> None:
    with write_transaction() as session:
        row = session.get(DomainClaim, claim_id, with_for_update=True)
        if row is None or row.token != token:
            return
        row.checked_at = clock.now()
        row.next_at = clock.from_now(seconds=HOUR)
        if proof.state == "proven":
            row.proven_at, row.problem = row.checked_at, None
            return
        row.problem = proof.sentence[:1024]
        if proof.state != "unknown":  # a name server that does not answer proves nothing
            row.proven_at = None
