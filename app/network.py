"""Where a request comes from, and whether that is allowed.

Forwarded headers count only as far as MAILCOTE_TRUSTED_PROXIES says; the application factory sees
to that, so `remote_addr` can be believed here.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from flask import Request


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
    """The host a request is for, without port or brackets; None when that cannot be told."""
    try:
        return urlsplit(f"//{request.headers.get('Host', '')}").hostname
    except ValueError:
        return None
