"""FACE: the authorization server's side for programs: what it is, registering, tokens.

People are asked in the dashboard, at /oauth/authorize. Everything here is for public clients, which
bring no secret of their own and no cookie.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException

from .authorization import (
    Answer,
    UnusableClient,
    answer_revocation,
    answer_token_request,
    authorization_server,
    protected_resource,
    register,
)
from .clock import epoch_of
from .doors import opens_to
from .envelope import answer_json, failure_of, told
from .errors import Malformed, OperationError
from .network import client_address
from .strict_json import parse_object, read_body

MAX_DEPTH = 8  # a client may describe its keys, which nobody asks for

bp = Blueprint("oauth", __name__)


@bp.get("/.well-known/oauth-authorization-server/oauth", provide_automatic_options=False)
@opens_to("nothing")
def describe_server() -> Response:
    """What the authorization server can do, and where (RFC 8414)."""
    return answer_json(authorization_server())


@bp.get("/.well-known/oauth-protected-resource/mcp", provide_automatic_options=False)
@opens_to("nothing")
def describe_resource() -> Response:
    """Who gives out credentials for the tools (RFC 9728)."""
    return answer_json(protected_resource())


@bp.post("/oauth/register", provide_automatic_options=False)
@opens_to("nothing")
def add_client() -> Response:
    """Take in a client (RFC 7591); it is told what it gets of what it asked for."""
    try:
        values = parse_object(read_body(request), depth=MAX_DEPTH)
        client = register(values, client_address(request))
    except (UnusableClient, Malformed) as error:
        code = error.error if isinstance(error, UnusableClient) else "invalid_client_metadata"
        return _refusal(code, str(error), 400)
    return answer_json(
        {
            "client_id": client.client_id,
            "client_id_issued_at": epoch_of(client.created_at),
            "client_name": client.name,
            "redirect_uris": client.redirect_uris.split("\n"),
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        },
        201,
    )


@bp.post("/oauth/token", provide_automatic_options=False)
@opens_to("oauth")
def give_tokens() -> Response:
    """Exchange a code or a refresh token."""
    return _answer(answer_token_request(_form(), client_address(request)))


@bp.post("/oauth/revoke", provide_automatic_options=False)
@opens_to("oauth")
def take_back() -> Response:
    """Disconnect the assistant that gives back its token (RFC 7009)."""
    return _answer(answer_revocation(_form(), client_address(request)))


@bp.errorhandler(Exception)
def refuse(error: Exception) -> Response:
    """Whatever else goes wrong, in the words of RFC 6749, section 5.2."""
    if isinstance(error, HTTPException):
        return failure_of(error)
    known: OperationError = told(error)
    code = {"rate_limit": "temporarily_unavailable", "server": "server_error"}.get(known.type)
    code = "temporarily_unavailable" if known.status == 503 else code
    response = _refusal(code or "invalid_request", known.message, known.status)
    if known.retry_after is not None:
        response.headers["Retry-After"] = str(known.retry_after)
    return response


def _form() -> MultiDict[str, str]:
    """The form in the body, never what stands in the URL: that would be logged on the way."""
    is_form = request.mimetype == "application/x-www-form-urlencoded"
    return request.form if is_form else MultiDict()


def _answer(answer: Answer) -> Response:
    response = answer_json(answer.body, answer.status)
    for name, text in answer.headers:
        response.headers[name] = text
    return response


def _refusal(code: str, sentence: str, status: int) -> Response:
    body: dict[str, Any] = {"error": code, "error_description": sentence}
    return answer_json(body, status)
