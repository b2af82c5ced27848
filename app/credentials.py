"""Tokens, sync keys and one-time links: made, recognised and stored as digests.

A credential is its prefix, 32 random base62 characters (190 bits) and a base62 CRC-32 of both,
so that a mistyped one is refused without asking the database. SHA-256 is enough for text of this
entropy; bcrypt is for what people choose (OWASP ASVS 5.0, 11.4 and 6.5.2).
"""

from __future__ import annotations

import hashlib
import secrets
import string
import zlib

TOKEN = "wpa_"  # noqa: S105 - the prefix, not a token
SYNC_KEY = "mck_"
WELCOME = "mcw_"
SESSION = "mcs_"
HALF_SESSION = "mch_"
BROWSER = "mcb_"  # recognises a browser, opens nothing
ACCESS = "wpo_"
REFRESH = "wpr_"
CODE = "wpg_"
CLIENT = "wpc_"  # names a client, opens nothing

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM, _CHECKSUM = 32, 6


def make(prefix: str) -> str:
    """A new credential; it is shown once and only its digest is kept."""
    body = prefix + "".join(secrets.choice(_BASE62) for _ in range(_RANDOM))
    return body + _checksum(body)


def is_well_formed(text: str, prefix: str) -> bool:
    """Whether a text could be a credential of this kind."""
    body, checksum = text[:-_CHECKSUM], text[-_CHECKSUM:]
    return (
        len(text) == len(prefix) + _RANDOM + _CHECKSUM
        and text.startswith(prefix)
        and text.isascii()
        and checksum == _checksum(body)
    )


def digest(credential: str) -> str:
    """What is stored of a credential: its SHA-256 in hex."""
    return hashlib.sha256(credential.encode()).hexdigest()


def hint(credential: str) -> str:
    """The first characters, by which its owner recognises a credential in a list."""
    return credential[:8]


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM):
        number, remainder = divmod(number, 62)
        digits = _BASE62[remainder] + digits
    return digits
