"""The verbs of the panel itself: projects, people, tokens, and what has to be tidied up.

They are reached from the command line and the pages, not by programs or assistants.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from .. import clock
from ..addresses import domain_in_unicode
from ..caller import Caller
from ..credentials import TOKEN, WELCOME, digest, hint, make
from ..errors import Conflict, Forbidden
from ..extensions import db, settings
from ..fields import Flag, Id, Name, Password, PersonEmail, ProjectId
from ..models import (
    Domain,
    Feed,
    Mailbox,
    Membership,
    Node,
    Person,
    Project,
    PurgeOrder,
    Token,
)
from ..passwords import NewPassword
from .operation import operation

WELCOME_DAYS = 7

Scope = Literal["read", "write"]
Days = Annotated[int, Field(ge=1, le=3650, strict=True)]


@dataclass
class NewPerson:
    """A person, with the one-time token of the link by which they choose a password."""

    person: Person
    welcome: str | None


@dataclass
class NewToken:
    """A token, with its text, which is shown once."""

    token: Token
    text: str


@dataclass
class Purged:
    """How many mailboxes are gone for good, and how many orders went out to the nodes."""

    mailboxes: int
    orders: int


@operation(who="admin", is_internal=True)
def add_project(caller: Caller, *, name: Name) -> Project:  # noqa: ARG001
    """Create a project that domains can be linked to."""
    project = Project(name=name)
    db.session.add(project)
    db.session.flush()
    return project


def _hash_for_person(
    caller: Caller,  # noqa: ARG001
    *,
    email: str,
    password: NewPassword | None,
    **_rest: object,
) -> None:
    if password:
        local_part, _, domain = email.partition("@")
        password.refuse_if_named_like(email, local_part, domain, domain_in_unicode(domain))
        password.hash(settings.person_bcrypt_cost)


@operation(who="admin", is_internal=True, first=_hash_for_person)
def add_person(
    caller: Caller,
    *,
    email: PersonEmail,
    password: Password | None = None,
    is_admin: Flag = False,
    projects: list[ProjectId] | None = None,
) -> NewPerson:
    """Let somebody sign in: with a password, or by a link that works once within 7 days."""
    if db.session.scalar(db.select(Person.id).where(Person.email == email)):
        raise Conflict("PERSON_EXISTS", f"There already is a person {email}.", field="email")
    person = Person(email=email, is_admin=is_admin)
    welcome = None
    if password:
        person.password_hash = password.hash(settings.person_bcrypt_cost)
    else:
        welcome = make(WELCOME)
        person.welcome_digest = digest(welcome)
        person.welcome_expires_at = clock.from_now(days=WELCOME_DAYS)
    db.session.add(person)
    db.session.flush()
    for project_id in sorted(set(projects or [])):
        caller.in_project(project_id, field="projects")
        db.session.add(Membership(person_id=person.id, project_id=project_id))
    return NewPerson(person, welcome)


@operation(who="self", is_internal=True)
def add_token(
    caller: Caller,
    *,
    name: Name,
    project_id: ProjectId | None = None,
    scope: Scope = "write",
    days: Days | None = None,
) -> NewToken:
    """Make a token for one of the caller's projects, or without a project one for an admin."""
    if project_id is not None:
        caller.in_project(project_id, field="project_id")
    elif not caller.is_admin:
        raise Forbidden("Only an admin can make a token that reaches every project.")
    text = make(TOKEN)
    token = Token(
        project_id=project_id,
        name=name,
        digest=digest(text),
        hint=hint(text),
        scope=scope,
        expires_at=clock.from_now(days=days) if days else None,
    )
    db.session.add(token)
    db.session.flush()
    return NewToken(token, text)


@operation(who="self", is_internal=True)
def revoke_token(caller: Caller, *, token_id: Id) -> Token:
    """End a token for good. One that was revoked before keeps its date."""
    token = caller.token(token_id)
    token.revoked_at = token.revoked_at or clock.now()
    return token


@operation(who="admin", is_internal=True)
def confirm_shrink(caller: Caller) -> None:  # noqa: ARG001
    """Tell the nodes that the present mailboxes are meant, however few they are.

    Needed when a panel that is new or restored holds far fewer mailboxes than the nodes do: until
    then they keep what they have.
    """
    feed = db.session.scalars(db.select(Feed).with_for_update()).one()
    feed.users = (
        db.session.scalar(
            db.select(db.func.count())
            .select_from(Mailbox)
            .join(Domain)
            .where(Mailbox.purge_at.is_(None), Domain.email_enabled)
        )
        or 0
    )
    feed.shrink_is_meant = True


@operation(who="admin", is_internal=True)
def record_backup(caller: Caller, *, name: Name) -> None:
    """Note that a backup was written and found sound, to a file of this name.

    The entry in the audit log is all there is of it; how old it is, the figures tell.
    """


@operation(who="admin", is_internal=True)
def settle_epoch(caller: Caller) -> None:  # noqa: ARG001
    """Take the nodes' word that they follow this epoch: from now on removals are meant.

    Until every node that has told what it holds holds this epoch, a panel that is new or restored
    must not make any of them drop what it kept for the one before.
    """
    if epoch_is_settled():
        feed = db.session.scalars(db.select(Feed).with_for_update()).one()
        feed.shrink_is_meant = True


def epoch_is_settled() -> bool:
    """Whether some node holds a state of this epoch, and none a state of another."""
    epoch = db.session.scalars(db.select(Feed.epoch)).one()
    held = set(
        db.session.scalars(
            db.select(Node.applied_epoch)
            .where(Node.applied_epoch.is_not(None), Node.lost_at.is_(None))
            .distinct()
        )
    )
    return held == {epoch}


@operation(who="admin", is_internal=True)
def purge(caller: Caller) -> Purged:  # noqa: ARG001
    """Let go of the mailboxes whose grace period is over, and tell the nodes to drop their mail.

    Harmless to run at any time and by several at once.
    """
    is_due = Mailbox.purge_at <= clock.now()
    # The domains first, as everybody locks them: who is just restoring a mailbox is waited for.
    domains = db.session.scalars(
        db.select(Domain.id)
        .where(Domain.id.in_(db.select(Mailbox.domain_id).where(is_due)))
        .order_by(Domain.id)
        .with_for_update()
    ).all()
    mailboxes = db.session.scalars(
        db.select(Mailbox).where(is_due, Mailbox.domain_id.in_(domains))
    ).all()
    for mailbox in mailboxes:
        db.session.add(PurgeOrder(mailbox_id=mailbox.id, due_at=mailbox.purge_at, is_released=True))
        db.session.delete(mailbox)
    orders = db.session.scalars(
        db.select(PurgeOrder)
        .where(PurgeOrder.due_at <= clock.now(), ~PurgeOrder.is_released)
        .with_for_update()
    ).all()
    for order in orders:
        order.is_released = True
    return Purged(len(mailboxes), len(mailboxes) + len(orders))


def anything_to_purge() -> bool:
    """Whether `purge` would find something; it saves an hourly line in the audit log."""
    moment = clock.now()
    mailbox = db.select(Mailbox.id).where(Mailbox.purge_at <= moment).exists()
    order = db.select(PurgeOrder.mailbox_id).where(
        PurgeOrder.due_at <= moment, ~PurgeOrder.is_released
    )
    return bool(db.session.scalar(db.select(mailbox | order.exists())))
