"""Rate limits, one named function each, kept in the database so that every process counts alike."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from functools import cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NoReturn

from sqlalchemy import TextClause, text

from .credentials import digest
from .database import write_transaction
from .errors import Busy, TooMany, Unauthorized
from .extensions import db, settings
from .models import Bucket

MANY_CHANGES = 20  # in ten minutes; more of them by one assistant are done in bulk
_MINUTE, _HOUR = 60.0, 3600.0
_WRONG_CODES = "There were too many wrong codes; wait a while, or use one of your recovery codes."
_WRONG_PASSKEYS = "There were too many tries with passkeys; wait a while, or use your password."
_WRONG_PASSWORDS = "There were too many wrong passwords; wait a while and try again."

# A bucket holds as many tokens as the limit allows a minute and refills evenly. One statement
# takes a token if there is one, so no two processes can take the same. A clock that was set back
# refills nothing, and locks nobody out for longer than a minute.
_TAKE = """
INSERT INTO buckets (key, tokens, filled_at) VALUES (:key, :limit - 1, :now)
ON CONFLICT (key) DO UPDATE SET
  tokens = {least}(:limit, buckets.tokens + {most}(:now - buckets.filled_at, 0) * :rate) - 1,
  filled_at = :now
WHERE {least}(:limit, buckets.tokens + {most}(:now - buckets.filled_at, 0) * :rate) >= 1
  OR buckets.filled_at > :now + 60
