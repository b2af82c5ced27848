"""What operations return: rows for pages to render, and `to_answer` for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import bindparam, case, false, func, select
from sqlalchemy.orm import Session

from ..addresses import domain_in_unicode
from ..dns.proof import proof_record
from ..dns.verdicts import Verdict
from ..models import Domain, DomainClaim, Feed, Mailbox, Node
from ..models.nodes import is_awaited
from .answers import (
    ClaimAnswer,
    ClaimFields,
    DomainAnswer,
    DomainFields,
    DomainsAnswer,
    LinkAnswer,
    LinkFields,
    NodeAnswer,
    NodeFields,
    NodesAnswer,
    RecordFields,
    RecordsAnswer,
    RemovedDomainAnswer,
    RemovedNodeAnswer,
    RemovedUserAnswer,
    SyncFields,
    UserAnswer,
    UserFields,
    UsersAnswer,
)


@dataclass
class OneDomain:
    """A domain with the counts of its mailboxes, and the name of its home node."""

    domain: Domain
    mailboxes: int
    active_mailboxes: int
    tells_project: bool
    home: str | None = None

    def to_dict(self) -> DomainFields:
        """The domain as programs see it."""
        fields: DomainFields = {
            "domain": self.domain.name,
            "domain_unicode": domain_in_unicode(self.domain.name),
            "email_enabled": self.domain.email_enabled,
            "mailboxes": self.mailboxes,
            "active_mailboxes": self.active_mailboxes,
            "created_at": self.domain.created_at,
        }
        if self.tells_project:
            fields["project_id"] = self.domain.project_id
            if self.home is not None:
                fields["home_node"] = self.home
            if self.domain.is_registered_here:
                fields["registered_here"] = True
        return fields

    def to_answer(self) -> DomainAnswer:
        """One domain."""
        return {"domain": self.to_dict()}


@dataclass
class Claim:
    """A domain that is being linked to a project; without a claim it is linked already."""

    name: str
    claim: DomainClaim | None = None

    def to_dict(self) -> ClaimFields:
        """Whether it is linked, and how to prove that it is one's own."""
        fields: ClaimFields = {
            "domain": self.name,
            "domain_unicode": domain_in_unicode(self.name),
            "linked": self.claim is None,
        }
        if self.claim:
            record = proof_record(self.claim.token)
            fields["proof"] = {
                "type": "TXT",
                "name": record.name,
                "full_name": record.full_name(self.name),
                "value": record.value,
            }
            fields["expires_at"] = self.claim.expires_at
            if self.claim.problem:
                fields["problem"] = self.claim.problem
        return fields

    def to_answer(self) -> ClaimAnswer:
        """One domain on its way."""
        return {"domain": self.to_dict()}


@dataclass
class DomainRecords:
    """The records a domain's zone has to hold, and what it was last found to hold."""

    name: str
    state: str  # DnsState
    verdicts: Sequence[Verdict]
    checked_at: str | None = None
    provider: str | None = None
    is_managed: bool = False

    @property
    def sentence(self) -> str:
        """What works."""
        return _SUMMARIES[self.state]

    @property
    def summary(self) -> str:
        """What works, and what is still missing."""
        wrong = [one for one in self.verdicts if one.state not in ("ok", "unknown")]
        missing = ", ".join(f"{one.record.type} {one.record.name}" for one in wrong)
        return f"{self.sentence} Still to be mended: {missing}." if missing else self.sentence

    def to_answer(self) -> RecordsAnswer:
        """All of them, and how many."""
        return {
            "domain": self.name,
            "domain_unicode": domain_in_unicode(self.name),
            "state": cast(Any, self.state),  # the table holds no other
            "summary": self.summary,
            "checked_at": self.checked_at,
            "provider": self.provider,
            "managed": self.is_managed,
            "records": [_record_fields(self.name, verdict) for verdict in self.verdicts],
            "total": len(self.verdicts),
        }


