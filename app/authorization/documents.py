"""Fetching the document at the address that is a client's id, without being sent elsewhere.

https://datatracker.ietf.org/doc/html/draft-ietf-oauth-client-id-metadata-document
The address is a stranger's choice, and this machine may reach what strangers may not. So it is
resolved once, every address that the name has must be a public one, and exactly that is connected
to, whatever the name means a moment later; by https, to its own port; a redirect is not followed,
and size and time are bounded.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import urlsplit

from flask import current_app

from ..errors import Malformed
from ..strict_json import parse_object
from .description import Description, UnusableClient, read_description
from .redirects import parts_of

MAX_BYTES, MAX_DEPTH, SECONDS = 5 * 1024, 8, 5.0
SHORTEST, USUAL, LONGEST = 60, 3600, 86400  # seconds for which a document is kept
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=([0-9]{1,9})(?:$|[,\s])", re.IGNORECASE)
_TRANSLATED = ip_network("64:ff9b::/96")  # an IPv4 address in the last 32 bits (RFC 6052)
_UNICAST = ip_network("2000::/3")  # all of IPv6 that is given out (RFC 4291, section 2.4)


def is_public(address: str, port: int) -> bool:
    """Whether a document may be there: at an address that anybody can reach, on https's port."""
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address):
        is_translated = parsed in _TRANSLATED
        inner = IPv4Address(int(parsed) & 0xFFFFFFFF) if is_translated else parsed.ipv4_mapped
        parsed = inner or parsed.sixtofour or parsed
    is_given_out = isinstance(parsed, IPv4Address) or parsed in _UNICAST
    return port == 443 and parsed.is_global and is_given_out and not parsed.is_multicast


@dataclass(frozen=True)
class Reach:
    """Which addresses are connected to, and whose certificates count. Tests have their own."""

    is_allowed: Callable[[str, int], bool] = is_public
    context: Callable[[], ssl.SSLContext] = ssl.create_default_context


def is_document(client_id: str) -> bool:
    """Whether a client's id is the address of a document: https, a path without dots, no more."""
    parts = parts_of(client_id)
    if parts is None or parts.scheme != "https" or not parts.hostname or "#" in client_id:
        return False
    segments = parts.path.split("/")
    return parts.path not in ("", "/") and not {".", ".."} & set(segments)


def described(client_id: str) -> tuple[Description, int]:
    """What a client's document says, and for how many seconds. Raises UnusableClient."""
    reach: Reach = current_app.extensions.get("client_documents") or Reach()
    try:
        content, headers = _fetch(client_id, reach)
    except (OSError, HTTPException, ValueError):  # not to be told apart: they tell of our network
        raise UnusableClient("The document of this assistant cannot be fetched.") from None
    try:
        values = parse_object(content, depth=MAX_DEPTH)
    except Malformed:
        raise UnusableClient("The document of this assistant is not valid JSON.") from None
    _refuse_unfit(values, client_id)
    return read_description(values), _kept_for(headers)


def _refuse_unfit(values: dict[str, Any], client_id: str) -> None:
    if values.get("client_id") != client_id:
        raise UnusableClient("The document of this assistant is about another one.")
    if "client_secret" in values or values.get("token_endpoint_auth_method", "none") != "none":
        raise UnusableClient(
            "The document of this assistant asks for a way to prove itself that is not offered "
            "here; token_endpoint_auth_method has to be none."
        )
    if not values.get("client_name"):
        raise UnusableClient("The document of this assistant does not name it.")


def _fetch(url: str, reach: Reach) -> tuple[bytes, HTTPMessage]:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    connection = _Pinned(_address(host, port, reach), host, port, reach.context())
    timer = threading.Timer(SECONDS, connection.cut)
    timer.daemon = True
    timer.start()
    try:
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        headers = {"Accept": "application/json", "User-Agent": "Mailcote"}
        connection.request("GET", target, headers=headers)
        answer = connection.getresponse()
        return _content(answer), answer.headers
    finally:
        timer.cancel()
        connection.close()


def _content(answer: HTTPResponse) -> bytes:
    kind = answer.headers.get_content_type()
    is_json = kind == "application/json" or (
        kind.startswith("application/") and kind.endswith("+json")
    )
    if answer.status != 200 or not is_json or answer.headers.get("Content-Encoding"):
        raise HTTPException
    content = answer.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise UnusableClient("The document of this assistant is too large.")
    if answer.length:  # it ended before its time
        raise HTTPException
    return content


def _address(host: str, port: int, reach: Reach) -> str:
    """The one address that is connected to. A name that also has a private one is refused."""
    found = _resolved(host, port)
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or not all(reach.is_allowed(one, port) for one in addresses):
        raise OSError
    return addresses[0]


def _resolved(host: str, port: int) -> list[Any]:
    """What the name stands for. The system's resolver knows no deadline, so it is asked by a thread
    that nobody waits for any longer than that."""
    answers: SimpleQueue[list[Any]] = SimpleQueue()

    def ask() -> None:
        with suppress(OSError, UnicodeError):
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
            return
        answers.put([])

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answers.get(timeout=SECONDS)
    except Empty:
        return []


class _Pinned(HTTPSConnection):
    """A connection to an address, whose certificate has to be that of the name."""

    def __init__(self, address: str, host: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=SECONDS, context=context)
        self._address = address
        self._tls = context
        self._line: socket.socket | None = None  # `sock` is let go of when the answer begins

    def connect(self) -> None:
        """Connect to the address; the name is not looked up again."""
        self._line = socket.create_connection((self._address, self.port), timeout=SECONDS)
        self._line = self._tls.wrap_socket(
            self._line, server_hostname=self.host, do_handshake_on_connect=False
        )
        self.sock = self._line
        self._line.do_handshake()  # by now it can be cut

    def cut(self) -> None:
        """End it: a timeout alone begins anew with every byte that drips in."""
        if self._line:
            with suppress(OSError):
                self._line.shutdown(socket.SHUT_RDWR)


def _kept_for(headers: HTTPMessage) -> int:
    """For how many seconds the document need not be fetched again (RFC 9111, section 5.2.2)."""
    says = ", ".join(headers.get_all("Cache-Control", []))
    if re.search(r"\bno-(?:store|cache)\b", says, re.IGNORECASE):
        return SHORTEST
    found = _MAX_AGE.search(says)
    return min(max(int(found[1]), SHORTEST), LONGEST) if found else USUAL
