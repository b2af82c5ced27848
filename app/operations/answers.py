"""The shapes in which programs see what operations return; from them come the answers' schemas.

Nothing here holds a password, hash or digest, so nothing can show one; a node's `sync_key` is the
one secret, shown once, by the operation that makes it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field

# typing's own TypedDict cannot be read by pydantic before Python 3.12
from typing_extensions import TypedDict


def _told(description: str, **keywords: str) -> Any:
    return Field(description=description, json_schema_extra={**keywords})


_MOMENT = {"format": "date-time"}
Created = Annotated[str, _told("When it was made, in UTC.", **_MOMENT)]
Total = Annotated[int, _told("How many there are in all.")]
Removed = Annotated[bool, _told("Always true: it is gone.")]
EmailAddress = Annotated[str, _told("The full e-mail address.")]


class DomainFields(TypedDict):
    """A domain. Counts are of mailboxes; `project_id` and `home_node` are told to admins."""

    domain: Annotated[str, _told("The domain's name, in lower-case ASCII (punycode).")]
    domain_unicode: Annotated[str, _told("The domain's name as people write it.")]
    project_id: NotRequired[
        Annotated[int | None, _told("The project it is linked to, null for none; for admins.")]
    ]
    home_node: NotRequired[
        Annotated[str, _told("The node that is its home, left out when it has none; for admins.")]
    ]
    registered_here: NotRequired[
        Annotated[bool, _told("True if it was registered through the platform; for admins.")]
    ]
    email_enabled: Annotated[bool, _told("Whether e-mail is turned on.")]
    mailboxes: Annotated[int, _told("How many mailboxes it has, removed ones included.")]
    active_mailboxes: Annotated[int, _told("How many mailboxes it has without the removed ones.")]
    created_at: Created


class ProofFields(TypedDict):
    """The record that proves that a domain is one's own."""

    type: Annotated[Literal["TXT"], _told("The type of the record.")]
    name: Annotated[str, _told("Its name, relative to the domain, as most registrars want it.")]
    full_name: Annotated[str, _told("Its name with the domain.")]
    value: Annotated[str, _told("What it has to say, without quotes.")]


class ClaimFields(TypedDict):
    """A domain on its way into a project; once it is linked there is nothing left to prove."""

    domain: Annotated[str, _told("The domain's name, in lower-case ASCII (punycode).")]
    domain_unicode: Annotated[str, _told("The domain's name as people write it.")]
    linked: Annotated[bool, _told("Whether it is linked to the project.")]
    proof: NotRequired[Annotated[ProofFields, _told("The record to add to the domain's zone.")]]
    problem: NotRequired[
        Annotated[str, _told("What the last look for the record found instead of it.")]
    ]
    expires_at: NotRequired[
        Annotated[str, _told("When it is given up unless it is proven, in UTC.", **_MOMENT)]
    ]


DnsState = Annotated[
    Literal["off", "unproven", "checking", "pending", "receiving", "ready", "attention", "blocked"],
    _told(
        "off: e-mail is not turned on; unproven: ownership is not proven yet; checking: not looked "
        "at yet; pending: no mail arrives yet; receiving: mail arrives, but what is sent may be "
        "taken for spam; ready: all that is required is there; attention: something that was there "
        "is gone; blocked: so for three days."
    ),
]


class RecordFields(TypedDict):
    """A record that a domain's zone has to hold, and what it was found to hold."""

    type: Annotated[Literal["MX", "TXT", "CNAME", "SRV"], _told("The type of the record.")]
    name: Annotated[str, _told("Its name, relative to the domain; @ is the domain itself.")]
    full_name: Annotated[str, _told("Its name with the domain.")]
    value: Annotated[str, _told("Its value without the priority, a text without quotes.")]
    priority: Annotated[int | None, _told("Its priority, null for types that have none.")]
    severity: Annotated[
        Literal["ownership", "receiving", "sending", "reputation", "convenience"],
        _told("What does not work without it."),
    ]
    why: Annotated[str, _told("What it is for, in a sentence.")]
    state: Annotated[
        Literal["ok", "missing", "different", "conflict", "unknown"],
        _told(
            "ok: there; missing: not there; different: something else is there; conflict: it is "
            "there, and something beside it that breaks it; unknown: nobody could be asked yet."
        ),
    ]
    found: Annotated[list[str], _told("What was found there.")]
    advice: NotRequired[Annotated[str, _told("What to do about it.")]]
    merged: NotRequired[
        Annotated[str, _told("The one value to put in place of what is there, where that helps.")]
    ]


