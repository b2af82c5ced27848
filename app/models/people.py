"""Projects, the people who sign in, and the tokens that programs use."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import CheckConstraint, ForeignKey, false
from sqlalchemy.orm import Mapped, mapped_column

from .. import clock
from ..extensions import Base
from .columns import Digest, Email, Hash, Id, Moment, Name, ProjectId, Word

PersonState = Literal["active", "invited", "expired", "disabled"]


class Project(Base):
    """What customers belong to and domains are linked to."""

    __tablename__ = "projects"
    __table_args__ = {"sqlite_autoincrement": True}  # an id is never given twice

    id: Mapped[Id]
    name: Mapped[Name]
    created_at: Mapped[Moment] = mapped_column(default=clock.now)
    # Whether what assistants destroy, or change by the dozen, waits until a person approves it.
    needs_approval: Mapped[bool] = mapped_column(default=False, server_default=false())


class Person(Base):
    """Somebody who signs in to the panel. Without a password, by the one-time link only."""

    __tablename__ = "people"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[Id]
    email: Mapped[Email]
    password_hash: Mapped[Hash | None]
    is_admin: Mapped[bool] = mapped_column(default=False)
    welcome_digest: Mapped[Digest | None]
    welcome_expires_at: Mapped[Moment | None]
    disabled_at: Mapped[Moment | None]
    created_at: Mapped[Moment] = mapped_column(default=clock.now)

    @property
    def state(self) -> PersonState:
        """Whether they can sign in, or by what; `expired`: their one-time link is too old."""
        if self.disabled_at:
            return "disabled"
        if self.password_hash:
            return "active"
        is_over = self.welcome_expires_at is None or self.welcome_expires_at <= clock.now()
        return "expired" if is_over else "invited"


class Membership(Base):
    """That a person belongs to a project."""

    __tablename__ = "memberships"

    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), primary_key=True, index=True)


class Token(Base):
    """A credential of a program, for one project; without a project it is an admin's."""

    __tablename__ = "tokens"
    __table_args__ = (
        CheckConstraint("scope IN ('read', 'write')", name="scope"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    project_id: Mapped[ProjectId | None] = mapped_column(index=True)
    name: Mapped[Name]
    digest: Mapped[Digest]
    hint: Mapped[Word]
    scope: Mapped[Word]
    created_at: Mapped[Moment] = mapped_column(default=clock.now)
    expires_at: Mapped[Moment | None]
    last_used_at: Mapped[Moment | None]
    revoked_at: Mapped[Moment | None]

    @property
    def is_usable(self) -> bool:
        """Whether it still opens anything."""
        return is_usable(self.revoked_at, self.expires_at)


def is_usable(revoked_at: str | None, expires_at: str | None) -> bool:
    """Whether a token of these dates still opens anything."""
    return not revoked_at and (not expires_at or expires_at > clock.now())


class WebSession(Base):
    """A person signed in at one browser. Its row is the session: without it the cookie is void."""

    __tablename__ = "web_sessions"

    id: Mapped[Id]
    digest: Mapped[Digest]
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), index=True)
    created_at: Mapped[Moment] = mapped_column(default=clock.now)
    seen_at: Mapped[Moment] = mapped_column(default=clock.now)
    proven_at: Mapped[Moment | None] = mapped_column(default=clock.now)  # by password or code
    address: Mapped[Word]
    user_agent: Mapped[Name]
