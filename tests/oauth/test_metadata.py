"""The two documents in which the panel tells how to be let in, and where there are none."""

from __future__ import annotations

from flask import Flask

from tests.oauth.program import ISSUER, PANEL, RESOURCE


def test_it_works(app: Flask) -> None:
    client = app.test_client()
    about = client.get("/.well-known/oauth-protected-resource/mcp").get_json()
    assert about["resource"] == RESOURCE
    assert about["authorization_servers"] == [ISSUER]
    assert about["scopes_supported"] == ["read", "write"]
    assert about["bearer_methods_supported"] == ["header"]
    server = client.get("/.well-known/oauth-authorization-server/oauth").get_json()
    assert server["issuer"] == ISSUER
    assert server["code_challenge_methods_supported"] == ["S256"]
    assert server["token_endpoint_auth_methods_supported"] == ["none"]
    assert server["response_types_supported"] == ["code"]
    assert server["client_id_metadata_document_supported"] is True
    assert server["authorization_response_iss_parameter_supported"] is True


def test_every_address_in_it_answers(app: Flask) -> None:
    client = app.test_client()
    server = client.get("/.well-known/oauth-authorization-server/oauth").get_json()
    for name, address in server.items():
        if name.endswith("_endpoint"):
            path = address.removeprefix(PANEL)
            answer = client.get(path) if name.startswith("auth") else client.post(path)
            assert answer.status_code in (303, 400, 401), name


def test_there_are_no_others(app: Flask) -> None:
    """Clients that find one at the root drop the token they were told to send."""
    for path in (
        "oauth-protected-resource",
        "oauth-protected-resource/",
        "oauth-protected-resource/mcp/",
        "oauth-protected-resource/mcp-token",
        "oauth-authorization-server",
        "oauth-authorization-server/",
        "oauth-authorization-server/mcp",
        "openid-configuration",
        "openid-configuration/oauth",
    ):
        answer = app.test_client().get(f"/.well-known/{path}")
        assert (answer.status_code, answer.mimetype) == (404, "application/json"), path
    for path in (
        "/oauth",
        "/oauth/",
        "/oauth/.well-known/openid-configuration",
        "/mcp/.well-known",
    ):
        assert app.test_client().get(path).status_code == 404, path
