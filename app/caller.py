"""Who asks, and the rows they can reach. What a caller cannot reach does not exist for it.

Every look-up of an operation goes through here, so that "absent" and "not yours" are one answer.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NoReturn, cast

from sqlalchemy import Select, Table, bindparam
from sqlalchemy.orm.attributes import set_committed_value

from . import clock
from .addresses import Address
from .credentials import TOKEN, digest, is_well_formed
from .database import is_writing, write_transaction
from .errors import Busy, Conflict, Forbidden, NoLongerYours, NotFound
from .extensions import db
from .fields import MAX_ID
from .models import Assistant, Domain, Mailbox, Membership, OAuthClient, Person, Project, Token
from .models.people import is_usable
from .throttle import refuse_credential

LAST_USE_SECONDS = 60  # how exactly the last use of a token is known
# Asked by most requests, and made once: making them would take as long as running them does. Of a
# token columns of the table, since keeping an object would cost as much again.
_tokens = cast(Table, Token.__table__).c
_TOKEN = db.select(
    _tokens.id,
    _tokens.name,
    _tokens.project_id,
    _tokens.scope,
    _tokens.revoked_at,
    _tokens.expires_at,
    _tokens.last_used_at,
).where(_tokens.digest == bindparam("digest"))


_DOMAIN = db.select(Domain).where(Domain.name == bindparam("name"))
_DOMAIN_OF_PROJECT = _DOMAIN.where(Domain.project_id == bindparam("project_id"))
_MAILBOX = db.select(Mailbox).where(
    Mailbox.domain_id == bindparam("domain_id"), Mailbox.email == bindparam("email")
)


@dataclass(frozen=True)
class Caller:
    """Who asks for an operation.

    `projects` are the ids it may choose from, None for all of them; `project_id` is the one it
    acts in. `actor` and `address` are what the audit log says of it. `is_assistant` is one who came
    by MCP: what is answered to it stands in a conversation. `approved_by` is the person who let it
    do what it does.
    """

    actor: str
    is_admin: bool = False
    may_write: bool = True
    projects: frozenset[int] | None = frozenset()
    project_id: int | None = None
    address: str | None = None
    token_id: int | None = None
    person_id: int | None = None
    is_assistant: bool = False
    approved_by: str | None = None
    assistant_id: int | None = None

    def in_project(self, project_id: int, *, field: str | None = None) -> Caller:
        """The same caller, acting in one of its projects. Raises NotFound.

        `field` is the input that named the project, where an input did.
        """
        # Only who may choose any has to be told that there is none: the others' are theirs because
        # their token or membership refers to it. PostgreSQL does not even compare a larger number.
        is_there = (
            project_id in self.projects
            if self.projects is not None
            else project_id <= MAX_ID and db.session.get(Project, project_id) is not None
        )
        if not is_there:
            raise NotFound("PROJECT_NOT_FOUND", "There is no such project.", field=field)
        return replace(self, project_id=project_id)

    def renewed(self) -> Caller:
        """The same caller with what it may do by now; never more than before.

        A password is hashed and a lock waited for before anything is changed: meanwhile a person
        can have been disabled or lost a project, and an assistant been disconnected. Raises
        Forbidden, NoLongerYours.
        """
        if self.person_id is None:
            return self
        person = db.session.get(Person, self.person_id)
        if person is None or person.disabled_at:
            raise Forbidden("This account is disabled.")
        if self.assistant_id is not None:
            assistant = db.session.get(Assistant, self.assistant_id)
            if assistant is None or assistant.revoked_at:
                raise Forbidden("This assistant is no longer connected.")
        projects = self.projects
        if not person.is_admin:
            theirs = memberships(person.id)
            projects = theirs if projects is None else projects & theirs
        if projects is not None and self.project_id not in (None, *projects):
            raise NoLongerYours
        return replace(self, is_admin=self.is_admin and person.is_admin, projects=projects)

    def domain(self, name: str, *, field: str = "domain") -> Domain:
        """A domain linked to the caller's project; `field` is the input that named it."""
        given = {"name": name, "project_id": self.project_id}
        domain = one_domain(_DOMAIN_OF_PROJECT, given)
        if domain is None or self.project_id is None:
            raise no_such_domain(name, field=field)
        return domain

    def mail_domain(self, name: str, *, field: str = "domain") -> Domain:
        """A domain of the caller's project whose e-mail is on."""
        domain = self.domain(name, field=field)
        if not domain.email_enabled:
            raise Conflict(
                "EMAIL_NOT_ENABLED",
                f"E-mail is off for {name}.",
                field=field,
                recovery="Turn e-mail on for the domain first (enable-email).",
            )
        return domain

    def mailbox(self, email: Address) -> Mailbox:
        """A mailbox, live or removed, on a domain of the caller's project."""
        try:
            domain = self.mail_domain(email.domain, field="email")
        except NotFound:
            _no_such_mailbox(email)
        given = {"domain_id": domain.id, "email": str(email)}
        mailbox: Mailbox | None = db.session.scalar(_MAILBOX, given)
        if mailbox is None:
            _no_such_mailbox(email)
        set_committed_value(mailbox, "domain", domain)
        return mailbox

    def any_domain(self, name: str) -> Domain:
        """A domain of whatever project, for admins."""
        domain = one_domain(_DOMAIN, {"name": name})
        if domain is None or not self.is_admin:
            raise NotFound("DOMAIN_NOT_FOUND", f"{name} is not registered.", field="domain")
        return domain

    def token(self, token_id: int) -> Token:
        """A token of one of the caller's projects; for admins any token."""
        token = db.session.get(Token, token_id)
        if token is None or (self.projects is not None and token.project_id not in self.projects):
            raise NotFound("TOKEN_NOT_FOUND", "There is no such token.", field="token_id")
        return token

    def live_mailbox(self, email: Address) -> Mailbox:
        """A mailbox that is not removed."""
        mailbox = self.mailbox(email)
        if not mailbox.is_active:
            raise removed(mailbox)
        return mailbox


