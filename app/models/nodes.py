"""Mail nodes and their keys."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from .. import clock
from ..extensions import Base
from .columns import Digest, Id, Moment, Name, Word

State = Literal["waiting", "up", "late", "down", "paused"]
LATE_SECONDS, DOWN_SECONDS = 120, 600


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
    last_sync_at: Mapped[Moment | None]
    applied_epoch: Mapped[Word | None]
    applied_revision: Mapped[int | None]
    agent_version: Mapped[Word | None]
    created_at: Mapped[Moment] = mapped_column(default=clock.now)

    @property
    def state(self) -> State:
        """How it is doing, judged by when it last asked."""
        if self.is_paused:
            return "paused"
        if self.last_sync_at is None:
            return "waiting"
        silent = clock.seconds_since(self.last_sync_at)
        if silent < LATE_SECONDS:
            return "up"
        return "late" if silent < DOWN_SECONDS else "down"


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
