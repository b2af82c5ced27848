"""Two-factor sign-in: who has to, what counts as the second factor, and using it up.

That is an authenticator app, a passkey (see passkeys), or when these are out of reach a recovery
code.

A code of the authenticator app is good for one step of 30 seconds and once; a recovery code, of 80
bits, once. Guessing six digits is what the limits are for; nobody guesses a recovery code, so it
lets an owner in whatever strangers have used up.
"""

from __future__ import annotations

import re
import secrets
from typing import Literal

from . import totp
from .credentials import digest
from .extensions import db, settings
from .models import Passkey, Person, RecoveryCode, TwoFactor
from .throttle import give_back_code, take_code, take_recovery_code

RECOVERY_CODES = 10
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # 32, without l, o, 0 and 1
_LENGTH, _GROUP = 16, 4

Kind = Literal["code", "recovery-code"]


def is_demanded_of(person: Person) -> bool:
    """Whether somebody may not go without a second factor here."""
    return settings.two_factor == "everyone" or (
        settings.two_factor == "admins" and person.is_admin
    )


def confirmed(person_id: int) -> TwoFactor | None:
    """Somebody's authenticator app, its row locked while a transaction writes."""
    found: TwoFactor | None = db.session.get(TwoFactor, person_id, with_for_update=True)
    return found if found and found.confirmed_at else None


def has_any(person_id: int) -> bool:
    """Whether somebody's password is not enough to sign in."""
    query = db.select(Passkey.id).where(Passkey.person_id == person_id).limit(1)
    return confirmed(person_id) is not None or db.session.scalar(query) is not None


def kind_of(typed: str) -> Kind | None:
    """What a typed text could be."""
    text = _plain(typed)
    if re.fullmatch(f"[0-9]{{{totp.DIGITS}}}", text):
        return "code"
    return "recovery-code" if len(text) == _LENGTH else None


def take_attempt(person_id: int, typed: str, address: str, *, is_known: bool = False) -> None:
    """Allow an attempt, before it is looked at. Raises TooMany."""
    if kind_of(typed) == "recovery-code":
        take_recovery_code(address)
    else:
        take_code(person_id, address, is_known=is_known)


def give_back_attempt(person_id: int, address: str) -> None:
    """A right code costs nothing."""
    give_back_code(person_id, address)


def use_up(person_id: int, typed: str) -> Kind | None:
    """Accept a code once, within a transaction that writes; what it was, None if it was wrong."""
    kind, text = kind_of(typed), _plain(typed)
    if kind == "code":
        factor = confirmed(person_id)
        if factor is None:
            return None
        step = totp.step_of(factor.secret, text, after=factor.last_step)
        if step is None:
            return None
        factor.last_step = step
        return kind
    known = db.delete(RecoveryCode).where(
        RecoveryCode.person_id == person_id,
        RecoveryCode.digest == _digest(person_id, text),
    )
    # One statement: of two who use it at once, the second finds none.
    return kind if db.session.execute(known.returning(RecoveryCode.id)).all() else None


def renew_recovery_codes(person_id: int) -> list[str]:
    """Ten new codes in place of all earlier ones; only their digests are kept."""
    db.session.execute(db.delete(RecoveryCode).where(RecoveryCode.person_id == person_id))
    codes = [make_recovery_code() for _ in range(RECOVERY_CODES)]
    for code in codes:
        found = _digest(person_id, _plain(code))
        db.session.add(RecoveryCode(person_id=person_id, digest=found))
    return codes


def make_recovery_code() -> str:
    """Such as abcd-efgh-2345-6789."""
    text = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    return "-".join(text[start : start + _GROUP] for start in range(0, _LENGTH, _GROUP))


def _plain(typed: str) -> str:
    """What is typed with spaces, hyphens or capitals means the same."""
    return "".join(one for one in typed if one.isascii() and one.isalnum()).lower()


def _digest(person_id: int, code: str) -> str:
    return digest(f"{person_id} {code}")
