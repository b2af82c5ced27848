"""What is stored: one file a noun, gathered here."""

from .approvals import HeldCall
from .assistants import Assistant, OAuthClient, OAuthCode, OAuthToken
from .calls import Call
from .dns import DnsCheck, DomainClaim, ZoneJob, ZoneRecord
from .entering import (
    HalfSession,
    KnownPlace,
    Passkey,
    PasskeyChallenge,
    RecoveryCode,
    TwoFactor,
)
from .feed import RESTORED_AT, AuditEntry, Feed
from .mail import Domain, Gone, Mailbox, MailboxUsage, PasswordLink, PastHome, PurgeAck, PurgeOrder
from .nodes import KeyOffer, Node, NodeRequest, SyncKey
from .notices import NodeAlert, Notice
from .people import Membership, Person, Project, Token, WebSession
from .throttle import Bucket

__all__ = [
    "RESTORED_AT",
    "Assistant",
    "AuditEntry",
    "Bucket",
    "Call",
    "DnsCheck",
    "Domain",
    "DomainClaim",
    "Feed",
    "Gone",
    "HalfSession",
    "HeldCall",
    "KeyOffer",
    "KnownPlace",
    "Mailbox",
    "MailboxUsage",
    "Membership",
    "Node",
    "NodeAlert",
    "NodeRequest",
    "Notice",
    "OAuthClient",
    "OAuthCode",
    "OAuthToken",
    "Passkey",
    "PasskeyChallenge",
    "PasswordLink",
    "PastHome",
    "Person",
    "Project",
    "PurgeAck",
    "PurgeOrder",
    "RecoveryCode",
    "SyncKey",
    "Token",
    "TwoFactor",
    "WebSession",
    "ZoneJob",
    "ZoneRecord",
]
