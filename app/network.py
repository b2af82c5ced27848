"""Where a request comes from, and whether that is allowed.

Forwarded headers count only as far as MAILCOTE_TRUSTED_PROXIES says; the application factory sees
to that, so `remote_addr` can be believed here.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from flask import Request

# host [":" port], RFC 9110 section 7.2; an IPv6 address stands in brackets
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z._-]+))(?::[0-9]{1,5})?")


def client_address(request: Request) -> str:
    """The client's address in its shortest form, IPv4 in IPv6 as IPv4; "" when it has none."""
    return _shortest(request.remote_addr or "")


@lru_cache(maxsize=1024)  # the same few nodes and programs ask again and again
def _shortest(text: str) -> str:
    try:
        address = ip_address(text)
    except ValueError:  # a Unix socket, or a proxy that sent something else
        return ""
    if isinstance(address, IPv6Address):
        if address.scope_id:  # the same address on another link is another client
            return ""
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
    return str(address)


@lru_cache(maxsize=1024)
def is_within(address: str, network: str | None) -> bool:
    """Whether an address may be used: any, where no address or network is set."""
    if network is None:
        return True
    return bool(address) and ip_address(address) in ip_network(network)


def host_name(request: Request) -> str | None:
    """The host a request is for, without port or brackets; None when it is not written so."""
    match = _HOST.fullmatch(request.headers.get("Host", ""))
    return (match[1] or match[2]).lower() if match else None


def is_text(query: bytes) -> bool:
    """Whether a query can be read; clients write other characters than ASCII as %XX or UTF-8."""
    try:
        query.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_own_page(request: Request, public_url: str) -> bool:
    """Whether a request comes from a page of the panel, or from no page at all (RFC 6454).

    Browsers send Origin with each POST of a script. Host names of others are refused before, so a
    name that was made to point here (DNS rebinding) is not taken for the panel's own.
    """
    origin = request.headers.get("Origin")
    return origin is None or origin in (public_url, f"{request.scheme}://{request.host}")
