"""FACE: MCP for assistants: every operation is a tool, at /mcp and, for tokens only, /mcp-token.

Streamable HTTP in its plainest form: a POST with one message, an answer in JSON, no stream and no
session; so GET and DELETE are 405, and any worker can answer. It speaks both eras of the protocol:
2026-07-28, where each request says all there is to know, and the handshake of the revisions before.
https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
"""

from __future__ import annotations

from flask import Blueprint, Response, abort, request

from ..authorization import (
    ACCESS_SCOPES,
    caller_with_access_token,
    is_access_token,
    resource_metadata,
)
from ..caller import Caller, caller_with_token
from ..doors import opens_to
from ..envelope import answer_json, failure_of
from ..errors import Forbidden
from ..extensions import settings
from ..network import client_address, is_own_page
from .messages import Message, Unanswerable, read_message
from .methods import lacks_scope, result_of

MAX_BODY = 256 * 1024  # bytes
MAX_ACCEPT = 1024  # characters

bp = Blueprint("mcp", __name__)
bp.register_error_handler(Exception, failure_of)


# Clients drop a token they were told to send when its address also answers OAuth discovery; so
# there are two, and the one for tokens will never name an authorization server.
@bp.post("/mcp", provide_automatic_options=False)
@bp.post("/mcp/", provide_automatic_options=False)
@bp.post("/mcp-token", provide_automatic_options=False)
@opens_to("token")
def answer() -> Response:
    """The answer to one message; a notification gets none."""
    _refuse_unsuitable()
    caller = _caller()
    request.max_content_length = MAX_BODY
    message = None
    try:
        message = read_message(request)
        if message.is_notification:
            return Response(status=202)
        result = result_of(caller, message, request.headers)
    except Unanswerable as error:
        return _refusal(error, message)
    content = {"jsonrpc": "2.0", "id": message.id, "result": result}
    if not lacks_scope(caller, message):
        return answer_json(content)
    response = answer_json(content, 403)
    response.headers["WWW-Authenticate"] = _challenge("insufficient_scope")
    return response


@bp.after_request
def tell_where_to_sign_in(response: Response) -> Response:
    """Say where a credential is to be had, to who came without a good one (RFC 9728, 5.1)."""
    if response.status_code == 401 and not _is_for_tokens():
        is_wrong = "Authorization" in request.headers
        response.headers["WWW-Authenticate"] = _challenge("invalid_token" if is_wrong else None)
    return response


def _caller() -> Caller:
    authorization, address = request.headers.get("Authorization", ""), client_address(request)
    if is_access_token(authorization) and not _is_for_tokens():
        return caller_with_access_token(authorization, address)
    return caller_with_token(authorization, address)


def _is_for_tokens() -> bool:
    return request.path == "/mcp-token"


def _challenge(error: str | None) -> str:
    """RFC 6750, section 3; all there is to ask for, since its person can allow less."""
    said = {"error": error, "scope": ACCESS_SCOPES, "resource_metadata": resource_metadata()}
    return "Bearer " + ", ".join(f'{name}="{text}"' for name, text in said.items() if text)


def _refuse_unsuitable() -> None:
    """Refuse pages of other sites, and clients that cannot read the answer."""
    if not is_own_page(request, settings.public_url):
        raise Forbidden("Pages of other sites may not do this.")
    accepted = request.headers.get("Accept", "")
    # Matching takes Werkzeug n² steps, and no credential has been looked at yet.
    is_long = len(accepted) > MAX_ACCEPT
    if is_long or (accepted and not request.accept_mimetypes["application/json"]):
        abort(406)


def _refusal(error: Unanswerable, message: Message | None) -> Response:
    """An error of JSON-RPC. Before 2026-07-28 only what cannot be read was one of HTTP, too."""
    content = {"jsonrpc": "2.0", "id": message.id if message else None, "error": error.to_dict()}
    is_of_http = message is None or message.is_modern
    return answer_json(content, error.status if is_of_http else 200)
