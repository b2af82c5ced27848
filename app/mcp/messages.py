"""One message of a client: JSON-RPC 2.0, read strictly and checked before anything is done."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from flask import Request
from pydantic import ValidationError
from werkzeug.datastructures import Headers

from ..errors import Invalid, Malformed, nameable
from ..strict_json import parse, read_body, refuse_unusable_texts

HANDSHAKE_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN_VERSION = "2026-07-28"

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
HEADER_MISMATCH = -32020
UNSUPPORTED_VERSION = -32022

MAX_DEPTH = 32  # a client's capabilities are nested deeper than any input
MAX_ID = 2**53 - 1  # what every reader of JSON keeps exact (RFC 8259, section 6)

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"


class Unanswerable(Exception):
    """A message that gets an error of the protocol instead of a result."""

    def __init__(self, code: int, message: str, data: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data

    @property
    def status(self) -> int:
        """The HTTP status it has in 2026-07-28."""
        return 404 if self.code == METHOD_NOT_FOUND else 400

    def to_dict(self) -> dict[str, Any]:
        """The error as JSON-RPC has it."""
        told = {"code": self.code, "message": str(self)}
        return told if self.data is None else {**told, "data": self.data}


@dataclass(frozen=True)
class Message:
    """A request, or a notification when it has no id."""

    method: str
    params: dict[str, Any]
    id: str | int | None
    is_modern: bool

    @property
    def is_notification(self) -> bool:
        """Whether nobody waits for an answer."""
        return self.id is None


def read_message(request: Request) -> Message:
    """The message in a request's body. Raises Unanswerable, UnsupportedType, TooLarge."""
    try:
        value = parse(read_body(request), depth=MAX_DEPTH)
    except Malformed as error:
        raise Unanswerable(PARSE_ERROR, error.message) from None
    if not isinstance(value, dict):
        raise Unanswerable(INVALID_REQUEST, "Send one message a request, as a JSON object.")
    method, params = value.get("method"), value.get("params", {})
    is_readable = value.get("jsonrpc") == "2.0" and _is_id(value.get("id", 0))
    if not is_readable or not isinstance(method, str) or not isinstance(params, dict):
        raise Unanswerable(INVALID_REQUEST, "This is not a request of JSON-RPC 2.0.")
    version = request.headers.get("MCP-Protocol-Version")
    is_modern = VERSION_KEY in _meta(params) or version not in (None, *HANDSHAKE_VERSIONS)
    if "id" not in value and is_modern and version != MODERN_VERSION:
        raise _unsupported(version or "")
    return Message(method, params, value.get("id"), is_modern)


def check_headers(message: Message, headers: Headers) -> None:
    """Refuse a modern request whose headers and body differ, or of an unknown version.

    What stands between a client and the panel may have decided by the headers, so both have to say
    the same; a header that is there twice arrives here joined by a comma, and is refused.
    """
    meta = _meta(message.params)
    for key in (VERSION_KEY, CAPABILITIES_KEY):
        if key not in meta:
            raise Unanswerable(INVALID_PARAMS, f"params._meta needs {key}.")
    expected = {"MCP-Protocol-Version": meta[VERSION_KEY], "Mcp-Method": message.method}
    name = message.params.get("name")
    if message.method == "tools/call" and isinstance(name, str):
        expected["Mcp-Name"] = name
    for header, value in expected.items():
        if value is None or _decoded(headers.get(header)) != value:
            raise Unanswerable(HEADER_MISMATCH, f"The header {header} and the body differ.")
    if meta[VERSION_KEY] != MODERN_VERSION:
        raise _unsupported(meta[VERSION_KEY])


def check_shape(message: Message) -> None:
    """Refuse a request whose params do not fit its method."""
    # Not before the first assistant comes: it takes as long as loading all the rest of the panel.
    from mcp_types.methods import validate_client_request

    version = MODERN_VERSION if message.is_modern else HANDSHAKE_VERSIONS[-1]
    try:
        validate_client_request(message.method, version, message.params)
    except ValidationError as error:
        where = ".".join(map(str, error.errors(include_input=False)[0]["loc"]))
        raise Unanswerable(INVALID_PARAMS, f"This cannot be used: {nameable(where)}.") from None


def _meta(params: dict[str, Any]) -> dict[str, Any]:
    meta = params.get("_meta")
    return meta if isinstance(meta, dict) else {}


def _is_id(value: object) -> bool:
    """Whether an answer can carry this id: a text or a whole number."""
    if type(value) is int:
        return -MAX_ID <= value <= MAX_ID
    try:
        refuse_unusable_texts({"id": value})
    except Invalid:
        return False
    return isinstance(value, str)


def _decoded(header: str | None) -> str | None:
    """What a header says; text that no header can carry comes as =?base64?…?=."""
    if header is None or not (header.startswith("=?base64?") and header.endswith("?=")):
        return header
    try:
        return base64.b64decode(header[9:-2], validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def _unsupported(version: str) -> Unanswerable:
    supported = [MODERN_VERSION, *reversed(HANDSHAKE_VERSIONS)]
    return Unanswerable(
        UNSUPPORTED_VERSION,
        "This version of the protocol is not spoken here.",
        {"supported": supported, "requested": version},
    )
