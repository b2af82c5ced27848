"""The addresses of the authorization server, and the two documents in which it tells of itself.

They are where RFC 8414 and RFC 9728 put those of an issuer and a resource with a path, and nowhere
else: clients that find such a document at the root drop the token they were told to send.
"""

from __future__ import annotations

from typing import Any

from ..extensions import settings

SCOPES = ("read", "write")


def issuer() -> str:
    """Who gives out the credentials (RFC 8414, section 2)."""
    return f"{settings.public_url}/oauth"


def resource() -> str:
    """What they are for: the tools for assistants (RFC 8707)."""
    return f"{settings.public_url}/mcp"


def resource_metadata() -> str:
    """Where the document about the tools is, for who comes there without a credential."""
    return f"{settings.public_url}/.well-known/oauth-protected-resource/mcp"


def protected_resource() -> dict[str, Any]:
    """The document about the tools (RFC 9728)."""
    return {
        "resource": resource(),
        "resource_name": "Mailcote",
        "authorization_servers": [issuer()],
        "scopes_supported": list(SCOPES),
        "bearer_methods_supported": ["header"],
    }


def authorization_server() -> dict[str, Any]:
    """The document about the authorization server (RFC 8414, RFC 9207, client documents)."""
    return {
        "issuer": issuer(),
        "authorization_endpoint": f"{issuer()}/authorize",
        "token_endpoint": f"{issuer()}/token",
        "registration_endpoint": f"{issuer()}/register",
        "revocation_endpoint": f"{issuer()}/revoke",
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "client_id_metadata_document_supported": True,
    }
