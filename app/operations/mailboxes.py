"""The verbs of mailboxes."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Executable, Select, bindparam, func, select
from sqlalchemy.orm.attributes import set_committed_value

from .. import clock
from ..addresses import Address, domain_in_unicode
from ..caller import Caller, one_domain, removed
from ..errors import Conflict
from ..extensions import db, settings
from ..fields import (
    CanLogin,
    CanReceive,
    Cursor,
    DomainName,
    Email,
    HardDelete,
    Limit,
    Password,
    QuotaMb,
    to_cursor,
)
from ..models import Domain, Mailbox, MailboxUsage, PasswordLink, PurgeOrder
from ..passwords import NewPassword
from .answers import RemovedUserAnswer, UserAnswer, UsersAnswer
from .operation import operation
from .results import USER_COLUMNS, Changed, GoneMailbox, Users
from .seen import of_mailbox


def _hash_for_new(
    caller: Caller, *, email: Address, password: NewPassword, **_rest: object
) -> None:
    """Refuse what is refused anyway, then hash: it takes 50 ms, too long to hold a lock for."""
    refuse_if_named_like(password, email)
    free_domain(caller, email)
    password.hash(settings.mailbox_bcrypt_cost)


def _hash_for_known(caller: Caller, *, email: Address, password: NewPassword) -> None:
    refuse_if_named_like(password, email)
    caller.live_mailbox(email)
    password.hash(settings.mailbox_bcrypt_cost)


def refuse_if_named_like(password: NewPassword, email: Address) -> None:
    """Raises Invalid when the password is the mailbox's own address or a part of it."""
    shown = Address(email.local_part, domain_in_unicode(email.domain))
    password.refuse_if_named_like(str(email), *email, str(shown), shown.domain)


@operation(
    who="project",
    answers=UserAnswer,
    title="Add a mailbox",
    adds_up=True,
    status=201,
    first=_hash_for_new,
)
def add_user(
    caller: Caller, *, email: Email, password: Password, quota_mb: QuotaMb = 1024
) -> Changed:
    """Create a mailbox on a domain of the project that has e-mail turned on.

    Its owner can sign in as soon as the nodes have fetched the change, within a minute. An address
    that is taken is refused with MAILBOX_EXISTS, one whose mailbox was removed and is not purged
    yet with MAILBOX_REMOVED: restore it with restore-user, or remove it with hard_delete. Where the
    owner can choose the password, use invite-user instead: then nobody else ever knows it.
    """
    domain = free_domain(caller, email)
    mailbox = Mailbox(
        domain_id=domain.id,
        email=str(email),
        password_hash=password.hash(settings.mailbox_bcrypt_cost),
        quota_mb=quota_mb,
    )
    db.session.add(mailbox)
    set_committed_value(mailbox, "domain", domain)
    return Changed(mailbox)


@operation(
    who="project",
    answers=RemovedUserAnswer,
    title="Remove a mailbox",
    destroys=True,
)
def remove_user(
    caller: Caller, *, email: Email, hard_delete: HardDelete = False
) -> Changed | GoneMailbox:
    """Remove a mailbox: its owner can no longer sign in and mail to it is refused.

    Without hard_delete it can be brought back with restore-user until its purge_at, and removing
    it again changes nothing. With hard_delete it is gone for good and the nodes drop its mail.
    """
    mailbox = caller.mailbox(email)
    if hard_delete:
        db.session.add(PurgeOrder(mailbox_id=mailbox.id, due_at=clock.now(), is_released=True))
        db.session.delete(mailbox)
        return GoneMailbox(str(email))
    if mailbox.is_active:
        mailbox.purge_at = clock.from_now(days=settings.grace_days)
        mailbox.updated_at = clock.now()
        end_link(mailbox)
    return Changed(mailbox)


@operation(who="project", answers=UserAnswer, title="Restore a removed mailbox")
def restore_user(caller: Caller, *, email: Email) -> Changed:
    """Bring back a mailbox that was removed, with its password, settings and mail.

    Possible until its purge_at. On a mailbox that is live it changes nothing.
    """
    mailbox = caller.mailbox(email)
    if not mailbox.is_active:
        mailbox.purge_at = None
        mailbox.updated_at = clock.now()
    return Changed(mailbox)


@operation(who="project", answers=UsersAnswer, title="List mailboxes", reads=True)
def list_users(
    caller: Caller,
    *,
    domain: DomainName | None = None,
    limit: Limit | None = None,
    cursor: Cursor | None = None,
) -> Users:
    """List the project's mailboxes sorted by address, those of one domain when domain is given.

    Changes nothing. Removed mailboxes that are not purged yet are in it with active false. Without
    limit all are answered; with it, pass next_cursor as cursor to get the page that follows.
    """
    one = caller.mail_domain(domain).id if domain is not None else None
    given = {"domain_id": one} if one is not None else {"project_id": caller.project_id}
    # One row more than the limit tells whether another page follows.
    page = {"cursor": cursor, "limit": None if limit is None else limit + 1}
    page = {name: value for name, value in page.items() if value is not None}
    query = _users(is_of_one=one is not None, page=frozenset(page))
    rows = db.session.execute(query, {**given, **page}).all()
    if limit is None and cursor is None:
        return Users(rows, len(rows), None)
    total = db.session.scalar(_count_of_users(is_of_one=one is not None), given) or 0
    if limit is None or len(rows) <= limit:
        return Users(rows, total, None)
    return Users(rows[:limit], total, to_cursor(rows[limit - 1].email))


