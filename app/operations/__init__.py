"""Every operation once: what it takes, who may use it, and the one way in which it ends.

    @operation(who="project", answers=UserAnswer)
    def add_user(caller: Caller, *, email: Email, password: Password, …) -> Changed: …

The name law: the function `add_user` is the endpoint `add-user` and the tool
`email_account_add_user`. From the signature come validation and every schema, from the docstring
every description. Bodies say what changes; they never commit and never call each other.
"""

from . import (
    access,
    alerts,
    approvals,
    assistants,
    audit_log,
    browse,
    claims,
    domain_news,
    domains,
    fleet,
    linking,
    links,
    mailbox_search,
    mailboxes,
    nodes,
    oversight,
    panel,
    passkeys,
    placement,
    provisioning,
    reports,
    two_factor,
    zone_checks,
)
from .operation import OPERATIONS, Operation

# What programs and assistants can use.
OFFERED = tuple(one for one in OPERATIONS.values() if not one.is_internal)

__all__ = [
    "OFFERED",
    "OPERATIONS",
    "Operation",
    "access",
    "alerts",
    "approvals",
    "assistants",
    "audit_log",
    "browse",
    "claims",
    "domain_news",
    "domains",
    "fleet",
    "linking",
    "links",
    "mailbox_search",
    "mailboxes",
    "nodes",
    "oversight",
    "panel",
    "passkeys",
    "placement",
    "provisioning",
    "reports",
    "two_factor",
    "zone_checks",
]
