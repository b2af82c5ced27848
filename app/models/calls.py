"""What programs and assistants last called, for who looks after the project."""

from __future__ import annotations

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import Base
from .columns import Actor, Id, Moment, Word

CALLS_KEPT = 20  # of each program in each project


class Call(Base):
    """A call and how it ended; the same one after another, in a second, are one row.

    `program` is what it seems to be, by its own word; `outcome` is "done" or a refusal's code.
    """

    __tablename__ = "calls"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[Id]
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), index=True)
    program: Mapped[Word]
    actor: Mapped[Actor]
    operation: Mapped[Word]
    outcome: Mapped[Word]
    at: Mapped[Moment]
    count: Mapped[int]