@operation(
    who="project",
    answers=UserAnswer,
    title="Change a mailbox's password",
    destroys=True,
    first=_hash_for_known,
)
def update_password(caller: Caller, *, email: Email, password: Password) -> Changed:
    """Give a mailbox another password; the old one stops working as soon as the nodes know.

    Sessions that are open with the old one are ended, and so is a link to choose one. A removed
    mailbox is refused with MAILBOX_REMOVED. Where the owner can choose the password, use
    send-password-link instead.
    """
    mailbox = caller.live_mailbox(email)
    mailbox.renew_password(password.hash(settings.mailbox_bcrypt_cost))
    end_link(mailbox)
    return Changed(mailbox)


def _takes_away(caller: Caller, arguments: dict[str, Any]) -> bool:
    """Whether a mailbox does less than before: one that is full refuses mail, too."""
    if arguments["can_login"] is False or arguments["can_receive"] is False:
        return True
    if arguments["quota_mb"] is None:
        return False
    theirs = select(Mailbox.quota_mb).join(Domain).where(Domain.project_id == caller.project_id)
    present = db.session.scalar(theirs.where(Mailbox.email == str(arguments["email"])))
    return bool(present is not None and arguments["quota_mb"] < present)


@operation(
    who="project",
    answers=UserAnswer,
    title="Change a mailbox's settings",
    takes_away=_takes_away,
    shows=lambda caller, given: of_mailbox(caller.live_mailbox(given["email"])),
)
def update_user(
    caller: Caller,
    *,
    email: Email,
    quota_mb: QuotaMb | None = None,
    can_login: CanLogin | None = None,
    can_receive: CanReceive | None = None,
) -> Changed:
    """Change a mailbox's storage, whether its owner may sign in, and whether it accepts mail.

    What is not given stays as it is. A removed mailbox is refused with MAILBOX_REMOVED.
    """
    mailbox = caller.live_mailbox(email)
    given = {"quota_mb": quota_mb, "can_login": can_login, "can_receive": can_receive}
    for name, value in given.items():
        if value is not None and value != getattr(mailbox, name):
            setattr(mailbox, name, value)
            mailbox.updated_at = clock.now()
    usage = db.session.get(MailboxUsage, mailbox.id) if quota_mb else None
    if usage and usage.bytes is not None:
        mailbox.percent_used = usage.bytes * 100 // (mailbox.quota_mb * 2**20)
    return Changed(mailbox)


def end_link(mailbox: Mailbox) -> None:
    """End the one-time link of a mailbox, if it has one."""
    db.session.execute(db.delete(PasswordLink).where(PasswordLink.mailbox_id == mailbox.id))


# Made once, all of these: making them takes longer than running them.
@cache
def _users(*, is_of_one: bool, page: frozenset[str]) -> Executable:
    query = select(*USER_COLUMNS).where(_scope(is_of_one=is_of_one)).order_by(Mailbox.email)
    if "cursor" in page:
        query = query.where(Mailbox.email > bindparam("cursor"))
    return query.limit(bindparam("limit")) if "limit" in page else query


@cache
def _count_of_users(*, is_of_one: bool) -> Select[int]:
    return select(func.count()).select_from(Mailbox).where(_scope(is_of_one=is_of_one))


def _scope(*, is_of_one: bool) -> ColumnElement[bool]:
    """The mailboxes of one domain, or of the project's domains that have e-mail turned on."""
    if is_of_one:
        return Mailbox.domain_id == bindparam("domain_id")
    enabled = select(Domain.id).where(
        Domain.project_id == bindparam("project_id"), Domain.email_enabled
    )
    return Mailbox.domain_id.in_(enabled)


_BY_ADDRESS = select(Mailbox).where(Mailbox.email == bindparam("email"))
_FREE = (
    select(Domain)
    .outerjoin(Mailbox, Mailbox.email == bindparam("email"))
    .where(
        Domain.name == bindparam("domain"),
        Domain.project_id == bindparam("project_id"),
        Domain.email_enabled,
        Mailbox.id.is_(None),
    )
)


def free_domain(caller: Caller, email: Address) -> Domain:
    """The domain a mailbox can be made on, by one statement. Refuses an address that is taken."""
    given = {"email": str(email), "domain": email.domain, "project_id": caller.project_id}
    if domain := one_domain(_FREE, given):
        return domain
    domain = caller.mail_domain(email.domain, field="email")
    taken = db.session.scalar(_BY_ADDRESS, {"email": str(email)})
    if taken is None:
        return domain
    if not taken.is_active:
        raise removed(taken)
    raise Conflict(
        "MAILBOX_EXISTS",
        f"There already is a mailbox {email}.",
        field="email",
        recovery="Choose another address, or change the mailbox with update-user or "
        "update-password.",
    )
