"""What the database tells of the panel, as figures for Prometheus, read when they are asked for.

So they are the same whichever process of whichever host is asked, and none can be out of date.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from sqlalchemy import func, select

from . import clock
from .extensions import db, settings
from .models import (
    RESTORED_AT,
    AuditEntry,
    DnsCheck,
    Domain,
    Feed,
    HeldCall,
    Mailbox,
    Node,
    NodeAlert,
    Notice,
    PurgeOrder,
    ZoneJob,
)

DOMAIN_STATES = ("off", "checking", "pending", "receiving", "ready", "attention", "blocked")
NODE_STATES = ("waiting", "up", "late", "down", "paused", "lost")
_LAST_BACKUP = (
    select(func.max(AuditEntry.at)).where(AuditEntry.action == "record-backup").scalar_subquery()
)

_UNTOLD = select(
    select(func.count(Notice.id)).scalar_subquery()
    + select(func.count(NodeAlert.id)).scalar_subquery()
)


def read() -> Iterator[GaugeMetricFamily]:
    """All of them. Needs an application context; raises SQLAlchemyError."""
    feed, restored_at, last_backup = db.session.execute(
        select(Feed, RESTORED_AT, _LAST_BACKUP)
    ).one()
    yield _one("mailcote_revision", "The revision nodes are to have applied.", feed.revision)
    yield _mailboxes()
    yield _domains()
    yield from _nodes(feed, restored_at)
    yield from _backup(last_backup)
    yield _disk()
    yield _one(
        "mailcote_held_calls",
        "Calls of assistants that wait for a person.",
        _count(HeldCall, HeldCall.state == "waiting", HeldCall.expires_at > clock.now()),
    )
    yield from _zone_jobs()
    yield _one(
        "mailcote_untold_news",
        "Notices to people and alerts about nodes that wait to be told.",
        db.session.scalar(_UNTOLD) or 0,
    )
    yield _one(
        "mailcote_purge_orders",
        "Deleted mailboxes whose stored mail some node has yet to remove.",
        _count(PurgeOrder, PurgeOrder.is_released),
    )


def is_up(is_so: bool) -> GaugeMetricFamily:
    """Whether the database answered; without it the figures above are absent."""
    return _one("mailcote_database_up", "Whether the database answered.", is_so)


def _mailboxes() -> GaugeMetricFamily:
    removed = Mailbox.purge_at.is_not(None)
    counted = select(removed, Mailbox.is_waiting, func.count()).group_by(
        removed, Mailbox.is_waiting
    )
    totals = {"active": 0, "waiting": 0, "removed": 0}
    for is_removed, is_waiting, count in db.session.execute(counted):
        totals["removed" if is_removed else "waiting" if is_waiting else "active"] += count
    return _by_state(
        "mailcote_mailboxes", "Mailboxes; `waiting` ones have no password yet.", totals
    )


def _domains() -> GaugeMetricFamily:
    counted = (
        select(Domain.email_enabled, DnsCheck.state, func.count())
        .outerjoin(DnsCheck, DnsCheck.domain_id == Domain.id)
        .group_by(Domain.email_enabled, DnsCheck.state)
    )
    totals = dict.fromkeys(DOMAIN_STATES, 0)
    for is_on, state, count in db.session.execute(counted):
        totals[(state or "checking") if is_on else "off"] += count
    return _by_state(
        "mailcote_domains", "Domains by what the DNS says; `off` is e-mail off.", totals
    )


def _nodes(feed: Feed, restored_at: int | None) -> Iterator[GaugeMetricFamily]:
    """One that is paused or lost is awaited by nobody, so it is not behind either."""
    totals = dict.fromkeys(NODE_STATES, 0)
    silent = _of_node("mailcote_node_seconds_since_sync", "Seconds since a node last asked.")
    behind = _of_node("mailcote_node_revisions_behind", "Changes a node has yet to apply.")
    trouble = _of_node("mailcote_node_trouble", "Whether a node has drifted or reports an error.")
    for node in db.session.scalars(select(Node).order_by(Node.name)):
        totals[node.state] += 1
        if node.state in ("paused", "lost"):
            continue
        if node.last_sync_at:
            silent.add_metric([node.name], max(0.0, clock.seconds_since(node.last_sync_at)))
        lag = node.behind(feed, restored_at)
        behind.add_metric([node.name], feed.revision if lag is None else lag)
        trouble.add_metric([node.name], bool(node.flags))
    yield _by_state("mailcote_nodes", "Mail nodes by state.", totals)
    yield from (silent, behind, trouble)


def _backup(last: str | None) -> Iterator[GaugeMetricFamily]:
    """Absent where there never was one."""
    if last:
        meaning = "Time since the last backup that was written and found sound."
        yield _one("mailcote_seconds_since_backup", meaning, max(0.0, clock.seconds_since(last)))


def _disk() -> GaugeMetricFamily:
    """Of the host that is asked; where the database is another's, it has its own to watch."""
    free = shutil.disk_usage(settings.instance).free
    return _one("mailcote_disk_free_bytes", "Room on the disk of the instance folder.", free)


def _zone_jobs() -> Iterator[GaugeMetricFamily]:
    open_ones = select(func.count(), func.count(ZoneJob.problem)).where(ZoneJob.done_at.is_(None))
    count, failing = db.session.execute(open_ones).one()
    yield _one("mailcote_zone_jobs", "Zones that have yet to be written.", count)
    yield _one(
        "mailcote_zone_jobs_failing",
        "Those of them that could not be written at the last attempt.",
        failing,
    )


def _count(model: type, *conditions: object) -> int:
    query = select(func.count()).select_from(model).where(*conditions)  # type: ignore[arg-type]
    return db.session.scalar(query) or 0


def _one(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, value=value)


def _by_state(name: str, meaning: str, totals: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, meaning, labels=["state"])
    for state, count in totals.items():
        family.add_metric([state], count)
    return family


def _of_node(name: str, meaning: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, labels=["node"])