class RecordsAnswer(TypedDict):
    """The records of a domain, those first without which no mail arrives."""

    domain: Annotated[str, _told("The domain's name, in lower-case ASCII (punycode).")]
    domain_unicode: Annotated[str, _told("The domain's name as people write it.")]
    state: DnsState
    summary: Annotated[str, _told("What works and what is still missing, in a sentence.")]
    checked_at: Annotated[
        str | None, _told("When it was last looked at, in UTC; null for never.", **_MOMENT)
    ]
    provider: Annotated[
        str | None, _told("Who runs its name servers, as far as that can be told; null if not.")
    ]
    managed: Annotated[bool, _told("Whether the panel writes these records by itself.")]
    records: Annotated[list[RecordFields], _told("The records.")]
    total: Total


class SyncFields(TypedDict):
    """How far a change has come: on how many of the nodes it is live."""

    revision: Annotated[int, _told("The panel's revision with this change in it.")]
    nodes: Annotated[int, _told("How many mail nodes there are, without paused ones.")]
    nodes_applied: Annotated[
        int,
        _told(
            "On how many of them it is live. A node that only accepts mail for the domain, whose "
            "home is another, counts as soon as it knows the address."
        ),
    ]


class UserFields(TypedDict):
    """A mailbox. `active` is false once it is removed and waits for `purge_at`."""

    email: EmailAddress
    domain: Annotated[str, _told("The part after the @, in lower-case ASCII (punycode).")]
    quota_mb: Annotated[int, _told("Storage in MiB.")]
    active: Annotated[bool, _told("False once it is removed; it can be restored until purge_at.")]
    can_login: Annotated[bool, _told("Whether its owner may sign in by IMAP, POP3 and SMTP.")]
    can_receive: Annotated[bool, _told("Whether it accepts mail that is sent to it.")]
    created_at: Created
    updated_at: Annotated[str, _told("When it was last changed, in UTC.", **_MOMENT)]
    purge_at: NotRequired[
        Annotated[str, _told("When a removed mailbox goes for good, in UTC.", **_MOMENT)]
    ]
    waits_for_owner: NotRequired[
        Annotated[bool, _told("True while its owner has yet to choose a password; else left out.")]
    ]
    sync: NotRequired[Annotated[SyncFields, _told("How far the change has come.")]]


class LinkFields(TypedDict):
    """A link that works once."""

    url: Annotated[str, _told("The address to open; it works once, and is not told again.")]
    expires_at: Annotated[str, _told("Until when it works, in UTC.", **_MOMENT)]


class GoneFields(TypedDict):
    """A mailbox that is gone for good."""

    email: EmailAddress
    removed: Removed


class RemovedDomainFields(TypedDict):
    """A domain that is no longer registered."""

    domain: Annotated[str, _told("The name it had.")]
    removed: Removed


