"""Codes that change every 30 seconds, as authenticator apps make them (TOTP, RFC 6238).

Secrets are base32; a code is 6 digits of HMAC-SHA-1 over the number of the step (RFC 4226, 5.3).
Other digests and lengths exist, and are what several apps silently ignore.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import time
from urllib.parse import quote, urlencode

STEP_SECONDS, DIGITS = 30, 6
DRIFT = 1  # steps that a clock may be wrong either way (RFC 6238, section 5.2)
_SECRET_BYTES = 20  # as long as the digest (RFC 4226, section 4, R6)


def make_secret() -> str:
    """A new secret, 32 characters of base32."""
    return base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def present_step() -> int:
    """The number of the present step: 30 seconds each, since 1970."""
    return int(time.time()) // STEP_SECONDS


def code_at(secret: str, step: int) -> str:
    """The code of a step."""
    digest = hmac.digest(base64.b32decode(secret), step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def step_of(secret: str, code: str, *, after: int) -> int | None:
    """The step near the present whose code this is; None when there is none later than `after`.

    A code is accepted once: who looks over a shoulder, or has the form sent again, comes too late
    (RFC 6238, section 5.2). All steps are compared, and each in constant time.
    """
    present, found = present_step(), None
    for step in range(present - DRIFT, present + DRIFT + 1):
        is_same = hmac.compare_digest(code_at(secret, step).encode(), code.encode())
        if is_same and step > after:
            found = step
    return found


def address_for_apps(secret: str, account: str, issuer: str) -> str:
    """What the QR code holds: otpauth://, as authenticator apps read it.

    https://github.com/google/google-authenticator/wiki/Key-Uri-Format
    """
    query = urlencode({"secret": secret, "issuer": issuer}, quote_via=quote)
    return f"otpauth://totp/{quote(issuer)}:{quote(account, safe='')}?{query}"
