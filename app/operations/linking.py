"""The verbs by which projects link domains themselves, once they have proven to own them.

The proof is a TXT record with a random text, made for this project and this domain: who can put it
there decides over the domain. A claim that is not proven keeps nobody from anything.
"""

from __future__ import annotations

import secrets
from contextlib import suppress

from sqlalchemy import func, select

from .. import clock
from ..caller import Caller
from ..errors import Conflict, NotFound
from ..extensions import db
from ..fields import DomainName
from ..models import Domain, DomainClaim, Project
from .answers import ClaimAnswer, DomainAnswer, RemovedDomainAnswer
from .claims import claim_of, live_claim_of, look_for, look_for_due
from .domains import counted, let_go, refuse_while_in_use
from .operation import operation
from .results import Claim, GoneDomain, OneDomain

CLAIM_DAYS = 30
MAX_CLAIMS = 100  # of one project at a time
# How long what was seen in the DNS counts: as long as a call may wait for a person's approval.
PROOF_SECONDS = 24 * 3600
# What was seen so short a while ago need not be looked for again.
FRESH_SECONDS = 600


@operation(who="project", answers=ClaimAnswer, title="Link a domain to the project")
def link_domain(caller: Caller, *, domain: DomainName) -> Claim:
    """Begin to link a domain to the project: answers the TXT record that proves it is yours.

    Add that record where the domain is registered, then call verify-domain; the panel also looks by
    itself every hour. Until it is found nothing else changes, and nobody else is kept from linking
    the domain. It is given up after 30 days. Doing it again answers the same record; a domain that
    is linked already is answered as linked. Undo it with unlink-domain.
    """
    # One after the other, so that two at once make one claim, and no more than there may be.
    db.session.execute(select(Project.id).where(Project.id == caller.project_id).with_for_update())
    if _is_linked(caller, domain):
        return Claim(domain)
    claim = claim_of(caller, domain)
    if claim is None:
        claim = _new_claim(caller, domain)
    elif claim.expires_at <= clock.now():
        claim.token = _new_token()
        claim.proven_at = claim.problem = None
    claim.expires_at = clock.from_now(days=CLAIM_DAYS)
    claim.next_at = clock.from_now(seconds=300)  # a first look once the record can be there
    return Claim(domain, claim)


def _look_for_proof(caller: Caller, *, domain: str) -> None:
    claim = live_claim_of(caller, domain)
    if claim and not _is_seen(claim) and not _is_linked(caller, domain):
        look_for(claim)


def _is_seen(claim: DomainClaim) -> bool:
    """Whether its proof was in the DNS a moment ago, as when it was found by itself."""
    return bool(claim.proven_at and 0 <= clock.seconds_since(claim.proven_at) < FRESH_SECONDS)


@operation(
    who="project",
    answers=DomainAnswer,
    title="Verify that a domain is yours",
    first=_look_for_proof,
)
def verify_domain(caller: Caller, *, domain: DomainName) -> OneDomain:
    """Look for the TXT record that link-domain answered, and link the domain if it is there.

    Takes up to some seconds, since the domain's name servers are asked. Refused with
    DOMAIN_NOT_PROVEN, which says what was found, while the record is not there; new records can
    take an hour to be seen. A domain that another project uses for mailboxes is refused with
    DOMAIN_IN_USE. What another project removed there before is never carried along. E-mail is off
    until enable-email turns it on; the record can be taken away again.
    """
    row = db.session.scalar(select(Domain).where(Domain.name == domain).with_for_update())
    if row is not None and row.project_id == caller.project_id:
        return counted(caller, [row])[0]
    claim = live_claim_of(caller, domain)
    if claim is None:
        raise NotFound(
            "DOMAIN_NOT_FOUND",
            f"{domain} is not being linked to this project.",
            field="domain",
            recovery="Begin with link-domain, which answers the record to add.",
        )
    if claim.proven_at is None or clock.seconds_since(claim.proven_at) > PROOF_SECONDS:
        raise Conflict(
            "DOMAIN_NOT_PROVEN",
            claim.problem or f"Nobody has looked for the record of {domain} yet.",
            field="domain",
            recovery="Add the TXT record that link-domain answers, wait some minutes, try again.",
        )
    if row is None:
        row = Domain(name=domain)
        db.session.add(row)
    elif row.project_id is not None:
        _take_over(row)
    row.project_id = caller.project_id
    db.session.delete(claim)
    db.session.flush()
    return counted(caller, [row])[0]


@operation(
    who="project",
    answers=RemovedDomainAnswer,
    title="Unlink a domain from the project",
    destroys=True,
)
def unlink_domain(caller: Caller, *, domain: DomainName) -> GoneDomain:
    """Take a domain out of the project, or give up linking it.

    Refused with MAILBOXES_EXIST while it has active mailboxes. Mailboxes that were removed before
    cannot be restored any more, not even when the domain is linked again; their mail is purged when
    its time comes. To link it again, its ownership has to be proven anew.
    """
    claim = claim_of(caller, domain)
    if claim is not None:
        db.session.delete(claim)
    if claim is None or _is_linked(caller, domain):
        row = caller.domain(domain)
        refuse_while_in_use(row)
        let_go(row)
        if row.is_registered_here:
            row.project_id = None  # the platform still has it
        else:
            db.session.delete(row)
    return GoneDomain(domain)


def link_what_is_proven() -> None:
    """Look for the proofs that are due, and link the domains that have theirs by now.

    Nobody has to come back to the page for that. Raises Busy.
    """
    for project_id, name in look_for_due():
        keeper = Caller(actor="housekeeping", projects=frozenset({project_id}))
        with suppress(NotFound, Conflict):  # given up meanwhile, or used by somebody: it is told
            verify_domain(keeper.in_project(project_id), domain=name)


def _is_linked(caller: Caller, domain: str) -> bool:
    its = (Domain.name == domain) & (Domain.project_id == caller.project_id)
    return db.session.scalar(select(Domain.id).where(its)) is not None


def _new_claim(caller: Caller, domain: str) -> DomainClaim:
    count = db.session.scalar(
        select(func.count())
        .select_from(DomainClaim)
        .where(DomainClaim.project_id == caller.project_id)
    )
    if (count or 0) >= MAX_CLAIMS:
        raise Conflict(
            "TOO_MANY_CLAIMS",
            f"{MAX_CLAIMS} domains are being linked to this project already.",
            field="domain",
            recovery="Verify some of them, or give some up with unlink-domain.",
        )
    claim = DomainClaim(
        project_id=caller.project_id,
        name=domain,
        token=_new_token(),
        expires_at=clock.from_now(days=CLAIM_DAYS),
    )
    db.session.add(claim)
    return claim


def _new_token() -> str:
    return secrets.token_hex(16)


def _take_over(domain: Domain) -> None:
    """Take a domain out of the project that had it, which left nothing in it but what it removed.

    Who proved to own it is told no more than that somebody uses it.
    """
    try:
        refuse_while_in_use(domain)
    except Conflict:
        raise Conflict(
            "DOMAIN_IN_USE",
            f"Another project uses {domain.name} for its mailboxes.",
            field="domain",
            recovery="Ask the operator of this panel, who can move it once they are settled.",
        ) from None
    let_go(domain)
