"""Where a client can be answered: which addresses are accepted, and whether one is registered."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import SplitResult, urlencode, urlsplit

from ..config import is_loopback

MAX_URI = 1024  # characters
_CHARACTERS = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")  # RFC 3986, section 2
_HOST = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z.-]{0,251}[0-9A-Za-z])?|\[[0-9A-Fa-f:.]+\]")
# An app's own scheme is a domain name reversed, so that nobody else has it (RFC 8252, 7.1); these
# editors are older than that.
_OF_APPS = re.compile(r"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+|cursor|vscode|vscode-insiders")


def is_acceptable(uri: str) -> bool:
    """Whether a code may be sent there: by https, to this person's computer, or to an app on it."""
    parts = parts_of(uri)
    if parts is None or parts.fragment or uri.endswith("#"):
        return False
    if parts.scheme == "https":
        return bool(parts.hostname)
    if parts.scheme == "http":
        return is_loopback(parts.hostname or "")
    return bool(_OF_APPS.fullmatch(parts.scheme))


def is_registered(uri: str, registered: Iterable[str]) -> bool:
    """Whether it is one of those, letter by letter.

    A program on this person's computer may listen on another port each time (RFC 8252, 7.3).
    """
    known = list(registered)
    if not is_acceptable(uri):
        return False
    return uri in known or (
        _is_local(uri) and _without_port(uri) in [_without_port(one) for one in known]
    )


def answer_at(uri: str, **answer: str | None) -> str:
    """The address with an answer added to its query; what is None is left out."""
    query = urlencode({name: text for name, text in answer.items() if text is not None})
    return f"{uri}{'&' if '?' in uri else '?'}{query}"


def origin_of(uri: str) -> str:
    """The address as a source of a content policy, which knows no IPv6 (CSP3, section 2.3.1)."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or "[" in parts.netloc:
        return f"{parts.scheme}:"
    return f"{parts.scheme}://{parts.netloc.lower()}"


def whereabouts(uri: str) -> str:
    """Where that is, for people: a host, "" for their own computer, or the name of an app."""
    parts = urlsplit(uri)
    if _is_local(uri):
        return ""
    return (parts.hostname or "") if parts.scheme == "https" else f"{parts.scheme}:"


def parts_of(uri: str) -> SplitResult | None:
    """The parts of an address that can be used at all; None of one that two could read apart."""
    if len(uri) > MAX_URI or not _CHARACTERS.fullmatch(uri):
        return None
    try:
        parts = urlsplit(uri)
        is_whole = parts.port != 0
    except ValueError:
        return None
    host = parts.netloc.rpartition(":")[0] if parts.port else parts.netloc
    is_plain = not host or _HOST.fullmatch(host)  # no user, no password, no directive of a policy
    return parts if is_whole and is_plain else None


def _is_local(uri: str) -> bool:
    parts = urlsplit(uri)
    return parts.scheme == "http" and is_loopback(parts.hostname or "")


def _without_port(uri: str) -> tuple[str, str | None, str, str]:
    parts = urlsplit(uri)
    return parts.scheme, parts.hostname, parts.path, parts.query
