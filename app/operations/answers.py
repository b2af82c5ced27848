"""The shapes in which programs see what operations return; from them come the answers' schemas.

Nothing here holds a password, hash or digest, so nothing can show one; a node's `sync_key` is the
one secret, shown once, by the operation that makes it.
"""

from __future__ import annotations

from typing import NotRequired

# typing's own TypedDict cannot be read by pydantic before Python 3.12
from typing_extensions import TypedDict


class DomainFields(TypedDict):
    """A domain. Counts are of mailboxes; `project_id` is told to admins."""

    domain: str
    domain_unicode: str
    project_id: NotRequired[int | None]
    email_enabled: bool
    mailboxes: int
    active_mailboxes: int
    created_at: str


class SyncFields(TypedDict):
    """How far a change has come: on how many of the nodes it is live."""

    revision: int
    nodes: int
    nodes_applied: int


class UserFields(TypedDict):
    """A mailbox. `active` is false once it is removed and waits for `purge_at`."""

    email: str
    domain: str
    quota_mb: int
    active: bool
    can_login: bool
    can_receive: bool
    created_at: str
    updated_at: str
    purge_at: NotRequired[str]
    sync: NotRequired[SyncFields]


class GoneFields(TypedDict):
    """A mailbox that is gone for good."""

    email: str
    removed: bool


class RemovedDomainFields(TypedDict):
    """A domain that is no longer registered."""

    domain: str
    removed: bool


class NodeFields(TypedDict):
    """A node; `sync_key` is there once, in the answer that makes it."""

    name: str
    ip_address: str | None
    host: str | None
    mx_priority: int | None
    state: str
    last_sync_at: str | None
    applied_revision: int | None
    agent_version: str | None
    created_at: str
    sync_key: NotRequired[str]


class DomainAnswer(TypedDict):
    """One domain."""

    domain: DomainFields


class RemovedDomainAnswer(TypedDict):
    """One domain that is gone."""

    domain: RemovedDomainFields


class DomainsAnswer(TypedDict):
    """Domains, sorted by name."""

    domains: list[DomainFields]
    total: int


class UserAnswer(TypedDict):
    """One mailbox."""

    user: UserFields


class RemovedUserAnswer(TypedDict):
    """One mailbox, removed or gone for good."""

    user: UserFields | GoneFields


class UsersAnswer(TypedDict):
    """Mailboxes, sorted by address."""

    users: list[UserFields]
    total: int
    next_cursor: str | None


class NodeAnswer(TypedDict):
    """One node."""

    node: NodeFields


class NodesAnswer(TypedDict):
    """Nodes, sorted by name."""

    nodes: list[NodeFields]
    total: int
