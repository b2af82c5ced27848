"""Calls of assistants that wait for a person, and what became of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from .. import clock
from ..extensions import Base
from .columns import Actor, Hash, Id, Moment, ProjectId, Text, Word


class HeldCall(Base):
    """One call: by whom, of what, with which values; of a password only the hash is kept.

    It was made with an API token, or through an assistant that a person let in.

    Who makes the same call again, which is told by `fingerprint`, asks what became of it; `told_at`
    is when they were told. `answer` is what was answered when it was done, without a link.
    """

    __tablename__ = "held_calls"
    __table_args__ = (
        CheckConstraint(
            "state IN ('waiting', 'approved', 'failed', 'refused')",
            name="state",
        ),
        CheckConstraint("(token_id IS NULL) <> (assistant_id IS NULL)", name="asker"),
        Index(None, "project_id", "state"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    project_id: Mapped[ProjectId]
    token_id: Mapped[int | None] = mapped_column(ForeignKey("tokens.id"))
    assistant_id: Mapped[int | None] = mapped_column(
        ForeignKey("assistants.id", ondelete="CASCADE")
    )
    actor: Mapped[Actor]
    address: Mapped[Word | None]
    operation: Mapped[Word]
    arguments: Mapped[dict[str, Any]] = mapped_column(JSON)
    password_hash: Mapped[Hash | None]
    fingerprint: Mapped[Word] = mapped_column(index=True)
    state: Mapped[Word] = mapped_column(default="waiting")
    created_at: Mapped[Moment] = mapped_column(default=clock.now)
    expires_at: Mapped[Moment]
    decided_at: Mapped[Moment | None]
    decided_by: Mapped[Actor | None]
    told_at: Mapped[Moment | None]
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    problem: Mapped[Text | None]

    @property
    def is_waiting(self) -> bool:
        """Whether a person can still decide."""
        return self.state == "waiting" and self.expires_at > clock.now()