_SUMMARIES = {
    "off": "E-mail is off for this domain; these records are needed once it is on.",
    "unproven": "The domain is not linked yet: nobody has proven that it is theirs.",
    "checking": "No name server has told of this domain's records yet.",
    "pending": "No mail arrives yet: the MX records do not point to the mail servers.",
    "receiving": "Mail arrives. What is sent may be taken for spam.",
    "ready": "Mail arrives, and receivers can trust what is sent.",
    "attention": "Something that mail needs was there before and is gone.",
    "blocked": "Something that mail needs has been gone for three days: mail is being lost.",
}


def _record_fields(domain: str, verdict: Verdict) -> RecordFields:
    record = verdict.record
    fields: RecordFields = {
        "type": record.type,
        "name": record.name,
        "full_name": record.full_name(domain),
        "value": record.value,
        "priority": record.priority,
        "severity": record.severity,
        "why": record.why,
        "state": verdict.state,
        "found": list(verdict.found),
    }
    if verdict.advice:
        fields["advice"] = verdict.advice
    if verdict.merged:
        fields["merged"] = verdict.merged
    return fields


@dataclass
class Domains:
    """Domains, sorted by name."""

    domains: list[OneDomain]

    def to_answer(self) -> DomainsAnswer:
        """All of them, and how many."""
        return {
            "domains": [domain.to_dict() for domain in self.domains],
            "total": len(self.domains),
        }


@dataclass
class GoneDomain:
    """A domain that is no longer registered."""

    name: str

    def to_answer(self) -> RemovedDomainAnswer:
        """Its name, and that it is gone."""
        return {"domain": {"domain": self.name, "removed": True}}


@dataclass
class Sync:
    """On how many nodes a revision is live; pages also name the one that is furthest from it."""

    revision: int
    nodes: int
    nodes_applied: int
    waiting_for: Node | None = None

    def to_dict(self) -> SyncFields:
        """How far it has come."""
        return {
            "revision": self.revision,
            "nodes": self.nodes,
            "nodes_applied": self.nodes_applied,
        }


@dataclass
class Changed:
    """A mailbox after a change; `sync` is set when the change is about to be committed."""

    mailbox: Mailbox
    sync: Sync | None = None

    def to_answer(self) -> UserAnswer:
        """The mailbox, and how far the change has come."""
        fields = user_fields(*(getattr(self.mailbox, column.key) for column in USER_COLUMNS))
        if self.sync:
            fields["sync"] = self.sync.to_dict()
        return {"user": fields}


@dataclass(frozen=True)
class Link:
    """A one-time link, told once, and until when it works."""

    url: str
    expires_at: str

    def to_dict(self) -> LinkFields:
        """The link as programs see it."""
        return {"url": self.url, "expires_at": self.expires_at}


@dataclass(kw_only=True)
class Linked(Changed):
    """A mailbox and the new link by which its owner chooses the password."""

    link: Link

    def to_answer(self) -> LinkAnswer:
        """The mailbox, and the link."""
        return {**super().to_answer(), "link": self.link.to_dict()}


@dataclass
class GoneMailbox:
    """A mailbox that is gone for good."""

    email: str

    def to_answer(self) -> RemovedUserAnswer:
        """Its address, and that it is gone."""
        return {"user": {"email": self.email, "removed": True}}


@dataclass
class Users:
    """A page of mailboxes, as rows with the columns of USER_COLUMNS."""

    rows: Sequence[Any]
    total: int
    next_cursor: str | None

    def to_answer(self) -> UsersAnswer:
        """The page, how many there are in all, and how to go on."""
        return {
            "users": [user_fields(*row) for row in self.rows],
            "total": self.total,
            "next_cursor": self.next_cursor,
        }


@dataclass
class OneNode:
    """A node; `sync_key`, or the link to see it, only in the answer that makes it."""

    node: Node
    sync_key: str | None = None
    key_link: Link | None = None

    def to_dict(self) -> NodeFields:
        """The node as programs see it."""
        node = self.node
        fields: NodeFields = {
            "name": node.name,
            "ip_address": node.ip_address,
            "host": node.host,
            "mx_priority": node.mx_priority,
            "state": node.state,
            "last_sync_at": node.last_sync_at,
            "applied_revision": node.applied_revision,
            "agent_version": node.agent_version,
            "created_at": node.created_at,
        }
        if self.sync_key:
            fields["sync_key"] = self.sync_key
        if self.key_link:
            fields["key_link"] = self.key_link.to_dict()
        return fields

    def to_answer(self) -> NodeAnswer:
        """One node."""
        return {"node": self.to_dict()}