class NodeFields(TypedDict):
    """A node; `sync_key` or `key_link` is there once, in the answer that makes it."""

    name: Annotated[str, _told("The node's name.")]
    ip_address: Annotated[
        str | None, _told("The address or network its key works from, null for any.")
    ]
    host: Annotated[str | None, _told("Its public host name, null when it has none.")]
    mx_priority: Annotated[int | None, _told("Its priority in MX records, null when it has none.")]
    state: Annotated[
        Literal["waiting", "up", "late", "down", "paused", "lost"],
        _told(
            "waiting: never synced; up: seen less than 2 minutes ago; late: less than 10; down: "
            "longer ago; paused: by an admin; lost: or stolen, its keys revoked."
        ),
    ]
    last_sync_at: Annotated[
        str | None, _told("When it last fetched the users, in UTC; null for never.")
    ]
    applied_revision: Annotated[
        int | None, _told("The revision it has applied; null when it has not said.")
    ]
    agent_version: Annotated[
        str | None, _told("The version of its agent; null when it has not said.")
    ]
    created_at: Created
    sync_key: NotRequired[
        Annotated[str, _told("The key for its agent, shown this once and never again.")]
    ]
    key_link: NotRequired[
        Annotated[LinkFields, _told("Where an admin who is signed in sees the key, once.")]
    ]


class RemovedNodeFields(TypedDict):
    """A node that is gone."""

    name: Annotated[str, _told("The name it had.")]
    removed: Removed


class HeldFields(TypedDict):
    """A call that waits for a person, or did. `result` is what was answered when it was done."""

    done: Annotated[bool, _told("Whether it was done. False: nothing has been changed.")]
    state: Annotated[
        Literal["waiting", "approved", "failed", "refused"],
        _told(
            "waiting: for a person; approved: and done; failed: approved, but could not be done; "
            "refused: by a person."
        ),
    ]
    message: Annotated[str, _told("What that means, and what to do next.")]
    would: Annotated[str, _told("What happens when it is done.")]
    given: Annotated[dict[str, Any], _told("With what it was called, without a password.")]
    url: Annotated[str, _told("The page where a person of the project decides.")]
    expires_at: Annotated[str, _told("Until when it waits, in UTC.", **_MOMENT)]
    decided_by: NotRequired[Annotated[str, _told("Who decided.")]]
    result: NotRequired[Annotated[dict[str, Any], _told("What was answered when it was done.")]]


class HeldAnswer(TypedDict):
    """A call that was not done yet: a person of the project decides."""

    approval: Annotated[HeldFields, _told("The call that waits, or what became of it.")]


class DomainAnswer(TypedDict):
    """One domain."""

    domain: Annotated[DomainFields, _told("The domain.")]


class ClaimAnswer(TypedDict):
    """One domain on its way into a project."""

    domain: Annotated[ClaimFields, _told("The domain.")]


class RemovedDomainAnswer(TypedDict):
    """One domain that is gone."""

    domain: Annotated[RemovedDomainFields, _told("The domain that is gone.")]


class DomainsAnswer(TypedDict):
    """Domains, sorted by name."""

    domains: Annotated[list[DomainFields], _told("The domains, sorted by name.")]
    total: Total


class UserAnswer(TypedDict):
    """One mailbox."""

    user: Annotated[UserFields, _told("The mailbox.")]


class LinkAnswer(TypedDict):
    """One mailbox, and the link by which its owner chooses the password."""

    user: Annotated[UserFields, _told("The mailbox.")]
    link: Annotated[LinkFields, _told("The link for its owner.")]


class RemovedUserAnswer(TypedDict):
    """One mailbox, removed or gone for good."""

    user: Annotated[UserFields | GoneFields, _told("The mailbox as it is now, or that it is gone.")]


class UsersAnswer(TypedDict):
    """Mailboxes, sorted by address."""

    users: Annotated[list[UserFields], _told("The mailboxes, sorted by address.")]
    total: Total
    next_cursor: Annotated[
        str | None, _told("What to pass as cursor to get the next page; null at the end.")
    ]


class NodeAnswer(TypedDict):
    """One node."""

    node: Annotated[NodeFields, _told("The node.")]


class RemovedNodeAnswer(TypedDict):
    """One node that is gone."""

    node: Annotated[RemovedNodeFields, _told("The node that is gone.")]


class NodesAnswer(TypedDict):
    """Nodes, sorted by name."""

    nodes: Annotated[list[NodeFields], _told("The nodes, sorted by name.")]
    total: Total
