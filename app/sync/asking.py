"""Who asks: a node by its sync key, from an address where that key may be used."""

from __future__ import annotations

from dataclasses import dataclass

from flask import g, request

from .. import clock
from ..credentials import SYNC_KEY, digest, is_well_formed
from ..errors import UnknownKey
from ..network import client_address, is_within
from ..throttle import refuse_credential
from ..watch import Known, KnownKey


@dataclass(frozen=True)
class Asker:
    """A node that proved who it is."""

    digest: str
    key: KnownKey
    address: str

    @property
    def seconds_left(self) -> float:
        """For how long its key goes on working."""
        expires_at = self.key.expires_at
        return -clock.seconds_since(expires_at) if expires_at else float("inf")


def asker(known: Known) -> Asker:
    """Who the request comes from. Raises Unauthorized, TooMany.

    Every refusal is the same: nobody learns what was wrong.
    """
    header, address = request.headers.get("Authorization", ""), client_address(request)
    credential = header.removeprefix("Bearer ")
    if credential == header or not is_well_formed(credential, SYNC_KEY):
        refuse_credential(header, address, UnknownKey)
    digested = digest(credential)
    key = known.key(digested)
    if key is None:
        refuse_credential(header, address, UnknownKey)
    g.asked_by = key.node_id, address
    if reason := unfit(key, address):
        g.refused_for = reason
        refuse_credential(header, address, UnknownKey)
    return Asker(digested, key, address)


def unfit(key: KnownKey, address: str) -> str:
    """Why a key does not count here and now, for the node's journal; "" if it does."""
    if has_ended(key):
        return "its key has ended"
    return "" if is_within(address, key.network) else "from another address"


def has_ended(key: KnownKey) -> bool:
    """Whether the key's time is over."""
    return key.expires_at is not None and key.expires_at <= clock.now()