@dataclass
class GoneNode:
    """A node that is no longer one of the panel's."""

    name: str

    def to_answer(self) -> RemovedNodeAnswer:
        """Its name, and that it is gone."""
        return {"node": {"name": self.name, "removed": True}}


@dataclass
class Nodes:
    """Nodes, sorted by name."""

    nodes: list[OneNode]

    def to_answer(self) -> NodesAnswer:
        """All of them, and how many."""
        return {"nodes": [node.to_dict() for node in self.nodes], "total": len(self.nodes)}


# Columns rather than objects: a list of a thousand mailboxes takes a tenth of the time.
USER_COLUMNS = (
    Mailbox.email,
    Mailbox.quota_mb,
    Mailbox.can_login,
    Mailbox.can_receive,
    Mailbox.created_at,
    Mailbox.updated_at,
    Mailbox.purge_at,
    Mailbox.is_waiting,
)


def user_fields(
    email: str,
    quota_mb: int,
    can_login: bool,
    can_receive: bool,
    created_at: str,
    updated_at: str,
    purge_at: str | None,
    is_waiting: bool,
) -> UserFields:
    """A mailbox as programs see it, from its USER_COLUMNS."""
    fields: UserFields = {
        "email": email,
        "domain": email.partition("@")[2],
        "quota_mb": quota_mb,
        "active": purge_at is None,
        "can_login": can_login,
        "can_receive": can_receive,
        "created_at": created_at,
        "updated_at": updated_at,
    }
    if purge_at is not None:
        fields["purge_at"] = purge_at
    if is_waiting:
        fields["waits_for_owner"] = True
    return fields


_FOLLOWS = func.coalesce(Node.applied_epoch == select(Feed.epoch).scalar_subquery(), false())
# Of a domain with a home, other nodes only hold the addresses.
_NEEDED = case((Node.id == bindparam("home"), bindparam("revision")), else_=bindparam("backups"))
_HAS_APPLIED = _FOLLOWS & (Node.applied_revision >= _NEEDED)
# Every change asks it, and making it costs more than running it.
_NODES = (
    select(func.count(), func.sum(case((_HAS_APPLIED, 1), else_=0)))
    .select_from(Node)
    .where(is_awaited())
)
_SLOWEST = (
    select(Node)
    .where(is_awaited(), ~_HAS_APPLIED)
    .order_by(_FOLLOWS, func.coalesce(Node.applied_revision, -1), Node.name)
    .limit(1)
)


def sync_of(session: Session, mailbox: Mailbox, revision: int) -> Sync:
    """How many nodes serve a mailbox, and on how many a revision of the present epoch is live.

    Without a home all of them do, and each needs the revision. With one, the home needs it; the
    backups serve it by accepting its mail, for which they need the last change of its address or of
    the home: a new password is none of their business, but a new address that one of them does not
    know is refused there. Paused nodes are expected to be away, and lost ones to stay there: nobody
    waits for them.
    """
    nodes, applied = session.execute(_NODES, _needed(mailbox, revision)).one()
    return Sync(revision, nodes, applied or 0)


def slowest(session: Session, mailbox: Mailbox, revision: int) -> Node | None:
    """The node that is furthest from having what `sync_of` counts; None when all have it."""
    found: Node | None = session.scalar(_SLOWEST, _needed(mailbox, revision))
    return found


def _needed(mailbox: Mailbox, revision: int) -> dict[str, int]:
    domain = mailbox.domain
    if domain.home_node_id is None:
        return {"home": 0, "revision": revision, "backups": revision}
    backups = max(mailbox.address_revision, domain.revision)
    return {"home": domain.home_node_id, "revision": revision, "backups": backups}
