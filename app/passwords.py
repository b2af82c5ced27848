"""Passwords: the policy, the hash Dovecot verifies, and a generator.

Hashes are `{BLF-CRYPT}$2y$…`: Dovecot 2.4 refuses a bcrypt hash without its scheme, and `$2b$` and
`$2y$` are the same algorithm (https://doc.dovecot.org/ under "Password Schemes"). bcrypt reads 72
bytes and no more, so longer passwords are refused rather than cut.
"""

from __future__ import annotations

import re
import secrets
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import bcrypt

from .errors import Busy, Invalid

MIN_BYTES, MAX_BYTES = 8, 72
HASH = re.compile(r"\{BLF-CRYPT\}\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}")

_SCHEME = "{BLF-CRYPT}"
_ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # no l, 1, I, O, 0


# The digest's last digit is one that no 23 bytes encode to, so that no password ever matches.
_NOBODYS = "." * 52 + "/"


def hash_of_none(cost: int) -> str:
    """A hash for who has no password yet: well-formed for every reader, and no text matches it."""
    return f"{_SCHEME}$2y${cost:02}${_NOBODYS}"


class NewPassword:
    """A password somebody chose, which meets the policy. Its text never shows in a repr or log."""

    def __init__(self, text: str) -> None:
        """Raises Invalid when the password may not be used."""
        self._text = unicodedata.normalize("NFC", text)
        _refuse_unusable(self._text)
        self._hash: str | None = None

    @classmethod
    def kept(cls, password_hash: str) -> NewPassword:
        """One that was chosen before and of which only this hash was kept."""
        chosen = cls.__new__(cls)
        chosen._text, chosen._hash = "", password_hash
        return chosen

    def __repr__(self) -> str:
        return "NewPassword(…)"

    def is_behind(self, password_hash: str) -> bool:
        """Whether a hash is this password's."""
        return matches(self._text, password_hash)

    def refuse_if_named_like(self, *names: str) -> None:
        """Raises Invalid when the password is one of these names, such as the address itself."""
        if self._text.casefold() in {name.casefold() for name in names}:
            raise Invalid(
                "The password is the same as the address or a part of it; choose another one.",
                field="password",
            )

    def hash(self, cost: int) -> str:
        """The hash to store. Computed once and remembered: it takes 50 ms at cost 10."""
        if self._hash is None:
            with _hashing_in_turn():
                hashed = bcrypt.hashpw(self._text.encode(), bcrypt.gensalt(cost)).decode()
            self._hash = _SCHEME + hashed.replace("$2b$", "$2y$", 1)
        return self._hash


def matches(text: str, stored: str) -> bool:
    """Whether a typed password belongs to a stored hash; False for a hash that is malformed.

    A password over 72 bytes takes as long to refuse as a wrong one.
    """
    typed = unicodedata.normalize("NFC", text).encode(errors="replace")
    if not HASH.fullmatch(stored):
        return False
    with _hashing_in_turn():
        try:
            is_same = bcrypt.checkpw(typed[:MAX_BYTES], stored.removeprefix(_SCHEME).encode())
        except ValueError:  # a salt of the right length whose last digit no 16 bytes encode to
            return False
    return is_same and len(typed) <= MAX_BYTES


class TypedPassword:
    """A password somebody typed to prove who they are. Its text never shows in a repr or log."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._proven: str | None = None

    def __repr__(self) -> str:
        return "TypedPassword(…)"

    def is_behind(self, password_hash: str | None) -> bool:
        """Whether a hash is this password's; remembered, so that asking again takes no time."""
        if password_hash is None:
            return False
        if self._proven != password_hash and matches(self._text, password_hash):
            self._proven = password_hash
        return self._proven == password_hash


def generate() -> str:
    """A password of 20 characters that are hard to confuse (115 bits)."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(20))


def _refuse_unusable(text: str) -> None:
    try:
        used = len(text.encode())
    except UnicodeEncodeError:
        raise Invalid("The password has characters that are not valid Unicode.") from None
    if any(unicodedata.category(character) == "Cc" for character in text):
        # Dovecot refuses tab, line ends and NUL at login; C's crypt() stops at NUL.
        raise Invalid("The password has a control character such as a tab or a line end.")
    if used < MIN_BYTES:
        raise Invalid(f"The password is too short: use at least {MIN_BYTES} characters.")
    if used > MAX_BYTES:
        raise Invalid(
            f"The password is too long: at most {MAX_BYTES} bytes, and this one has {used}. "
            "Letters outside plain English count for two or more."
        )
    if text.lower() in _common_passwords():
        raise Invalid("The password is one of the most common ones; choose another one.")


@cache
def _common_passwords() -> frozenset[str]:
    path = Path(__file__).with_name("common_passwords.txt")
    return frozenset(path.read_text(encoding="utf-8").split())


# One hash at a time in a process: more would keep every core from serving pages, and gain nothing
# where each core has a process of its own. Who cannot wait is told to come back.
_one_hash = threading.Semaphore(1)
_waiting_room = threading.BoundedSemaphore(48)


@contextmanager
def _hashing_in_turn() -> Iterator[None]:
    if not _waiting_room.acquire(blocking=False):
        raise Busy("Many passwords are being set at this moment; try again.", retry_after=2)
    try:
        with _one_hash:
            yield
    finally:
        _waiting_room.release()
