"""Mail nodes and their keys."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import JSON, BigInteger, ColumnElement, ForeignKey, false
from sqlalchemy.orm import Mapped, mapped_column

from .. import clock
from ..extensions import Base
from .columns import Digest, Id, Moment, Name, Text, Word
from .feed import Feed

State = Literal["waiting", "up", "late", "down", "paused", "lost"]
Flag = Literal["drift", "trouble"]
# Late is later than the longest wait (55 s) and the longest pause between two (60 s) take.
LATE_SECONDS, DOWN_SECONDS = 120, 600
REQUESTS_KEPT = 50


class Node(Base):
    """A machine with Dovecot and Postfix that fetches the users, and what it last told."""

    __tablename__ = "nodes"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[Id]
    name: Mapped[Word] = mapped_column(unique=True)
    ip_address: Mapped[Word | None]  # an address or a CIDR network it must come from
    host: Mapped[Name | None]  # its public name, for MX
    mx_priority: Mapped[int | None]
    is_paused: Mapped[bool] = mapped_column(default=False)
    lost_at: Mapped[Moment | None]  # when it was known to be in somebody else's hands
    last_sync_at: Mapped[Moment | None]
    applied_epoch: Mapped[Word | None]
    applied_revision: Mapped[int | None]
    agent_version: Mapped[Word | None]
    created_at: Mapped[Moment] = mapped_column(default=clock.now)
    # What it last reported; `reported` is {"epoch", "revision", "sha256", "counts"}.
    reported_at: Mapped[Moment | None]
    reported: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    rejected: Mapped[list[dict[str, str]] | None] = mapped_column(JSON(none_as_null=True))
    dovecot_version: Mapped[Name | None]
    postfix_version: Mapped[Name | None]
    os: Mapped[Name | None]
    disk_free_mb: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[Text | None]
    # Whether what it holds is another state than the panel's at the same revision.
    has_drifted: Mapped[bool] = mapped_column(default=False, server_default=false())

    # What was told of it by mail or webhook, as words, and when something was told last.
    alerted_state: Mapped[Word | None]
    alerted_at: Mapped[Moment | None]

    @property
    def flags(self) -> list[Flag]:
        """What an admin has to look at, whatever the state is."""
        flags: list[Flag] = []
        if self.has_drifted:
            flags.append("drift")
        if self.error or self.rejected:
            flags.append("trouble")
        return flags

    @property
    def state(self) -> State:
        """How it is doing, judged by when it last asked."""
        if self.lost_at:
            return "lost"
        if self.is_paused:
            return "paused"
        if self.last_sync_at is None:
            return "waiting"
        silent = clock.seconds_since(self.last_sync_at)
        if silent < LATE_SECONDS:
            return "up"
        return "late" if silent < DOWN_SECONDS else "down"

    def behind(self, feed: Feed, restored_at: int | None) -> int | None:
        """How many changes it has yet to apply; None while it has said nothing of what it holds.

        Revisions of two epochs do not compare: to what it held before the panel was restored (at
        `restored_at`), that is one change, which it takes whole, and all since are further ones.
        """
        if self.applied_revision is None:
            return None
        if self.applied_epoch == feed.epoch:
            return max(0, feed.revision - self.applied_revision)
        return feed.revision if restored_at is None else feed.revision - restored_at + 1


def is_awaited() -> ColumnElement[bool]:
    """Whether changes wait for a node: not for one that is paused or lost."""
    return ~Node.is_paused & Node.lost_at.is_(None)


class SyncKey(Base):
    """A node's credential; while it is being rotated a node has two."""

    __tablename__ = "sync_keys"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[Id]
    node_id: Mapped[int] = mapped_column(ForeignKey("nodes.id"), index=True)
    digest: Mapped[Digest]
    hint: Mapped[Word]
    created_at: Mapped[Moment] = mapped_column(default=clock.now)
    expires_at: Mapped[Moment | None]

    @property
    def has_ended(self) -> bool:
        """Whether it opens nothing any more."""
        return self.expires_at is not None and self.expires_at <= clock.now()


class KeyOffer(Base):
    """That a node's next key waits to be made, for the admin who opens its page to see it.

    `overlap_hours` is for how long the key before goes on working then.
    """

    __tablename__ = "key_offers"

    node_id: Mapped[int] = mapped_column(
        ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True
    )
    overlap_hours: Mapped[int]
    created_at: Mapped[Moment] = mapped_column(default=clock.now)
    expires_at: Mapped[Moment]


class NodeRequest(Base):
    """A request of a node and how it was answered; the same one after another are one row."""

    __tablename__ = "node_requests"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[Id]
    node_id: Mapped[int] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"), index=True)
    outcome: Mapped[Word]
    address: Mapped[Word]
    first_at: Mapped[Moment]
    last_at: Mapped[Moment]
    count: Mapped[int]
