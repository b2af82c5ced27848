"""Leaving an order to write a domain's records into its zone, or to take them back."""

from __future__ import annotations

from .. import clock
from ..extensions import db
from ..models import Domain, ZoneJob


def order_records(domain: Domain, *, are_wanted: bool) -> None:
    """Have a domain's zone written soon, if it was registered through the platform."""
    if not domain.is_registered_here:
        return
    job = db.session.get(ZoneJob, domain.name, with_for_update=True)
    if job is None:
        job = ZoneJob(name=domain.name)
        db.session.add(job)
    job.is_wanted = are_wanted
    if job.asked_at:
        # Never the same moment twice: who carries it out sees by it that it was asked for anew.
        job.asked_at = max(clock.now(), clock.second_after(job.asked_at))
    job.next_at = clock.now()
    job.attempts = 0
    job.done_at = job.problem = None
