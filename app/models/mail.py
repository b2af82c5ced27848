"""Domains, mailboxes, and the orders to remove what a mailbox left behind."""

from __future__ import annotations

import uuid
from typing import Literal

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from .. import clock
from ..extensions import Base
from .columns import Digest, DomainName, Email, Hash, Id, Key, MailboxId, Moment, ProjectId, Word

Fullness = Literal["fine", "nearly full", "full"]
NEARLY_FULL, FULL = 80, 95  # per cent of the quota


class Domain(Base):
    """A mail domain, linked to at most one project, its e-mail off or on."""

    __tablename__ = "domains"
    __table_args__ = {"sqlite_autoincrement": True}
    exported = ("email_enabled", "home_node_id")

    id: Mapped[Id]
    name: Mapped[DomainName]
    project_id: Mapped[ProjectId | None] = mapped_column(index=True)
    email_enabled: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[Moment] = mapped_column(default=clock.now)
    # Registered through the platform, which therefore writes its zone.
    is_registered_here: Mapped[bool] = mapped_column(default=False, server_default=false())
    # The one node that has its hashes and stores its mail, and since when that is so. None: every
    # node does. A node cannot be removed while it is a home, which the reference sees to.
    home_node_id: Mapped[int | None] = mapped_column(ForeignKey("nodes.id"), index=True)
    placed_at: Mapped[Moment | None]  # None: it never was otherwise
    # The revision that last changed what nodes know of this row.
    revision: Mapped[int] = mapped_column(default=0, index=True)

    @property
    def is_exported(self) -> bool:
        """Whether nodes know of it."""
        return self.email_enabled


class Mailbox(Base):
    """A mailbox. One with a purge date is removed: restorable, but absent from every node.

    The id never changes and is never used again: nodes keep mail under it, so whoever gets the
    address later does not see the mail of who had it before.
    """

    __tablename__ = "mailboxes"
    __table_args__ = (
        CheckConstraint("quota_mb BETWEEN 1 AND 1048576", name="quota_mb"),
        Index(None, "domain_id", "email"),
        Index(None, "domain_id", "purge_at"),  # counts, without touching the rows
    )
    exported = ("email", "password_hash", "quota_mb", "can_login", "can_receive", "purge_at")
    addressed = ("email", "can_receive", "purge_at")

    id: Mapped[MailboxId] = mapped_column(primary_key=True, default=lambda: uuid.uuid4().hex)
    domain_id: Mapped[int] = mapped_column(ForeignKey("domains.id"))
    domain: Mapped[Domain] = relationship(viewonly=True)  # who looks a mailbox up has it already
    email: Mapped[Email]
    password_hash: Mapped[Hash]
    quota_mb: Mapped[int]
    can_login: Mapped[bool] = mapped_column(default=True)
    can_receive: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[Moment] = mapped_column(default=clock.now)
    updated_at: Mapped[Moment] = mapped_column(default=clock.now)
    purge_at: Mapped[Moment | None] = mapped_column(index=True)
    revision: Mapped[int] = mapped_column(default=0, index=True)
    # The one that last changed whether mail for it is accepted: all that backup nodes know of it.
    address_revision: Mapped[int] = mapped_column(default=0, server_default="0")
    # How full it is, rounded down; here and not beside the bytes, so that a list is sorted by it
    # and counted in one pass over a project's mailboxes. None: not reported yet.
    percent_used: Mapped[int | None] = mapped_column(BigInteger)
    # Waiting for its owner: nobody has chosen a password, so its hash is one that none matches.
    is_waiting: Mapped[bool] = mapped_column(default=False, server_default=false())
    password_at: Mapped[Moment | None]  # when its password was replaced; None: never

    def renew_password(self, password_hash: str) -> None:
        """Take over the hash of a password that was chosen just now."""
        self.password_hash = password_hash
        self.is_waiting = False
        self.password_at = self.updated_at = clock.now()

    @property
    def is_active(self) -> bool:
        """Whether it is live; False once it is removed and waits for its purge date."""
        return self.purge_at is None

    @property
    def fullness(self) -> Fullness:
        """Whether its owner has to make room."""
        if self.percent_used is None or self.percent_used < NEARLY_FULL:
            return "fine"
        return "nearly full" if self.percent_used < FULL else "full"


class PasswordLink(Base):
    """The one-time link by which a mailbox's owner chooses its password; a new one replaces it."""

    __tablename__ = "password_links"

    mailbox_id: Mapped[MailboxId] = mapped_column(
        ForeignKey("mailboxes.id", ondelete="CASCADE"), primary_key=True
    )
    digest: Mapped[Digest]
    created_at: Mapped[Moment] = mapped_column(default=clock.now)
    expires_at: Mapped[Moment] = mapped_column(index=True)


class PurgeOrder(Base):
    """That nodes are to remove the stored mail of a mailbox that is gone, from `due_at` on.

    It is passed on once it is released, and kept until the nodes have acknowledged it.
    """

    __tablename__ = "purge_orders"
    exported = ("is_released",)

    mailbox_id: Mapped[MailboxId] = mapped_column(primary_key=True)
    due_at: Mapped[Moment] = mapped_column(index=True)
    is_released: Mapped[bool] = mapped_column(default=False)
    revision: Mapped[int] = mapped_column(default=0, index=True)

    @property
    def is_exported(self) -> bool:
        """Whether nodes know of it."""
        return self.is_released


class PurgeAck(Base):
    """That a node has removed the mail an order was about; the order goes when all of them have."""

    __tablename__ = "purge_acks"
    exported = ()
    is_exported = True

    mailbox_id: Mapped[MailboxId] = mapped_column(
        ForeignKey("purge_orders.mailbox_id", ondelete="CASCADE"), primary_key=True
    )
    node_id: Mapped[int] = mapped_column(
        ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    revision: Mapped[int] = mapped_column(default=0)


class Gone(Base):
    """What nodes may hold and the panel no longer has a row of: who asks what changed is told.

    `kind` is that of a table nodes know of, `revision` the first one without it.
    """

    __tablename__ = "gone"

    kind: Mapped[Word] = mapped_column(primary_key=True)
    key: Mapped[Key] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(index=True)


class PastHome(Base):
    """Where the hashes of a domain were until it was placed otherwise; a node of None is all nodes.

    A node that is lost may still have them: what SQLite or an SD card deletes can be read for long.
    """

    __tablename__ = "past_homes"

    id: Mapped[Id]
    domain_id: Mapped[int] = mapped_column(ForeignKey("domains.id", ondelete="CASCADE"), index=True)
    node_id: Mapped[int | None] = mapped_column(
        ForeignKey("nodes.id", ondelete="CASCADE"), index=True
    )
    since: Mapped[Moment | None]  # None: from the beginning
    until: Mapped[Moment]


class MailboxUsage(Base):
    """What a node told last of a mailbox: how full it is, and when its owner last signed in."""

    __tablename__ = "mailbox_usage"

    mailbox_id: Mapped[MailboxId] = mapped_column(
        ForeignKey("mailboxes.id", ondelete="CASCADE"), primary_key=True
    )
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    messages: Mapped[int | None] = mapped_column(BigInteger)
    used_at: Mapped[Moment | None]  # when that was told
    last_login_at: Mapped[Moment | None]
