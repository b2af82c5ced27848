"""Domains in the DNS: who claims one, what its zone says, and what was written there."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from .. import clock
from ..extensions import Base
from .columns import Id, Key, Moment, Name, ProjectId, Text, Word


class DomainClaim(Base):
    """A project that wants to link a domain, and has yet to prove that it is its own.

    It keeps nobody else from claiming the same name; who proves it first gets it. `token` is what
    the proof in the DNS has to hold: no secret, but nobody else's. `proven_at` is when it was last
    seen there, `problem` what the last look for it found instead.
    """

    __tablename__ = "domain_claims"
    __table_args__ = (UniqueConstraint("project_id", "name"), {"sqlite_autoincrement": True})

    id: Mapped[Id]
    project_id: Mapped[ProjectId]
    name: Mapped[Key] = mapped_column(index=True)
    token: Mapped[Word]
    created_at: Mapped[Moment] = mapped_column(default=clock.now)
    expires_at: Mapped[Moment] = mapped_column(index=True)
    checked_at: Mapped[Moment | None]
    proven_at: Mapped[Moment | None]
    next_at: Mapped[Moment] = mapped_column(default=clock.now, index=True)
    problem: Mapped[Text | None]


class DnsCheck(Base):
    """What the last looks at a domain's zone found; a row for each domain whose e-mail is on.

    `state` is one of app.dns.verdicts.DomainState, since `since`. `records` holds a verdict for
    each expected record as JSON (app.dns.verdicts.Verdict), the last good answer where the last
    look had none. Whoever checks pushes `next_at` into the future first, so that several processes
    share the work. `told_state` is what the customer was told of.
    """

    __tablename__ = "dns_checks"

    domain_id: Mapped[int] = mapped_column(
        ForeignKey("domains.id", ondelete="CASCADE"), primary_key=True
    )
    state: Mapped[Word] = mapped_column(default="checking")
    since: Mapped[Moment] = mapped_column(default=clock.now)
    checked_at: Mapped[Moment | None]
    next_at: Mapped[Moment] = mapped_column(default=clock.now, index=True)
    told_state: Mapped[Word | None]
    provider: Mapped[Name | None]
    sources: Mapped[int] = mapped_column(default=0)  # name servers and resolvers that answered
    records: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)


class ZoneJob(Base):
    """The order to write a domain's records into its zone, or to take them back.

    Kept by name: it outlives a domain that is removed. `done_at` is empty while it is to be done;
    `problem` says why it could not be, and `next_at` when it is tried again.
    """

    __tablename__ = "zone_jobs"

    name: Mapped[Key] = mapped_column(primary_key=True)
    is_wanted: Mapped[bool]
    asked_at: Mapped[Moment] = mapped_column(default=clock.now)
    next_at: Mapped[Moment] = mapped_column(default=clock.now, index=True)
    attempts: Mapped[int] = mapped_column(default=0)
    done_at: Mapped[Moment | None]
    problem: Mapped[Text | None]


class ZoneRecord(Base):
    """A record that the panel wrote into a zone: all that it may ever take back.

    `owner` is the full name without a final dot, `value` the data as in a zone file.
    """

    __tablename__ = "zone_records"
    __table_args__ = (
        UniqueConstraint("owner", "type", "value"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    domain: Mapped[Key] = mapped_column(index=True)
    owner: Mapped[Key]
    type: Mapped[Word]
    value: Mapped[Text]
    written_at: Mapped[Moment] = mapped_column(default=clock.now)
