"""The methods of MCP that a server with tools, and nothing but tools, has."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from typing import Any

from werkzeug.datastructures import Headers

from ..caller import Caller
from . import tools
from .messages import (
    HANDSHAKE_VERSIONS,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    MODERN_VERSION,
    Message,
    Unanswerable,
    check_headers,
    check_shape,
)

Values = dict[str, Any]

INSTRUCTIONS = (
    "Mailcote keeps mailboxes on customers' own domains. E-mail is turned on for a domain that is "
    "linked to the project, then mailboxes are made on it; a change is live on the mail servers "
    "within a minute. Passwords do not belong in a conversation and cannot be read back: invite a "
    "mailbox's owner, or make a link to choose the password, and hand over that link. "
    "A project can have thousands of mailboxes: a limit keeps a list of them short."
)
SERVER_INFO_KEY = "io.modelcontextprotocol/serverInfo"
# Tools change with the panel's version and the caller's role, neither of which happens often.
_CACHING = {"ttlMs": 300_000, "cacheScope": "private"}


def result_of(caller: Caller, message: Message, headers: Headers) -> Values:
    """What a request is answered with. Raises Unanswerable."""
    if message.is_modern:
        check_headers(message, headers)
    method = (_MODERN if message.is_modern else _HANDSHAKE).get(message.method)
    if method is None:
        raise Unanswerable(METHOD_NOT_FOUND, "There is no such method here.")
    check_shape(message)
    result = method(caller, message.params)
    if message.is_modern:
        result |= {"resultType": "complete", "_meta": {SERVER_INFO_KEY: _server()}}
    return result


def lacks_scope(caller: Caller, message: Message) -> bool:
    """Whether an assistant called a tool that its person did not allow it.

    That is the tool's result as well; but its client can ask for more when HTTP says so, too
    (https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization).
    """
    if caller.assistant_id is None or caller.may_write or message.method != "tools/call":
        return False
    return not tools.TOOLS[message.params["name"]].reads


def _initialize(_caller: Caller, params: Values) -> Values:
    """The handshake: the client's version where it is known, else the newest that has one."""
    wanted = params["protocolVersion"]
    return {
        "protocolVersion": wanted if wanted in HANDSHAKE_VERSIONS else HANDSHAKE_VERSIONS[-1],
        "capabilities": {"tools": {}},
        "serverInfo": _server(),
        "instructions": INSTRUCTIONS,
    }


def _discover(_caller: Caller, _params: Values) -> Values:
    return {
        "supportedVersions": [MODERN_VERSION, *reversed(HANDSHAKE_VERSIONS)],
        "capabilities": {"tools": {}},
        "instructions": INSTRUCTIONS,
        **_CACHING,
    }


def _ping(_caller: Caller, _params: Values) -> Values:
    return {}


def _list_tools(caller: Caller, params: Values) -> Values:
    if params.get("cursor") is not None:
        raise Unanswerable(INVALID_PARAMS, "There is one page of tools; ask without cursor.")
    return {"tools": tools.offered_to(caller)}


def _list_tools_to_keep(caller: Caller, params: Values) -> Values:
    return _list_tools(caller, params) | _CACHING


def _call_tool(caller: Caller, params: Values) -> Values:
    operation = tools.TOOLS.get(params["name"])
    if operation is None:
        raise Unanswerable(INVALID_PARAMS, "There is no tool of this name.")
    return tools.call(caller, operation, params.get("arguments") or {})


Method = Callable[[Caller, Values], Values]
_HANDSHAKE: dict[str, Method] = {
    "initialize": _initialize,
    "ping": _ping,
    "tools/list": _list_tools,
    "tools/call": _call_tool,
}
_MODERN: dict[str, Method] = {
    "server/discover": _discover,
    "tools/list": _list_tools_to_keep,
    "tools/call": _call_tool,
}


@cache
def _server() -> Values:
    return {"name": "mailcote", "title": "Mailcote", "version": version("mailcote")}
