"""The verbs of one-time links, by which a mailbox's owner chooses the password and nobody else.

A link is random text whose digest is kept; it works once, for a week, and until another one is
made. It ends with its mailbox, and whenever a password is chosen. Until then the present password,
if there is one, goes on working.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from .. import clock
from ..addresses import parse_address
from ..caller import Caller
from ..credentials import WELCOME, digest, is_well_formed, make
from ..database import is_writing, write_transaction
from ..errors import NotFound
from ..extensions import db, settings
from ..fields import Email, NodeName, Password, QuotaMb, Text
from ..models import Domain, KeyOffer, Mailbox, Node, PasswordLink
from ..passwords import NewPassword, hash_of_none
from .answers import LinkAnswer, UserAnswer
from .fleet import held_by
from .mailboxes import end_link, free_domain, refuse_if_named_like
from .operation import operation
from .results import Changed, Link, Linked

LINK_DAYS = 7
MANY = 200  # links made in one transaction: a few dozen ms, short enough for others to wait


@operation(
    who="project",
    answers=LinkAnswer,
    title="Invite the owner of a new mailbox",
    adds_up=True,
)
def invite_user(caller: Caller, *, email: Email, quota_mb: QuotaMb = 1024) -> Linked:
    """Create a mailbox that waits for its owner, and answer the link to hand to them.

    Whoever opens the link chooses the password, so that nobody else ever knows it. It works once,
    for a week, and is never answered again; make another with send-password-link, end it with
    revoke-password-link. Mail is accepted from the start, as soon as the nodes have fetched the
    change, within a minute; nobody can sign in before the password is chosen. An address that is
    taken is refused with MAILBOX_EXISTS, one whose mailbox was removed with MAILBOX_REMOVED.
    """
    domain = free_domain(caller, email)
    mailbox = Mailbox(
        domain_id=domain.id,
        email=str(email),
        password_hash=hash_of_none(settings.mailbox_bcrypt_cost),
        quota_mb=quota_mb,
        is_waiting=True,
    )
    db.session.add(mailbox)
    db.session.flush()
    return Linked(mailbox=mailbox, link=_new_link(mailbox))


@operation(
    who="project",
    answers=LinkAnswer,
    title="Make a link to choose a mailbox's password",
    destroys=True,  # who holds the link can replace the password: it weighs what that weighs
    adds_up=True,
)
def send_password_link(caller: Caller, *, email: Email) -> Linked:
    """Make a link by which a mailbox's owner chooses a new password, and answer it to be sent.

    The present password goes on working until then. The link works once, for a week, and is never
    answered again; a link from before ends. Nothing is mailed: hand it over yourself. Undo it with
    revoke-password-link. A removed mailbox is refused with MAILBOX_REMOVED.
    """
    mailbox = caller.live_mailbox(email)
    return Linked(mailbox=mailbox, link=_new_link(mailbox))


@operation(who="project", answers=UserAnswer, title="Revoke a mailbox's password link")
def revoke_password_link(caller: Caller, *, email: Email) -> Changed:
    """End the link by which a mailbox's owner could choose the password; the password stays.

    Without such a link it changes nothing. Make another with send-password-link.
    """
    mailbox = caller.mailbox(email)
    end_link(mailbox)
    return Changed(mailbox)


def _hash_for_owner(caller: Caller, *, token: str, password: NewPassword) -> None:  # noqa: ARG001
    mailbox = linked(token)
    if mailbox:
        refuse_if_named_like(password, parse_address(mailbox.email))
        password.hash(settings.mailbox_bcrypt_cost)


@operation(who="self", is_internal=True, first=_hash_for_owner)
def accept_password_link(caller: Caller, *, token: Text, password: Password) -> Changed:  # noqa: ARG001
    """Set the password of the mailbox a link is for; the link is used up."""
    mailbox = linked(token)
    if mailbox is None:
        raise NotFound("LINK_OVER", "This link has been used or is too old; ask for a new one.")
    mailbox.renew_password(password.hash(settings.mailbox_bcrypt_cost))
    end_link(mailbox)
    return Changed(mailbox)


def linked(token: str) -> Mailbox | None:
    """The live mailbox a link is for; None when it was used, replaced or revoked, or is too old."""
    if not is_well_formed(token, WELCOME):
        return None
    is_good = (PasswordLink.digest == digest(token)) & (PasswordLink.expires_at > clock.now())
    mailbox = select(Mailbox).join(PasswordLink).where(is_good, Mailbox.purge_at.is_(None))
    if is_writing():
        # In the order everybody locks: the domain first, then what is looked up anew.
        its_domain = select(Mailbox.domain_id).join(PasswordLink).where(is_good).scalar_subquery()
        db.session.execute(select(Domain.id).where(Domain.id == its_domain).with_for_update())
    found: Mailbox | None = db.session.scalar(mailbox.join(Domain).where(Domain.email_enabled))
    return found


@dataclass(frozen=True)
class ExposedLink:
    """The new link for a mailbox whose password hash a lost node held."""

    email: str
    project: str
    link: str
    expires_at: str


@dataclass(frozen=True)
class ExposedLinks:
    """Some of them, and the last address that was looked at: None when none is left.

    There can be no link and more to come: what was renewed meanwhile gets none.
    """

    links: list[ExposedLink]
    last: str | None


@operation(who="admin", is_internal=True)
def send_exposed_links(
    caller: Caller,  # noqa: ARG001
    *,
    name: NodeName,
    after: Email | None = None,
) -> ExposedLinks:
    """Make links for the mailboxes a lost node exposed, so many as can be made at once.

    By address, those that follow `after`. Links from before end. Passwords that were renewed since
    the loss are left alone.
    """
    node = db.session.scalar(select(Node).where(Node.name == name))
    if node is None:
        raise NotFound("NODE_NOT_FOUND", f"There is no node {name}.", field="name")
    exposed = held_by(node).order_by(Mailbox.email)
    exposed = exposed.add_columns(Mailbox.id.label("mailbox_id"), Mailbox.domain_id)
    following = exposed.where(Mailbox.email > (str(after) if after else ""))
    rows = db.session.execute(following.limit(MANY)).all()
    domains = select(Domain.id).where(Domain.id.in_({row.domain_id for row in rows}))
    db.session.execute(domains.order_by(Domain.id).with_for_update())
    # What was chosen or removed while their domains were waited for needs no link.
    still = exposed.where(Mailbox.id.in_([row.mailbox_id for row in rows]))
    links = _new_links(db.session.execute(still).all())
    return ExposedLinks(links, rows[-1].email if rows else None)


def _new_links(rows: Sequence[Any]) -> list[ExposedLink]:
    tokens = {row.mailbox_id: make(WELCOME) for row in rows}
    now, end = clock.now(), clock.from_now(days=LINK_DAYS)
    db.session.execute(db.delete(PasswordLink).where(PasswordLink.mailbox_id.in_(tokens)))
    if tokens:
        values = [
            {"mailbox_id": key, "digest": digest(token), "created_at": now, "expires_at": end}
            for key, token in tokens.items()
        ]
        db.session.execute(db.insert(PasswordLink), values)
    return [
        ExposedLink(row.email, row.name, _address_of(tokens[row.mailbox_id]), end) for row in rows
    ]


def _new_link(mailbox: Mailbox) -> Link:
    """A link for a mailbox, instead of the one from before; its domain's row is locked."""
    token, end = make(WELCOME), clock.from_now(days=LINK_DAYS)
    end_link(mailbox)
    db.session.add(PasswordLink(mailbox_id=mailbox.id, digest=digest(token), expires_at=end))
    return Link(_address_of(token), end)


def _address_of(token: str) -> str:
    return f"{settings.public_url}/welcome/{token}"


def forget_old_links() -> None:
    """Remove the rows of links and offers whose time is over."""
    with write_transaction() as session:
        for table in (PasswordLink, KeyOffer):
            session.execute(db.delete(table).where(table.expires_at <= clock.now()))
