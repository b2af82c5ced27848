"""Assistants that people let in by OAuth: the clients they are, consents, and their credentials."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from .. import clock
from ..extensions import Base
from .columns import Digest, Id, Moment, Name, ProjectId, Text, Word


class OAuthClient(Base):
    """A program that can ask people to be let in.

    `client_id` is one of ours when it registered itself, else the address of the document in which
    it describes itself; of that a copy is kept, good until `fresh_until`. `redirect_uris` are the
    addresses it may be answered at, a line each. `used_at`: when somebody last let it in.
    """

    __tablename__ = "oauth_clients"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[Id]
    client_id: Mapped[Text] = mapped_column(unique=True)
    name: Mapped[Name]
    redirect_uris: Mapped[str]
    created_at: Mapped[Moment] = mapped_column(default=clock.now)
    fresh_until: Mapped[Moment | None]
    used_at: Mapped[Moment | None]


class Assistant(Base):
    """A client that a person let into a project: their consent, and the family of its credentials.

    Without a project it is let in wherever an admin is. `resource` is the address its credentials
    are for (RFC 8707). Once it is revoked, none of them opens anything.
    """

    __tablename__ = "assistants"
    __table_args__ = (
        CheckConstraint("scope IN ('read', 'write')", name="scope"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("oauth_clients.id"), index=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), index=True)
    project_id: Mapped[ProjectId | None] = mapped_column(index=True)
    scope: Mapped[Word]
    resource: Mapped[Text]
    created_at: Mapped[Moment] = mapped_column(default=clock.now)
    last_used_at: Mapped[Moment | None]
    revoked_at: Mapped[Moment | None]


class OAuthCode(Base):
    """What a client exchanges once, and soon, for its first credentials (RFC 6749, 4.1)."""

    __tablename__ = "oauth_codes"

    id: Mapped[Id]
    digest: Mapped[Digest]
    assistant_id: Mapped[int] = mapped_column(
        ForeignKey("assistants.id", ondelete="CASCADE"), index=True
    )
    redirect_uri: Mapped[Text]
    challenge: Mapped[Word]
    expires_at: Mapped[Moment]
    used_at: Mapped[Moment | None]


class OAuthToken(Base):
    """An access or refresh token; the latter is used once, and kept to know it when it returns."""

    __tablename__ = "oauth_tokens"
    __table_args__ = (
        CheckConstraint("kind IN ('access', 'refresh')", name="kind"),
        CheckConstraint("scope IN ('read', 'write')", name="scope"),
    )

    id: Mapped[Id]
    digest: Mapped[Digest]
    assistant_id: Mapped[int] = mapped_column(
        ForeignKey("assistants.id", ondelete="CASCADE"), index=True
    )
    kind: Mapped[Word]
    scope: Mapped[Word]
    created_at: Mapped[Moment] = mapped_column(default=clock.now)
    expires_at: Mapped[Moment] = mapped_column(index=True)
    used_at: Mapped[Moment | None]
