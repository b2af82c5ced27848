"""What is stored: one file a noun, gathered here."""

from .feed import AuditEntry, Feed
from .mail import Domain, Mailbox, PurgeOrder
from .nodes import Node, SyncKey
from .people import Membership, Person, Project, Token, WebSession
from .throttle import Bucket

__all__ = [
    "AuditEntry",
    "Bucket",
    "Domain",
    "Feed",
    "Mailbox",
    "Membership",
    "Node",
    "Person",
    "Project",
    "PurgeOrder",
    "SyncKey",
    "Token",
    "WebSession",
]