RETURNING tokens
"""


def refuse_credential(
    credential: str, address: str, refusal: type[Unauthorized] = Unauthorized
) -> NoReturn:
    """Refuse a credential, and count it if one was sent. Raises Unauthorized or TooMany.

    So many wrong ones are allowed a minute from one client address. A good credential never comes
    here, so nobody is shut out by the failures of others behind the same address.
    """
    if credential:
        count_wrong_credential(address)
    raise refusal


def count_wrong_credential(address: str) -> None:
    """Count a credential that opens nothing. Raises TooMany."""
    with suppress(Busy):
        _take(
            f"wrong:{site_of(address)}",
            settings.rate_wrong_credentials,
            "There were too many wrong credentials from your address; wait a moment.",
        )


def take_wrong_link(address: str) -> None:
    """Count a one-time link that is none, or is over. Raises TooMany after as many as above."""
    count_wrong_credential(address)


def take_write(token_id: int) -> None:
    """Allow so many changes a minute with one token. Raises TooMany."""
    _take(
        f"write:{token_id}",
        settings.rate_writes,
        "This token has made too many changes in a minute; wait a moment.",
    )


def is_one_of_many(asker: str, project_id: int) -> bool:
    """Whether this change of an assistant is one too many of 20 in ten minutes; it is counted."""
    try:
        _take(f"many:{asker}:{project_id}", MANY_CHANGES, "", period=10 * _MINUTE)
    except TooMany:
        return True
    return False


def take_write_of_assistant(assistant_id: int) -> None:
    """Allow as many changes a minute through one assistant. Raises TooMany."""
    _take(
        f"write:assistant:{assistant_id}",
        settings.rate_writes,
        "This assistant has made too many changes in a minute; wait a moment.",
    )


def take_registration(address: str) -> None:
    """Allow so many clients an hour to register from one address. Raises TooMany."""
    _take(
        f"register:{site_of(address)}",
        settings.rate_registrations,
        "Too many assistants have registered from your address; wait a while.",
        period=_HOUR,
    )


def take_document(person_id: int) -> None:
    """Allow so many documents of clients to be fetched an hour for one person. Raises TooMany."""
    _take(
        f"document:{person_id}",
        settings.rate_registrations,
        "Too many new assistants were looked up for you; wait a while.",
        period=_HOUR,
    )


def take_tokens(assistant_id: int) -> None:
    """Allow one assistant so many new tokens an hour; it needs one. Raises TooMany."""
    _take(
        f"tokens:{assistant_id}",
        settings.rate_registrations,
        "This assistant has asked for too many tokens in an hour; wait a while.",
        period=_HOUR,
    )


def take_sign_in(email: str, address: str) -> None:
    """Allow an attempt to sign in. Raises TooMany.

    From one address 30 an hour, for one account 20 an hour. When strangers have used up an
    account's attempts, each address still has one of its own: its owner is not locked out.
    """
    limit, site = settings.rate_sign_ins, site_of(address)
    _take(f"sign-in from:{site}", 3 * limit // 2, _WRONG_PASSWORDS, period=_HOUR)
    try:
        _take(f"sign-in to:{digest(email)}", limit, _WRONG_PASSWORDS, period=_HOUR)
    except TooMany:
        own = f"sign-in:{digest(email)}:{site}"
        _take(own, min(limit, 1), _WRONG_PASSWORDS, period=_HOUR)


def give_back_sign_in(email: str, address: str) -> None:
    """A right password costs nothing; what was guessed before it goes on counting."""
    site = site_of(address)
    keys = [f"sign-in from:{site}", f"sign-in to:{digest(email)}"]
    with write_transaction() as session:
        session.execute(
            db.update(Bucket).where(Bucket.key.in_(keys)).values(tokens=Bucket.tokens + 1)
        )
        session.execute(db.delete(Bucket).where(Bucket.key == f"sign-in:{digest(email)}:{site}"))


def take_code(person_id: int, address: str, *, is_known: bool) -> None:
    """Allow a try at the code of an authenticator app. Raises TooMany.

    As many as for passwords. Six digits are soon guessed from many addresses by who has the
    password, so only a place that its owner has signed in from has an attempt of its own.
    """
    limit, site = settings.rate_sign_ins, site_of(address)
    _take(f"code from:{site}", 3 * limit // 2, _WRONG_CODES, period=_HOUR)
    try:
        _take(f"code to:{person_id}", limit, _WRONG_CODES, period=_HOUR)
    except TooMany:
        if not is_known:
            raise
        _take(f"code:{person_id}:{site}", min(limit, 1), _WRONG_CODES, period=_HOUR)


def take_recovery_code(address: str) -> None:
    """Allow a try at a recovery code, so many an hour from one address. Raises TooMany."""
    limit = 3 * settings.rate_sign_ins // 2
    _take(f"recovery from:{site_of(address)}", limit, _WRONG_PASSWORDS, period=_HOUR)


def take_passkey(address: str) -> None:
    """Allow a try with a passkey, so many an hour from one address. Raises TooMany.

    Nobody guesses a signature; this is for what asking leaves in the database.
    """
    limit = 3 * settings.rate_sign_ins // 2
    _take(f"passkey from:{site_of(address)}", limit, _WRONG_PASSKEYS, period=_HOUR)


def give_back_passkey(address: str) -> None:
    """A right one costs nothing, neither asking for it nor bringing it."""
    key = f"passkey from:{site_of(address)}"
    with write_transaction() as session:
        session.execute(db.update(Bucket).where(Bucket.key == key).values(tokens=Bucket.tokens + 2))


def give_back_code(person_id: int, address: str) -> None:
    """A right code costs nothing; what was guessed before it goes on counting."""
    site = site_of(address)
    keys = [f"code from:{site}", f"code to:{person_id}"]
    with write_transaction() as session:
        session.execute(
            db.update(Bucket).where(Bucket.key.in_(keys)).values(tokens=Bucket.tokens + 1)
        )
        session.execute(db.delete(Bucket).where(Bucket.key == f"code:{person_id}:{site}"))


def site_of(address: str) -> str:
    """Who an address counts for: with IPv6 its /64, all of which one customer has (RFC 6177)."""
    try:
        parsed = ip_address(address)
    except ValueError:  # none is known
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    return str(parsed.ipv4_mapped or ip_network((int(parsed) >> 64 << 64, 64)))


def _take(key: str, limit: int, refusal: str, *, period: float = _MINUTE) -> None:
    if limit == 0:
        return
    now, rate = time.time(), limit / period
    statement = _statement(db.engine.dialect.name)
    with write_transaction(is_lasting=False) as session:
        row = session.execute(
            statement, {"key": key, "limit": float(limit), "now": now, "rate": rate}
        ).first()
    if row is None:
        raise TooMany(refusal, retry_after=math.ceil(1 / rate))


@cache
def _statement(dialect: str) -> TextClause:
    least, most = ("min", "max") if dialect == "sqlite" else ("least", "greatest")
    return text(_TAKE.format(least=least, most=most))


def forget_full_buckets() -> None:
    """Remove the buckets that have filled up again: who owns them is a stranger once more."""
    with write_transaction() as session:
        session.execute(
            text("DELETE FROM buckets WHERE filled_at < :before"),
            {"before": time.time() - _HOUR},
        )