def no_such_domain(name: str, *, field: str = "domain") -> NotFound:
    """The refusal for a domain that is absent, or not linked to the caller's project."""
    return NotFound(
        "DOMAIN_NOT_FOUND",
        f"{name} is not linked to this project.",
        field=field,
        recovery="Link the domain to the project first (link-domain), or check the spelling.",
    )


def removed(mailbox: Mailbox) -> Conflict:
    """The refusal for an address whose mailbox is removed and waits for its purge date."""
    return Conflict(
        "MAILBOX_REMOVED",
        f"{mailbox.email} was removed and is kept until {mailbox.purge_at}.",
        field="email",
        recovery="Bring it back with restore-user, or let go of it for good with remove-user "
        "and hard_delete.",
    )


def memberships(person_id: int) -> frozenset[int]:
    """The ids of the projects somebody belongs to."""
    query = db.select(Membership.project_id).where(Membership.person_id == person_id)
    return frozenset(db.session.scalars(query))


def still_reaches(person: Person, *, is_member: bool) -> bool:
    """Whether what somebody let into a project still gets there; everywhere, only admins do."""
    return not person.disabled_at and (person.is_admin or is_member)


def command_line() -> Caller:
    """The operator at the machine the panel runs on."""
    return Caller(actor="command line", is_admin=True, projects=None)


def caller_with_token(authorization: str, address: str) -> Caller:
    """The caller an Authorization header stands for (RFC 6750). Raises Unauthorized, TooMany."""
    credential = authorization.removeprefix("Bearer ")
    if credential == authorization or not is_well_formed(credential, TOKEN):
        refuse_credential(authorization, address)
    token: Any = db.session.execute(_TOKEN, {"digest": digest(credential)}).first()
    if token is None or not is_usable(token.revoked_at, token.expires_at):
        refuse_credential(authorization, address)
    caller = _holder_of(token, address)
    _note_use(token)
    return caller


def caller_of_token(token_id: int | None, address: str | None) -> Caller:
    """The caller who holds a token, with what it may do by now. Raises Forbidden."""
    token = db.session.get(Token, token_id)
    if token is None or not token.is_usable:
        raise Forbidden("The token by which this was asked for has ended.")
    return _holder_of(token, address)


def caller_of_assistant(assistant_id: int, address: str | None) -> Caller:
    """A person, through an assistant they let in, as both may by now. Raises Forbidden."""
    assistant = db.session.get_one(Assistant, assistant_id)
    person = db.session.get_one(Person, assistant.person_id)
    is_member = assistant.project_id in memberships(person.id)
    if assistant.revoked_at or not still_reaches(person, is_member=is_member):
        raise Forbidden("The assistant by which this was asked for is no longer connected.")
    client = db.session.get_one(OAuthClient, assistant.client_id)
    return through_assistant(
        assistant.id,
        assistant.project_id,
        person,
        client.name,
        scope=assistant.scope,
        address=address,
    )


def through_assistant(
    assistant_id: int,
    project_id: int | None,
    person: Person,
    name: str,
    *,
    scope: str,
    address: str | None,
) -> Caller:
    """A person who acts through an assistant, which is called `name`."""
    return Caller(
        actor=f"person {person.email} through {name}"[:320],
        is_admin=project_id is None,
        may_write=scope == "write",
        projects=None if project_id is None else frozenset({project_id}),
        address=address,
        person_id=person.id,
        assistant_id=assistant_id,
    )


def _holder_of(token: Any, address: str | None) -> Caller:
    return Caller(
        actor=f"token {token.id} ({token.name})",
        is_admin=token.project_id is None,
        may_write=token.scope == "write",
        projects=None if token.project_id is None else frozenset({token.project_id}),
        address=address,
        token_id=token.id,
    )


def _note_use(token: Any) -> None:
    """Record the last use, at most once a minute: a write for each read would slow both."""
    if token.last_used_at and 0 <= clock.seconds_since(token.last_used_at) < LAST_USE_SECONDS:
        return
    query = db.update(Token).where(Token.id == token.id).values(last_used_at=clock.now())
    # A database that cannot be written now is no reason to refuse a read.
    with suppress(Busy), write_transaction(is_lasting=False) as session:
        session.execute(query)


def one_domain(query: Select[Domain], given: dict[str, Any]) -> Domain | None:
    """A domain, its row locked while a transaction writes: the order is domain, mailbox, feed."""
    domain: Domain | None = db.session.scalar(_locking(query) if is_writing() else query, given)
    return domain


@cache
def _locking(query: Select[Domain]) -> Select[Domain]:
    return query.with_for_update(of=Domain)


def _no_such_mailbox(email: Address) -> NoReturn:
    raise NotFound(
        "MAILBOX_NOT_FOUND",
        f"There is no mailbox {email} in this project.",
        field="email",
        recovery="Check the spelling; list-users shows the mailboxes of the project.",
    )
