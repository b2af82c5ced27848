"""Which domains somebody has to be told of: each change is handed out once, to whoever asks first.

What was told stands beside what was found. It is written with the row locked, together with the
notice of it: of several processes that look at once, one writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select

from .. import clock
from ..addresses import domain_in_unicode
from ..database import write_transaction
from ..dns.verdicts import Verdict
from ..extensions import db
from ..models import DnsCheck, Domain, Membership, Person

# How long a state has to last before it is told.
GRACE_SECONDS = 3600
_TOLD = ("receiving", "ready", "attention", "blocked")


@dataclass(frozen=True)
class News:
    """A domain whose mail works differently from what was told last; `wrong` are sentences."""

    domain: str
    project_id: int
    state: str
    wrong: Sequence[str]
    recipients: Sequence[str]

    @property
    def shown_as(self) -> str:
        """The domain's name as people write it."""
        return domain_in_unicode(self.domain)


@contextmanager
def claimed() -> Iterator[list[News]]:
    """What nobody has been told of yet; it counts as told once what is done with it is done, in
    the same transaction. Raises Busy."""
    found = db.session.scalar(select(DnsCheck.domain_id).where(_is_news()).limit(1))
    db.session.rollback()
    if found is None:
        yield []
        return
    with write_transaction() as session:
        rows = session.execute(
            select(DnsCheck, Domain)
            .join(Domain, Domain.id == DnsCheck.domain_id)
            .where(_is_news(), Domain.project_id.is_not(None))
            .order_by(Domain.name)
            .with_for_update(of=DnsCheck, skip_locked=True)
        ).all()
        for row, _domain in rows:
            row.told_state = row.state
        yield [_news(row, domain) for row, domain in rows]


def _is_news() -> ColumnElement[bool]:
    """A state that has lasted and is another than was told."""
    lasted = DnsCheck.since <= clock.from_now(seconds=-GRACE_SECONDS)
    # A domain that never worked is being set up: its owner has the page before them.
    return (
        lasted
        & DnsCheck.state.in_(_TOLD)
        & (func.coalesce(DnsCheck.told_state, "") != DnsCheck.state)
    )


def _news(row: DnsCheck, domain: Domain) -> News:
    verdicts = [Verdict.from_json(one) for one in row.records]
    wrong = [
        f"{one.record.type} {one.record.full_name(domain.name)}: {one.advice or one.state}"
        for one in verdicts
        if one.record.is_required and one.state not in ("ok", "unknown")
    ]
    return News(domain.name, domain.project_id or 0, row.state, wrong, _people(domain))


def _people(domain: Domain) -> Sequence[str]:
    """The addresses of the people of its project who may sign in."""
    return db.session.scalars(
        select(Person.email)
        .join(Membership, Membership.person_id == Person.id)
        .where(Membership.project_id == domain.project_id, Person.disabled_at.is_(None))
        .order_by(Person.email)
    ).all()
