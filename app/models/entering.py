"""What people prove themselves with beside a password, and where they have come from before."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from .. import clock
from ..extensions import Base
from .columns import Digest, Id, Moment, Name, Word


class TwoFactor(Base):
    """A person's authenticator app. Until it is confirmed by a code, it counts for nothing.

    The secret cannot be a digest, since codes are computed from it. It is not encrypted either: the
    key would lie beside the database, and a backup restored without it would lock everybody out.
    """

    __tablename__ = "two_factors"

    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), primary_key=True)
    secret: Mapped[Word]
    created_at: Mapped[Moment] = mapped_column(default=clock.now)
    confirmed_at: Mapped[Moment | None]
    last_step: Mapped[int] = mapped_column(default=0)  # the last one whose code was accepted


class RecoveryCode(Base):
    """A code that signs in once when the app is out of reach. Its row goes when it is used."""

    __tablename__ = "recovery_codes"

    id: Mapped[Id]
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), index=True)
    digest: Mapped[Digest]


class HalfSession(Base):
    """That somebody has proven their password, and a code is still to come; it opens no page."""

    __tablename__ = "half_sessions"

    id: Mapped[Id]
    digest: Mapped[Digest]
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), index=True)
    created_at: Mapped[Moment] = mapped_column(default=clock.now)


class Passkey(Base):
    """A key of somebody's device. `credential` is WebAuthn's attested credential data: its id and
    the public key; `digest` is that of the id. `copied_at` says when somebody had a copy of it,
    until its owner has seen it.
    """

    __tablename__ = "passkeys"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[Id]
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), index=True)
    digest: Mapped[Digest]
    credential: Mapped[bytes]
    sign_count: Mapped[int] = mapped_column(BigInteger)  # 32 bits without a sign
    name: Mapped[Name]
    created_at: Mapped[Moment] = mapped_column(default=clock.now)
    used_at: Mapped[Moment | None]
    copied_at: Mapped[Moment | None]
    copied_from: Mapped[Word | None]  # an address
    copy_told_at: Mapped[Moment | None]  # by mail


class PasskeyChallenge(Base):
    """What a device is to sign, once; `asked` says for what, and by whom it may be answered."""

    __tablename__ = "passkey_challenges"

    id: Mapped[Id]
    digest: Mapped[Digest]
    asked: Mapped[Word]
    created_at: Mapped[Moment] = mapped_column(default=clock.now, index=True)


class KnownPlace(Base):
    """A browser and an address somebody has signed in from; `is_news` until they have seen it."""

    __tablename__ = "known_places"
    __table_args__ = (UniqueConstraint("person_id", "browser", "site"),)

    id: Mapped[Id]
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    browser: Mapped[Word]  # the digest of its cookie
    site: Mapped[Word]  # its address, with IPv6 the /64
    address: Mapped[Word]
    user_agent: Mapped[Name]
    is_news: Mapped[bool] = mapped_column(default=False)
    first_at: Mapped[Moment] = mapped_column(default=clock.now)
    seen_at: Mapped[Moment] = mapped_column(default=clock.now)
    told_at: Mapped[Moment | None]  # by mail
