"""Letting assistants in by OAuth 2.1, below the faces: clients, consents and their credentials.

A person lets a client into a project (a consent, kept as `Assistant`), and the client gets a code
by way of the browser, which it exchanges for an access token of an hour and a refresh token that
works once. All of these belong to the consent, and end with it: when it is revoked, or when a code
or refresh token is used a second time, since then somebody else has it too (RFC 9700, 4.14.2).
What the protocol says is Authlib's; what the panel keeps, and as which caller, is said here.
"""

from .access import ACCESS_SCOPES, caller_with_access_token, is_access_token
from .clients import is_document, register
from .description import UnusableClient
from .redirects import origin_of, whereabouts
from .requests import Asked, CannotAsk, read_request
from .server import Answer, answer_revocation, answer_token_request
from .upkeep import forget_what_is_over
from .urls import authorization_server, protected_resource, resource, resource_metadata

__all__ = [
    "ACCESS_SCOPES",
    "Answer",
    "Asked",
    "CannotAsk",
    "UnusableClient",
    "answer_revocation",
    "answer_token_request",
    "authorization_server",
    "caller_with_access_token",
    "forget_what_is_over",
    "is_access_token",
    "is_document",
    "origin_of",
    "protected_resource",
    "read_request",
    "register",
    "resource",
    "resource_metadata",
    "whereabouts",
]
