"""What is thought of a record, and of a domain, by what was found in the DNS.

A look-up that nobody answered tells nothing: what was known before stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from .. import clock
from .records import Record

RecordState = Literal["ok", "missing", "different", "conflict", "unknown"]
DomainState = Literal["checking", "pending", "receiving", "ready", "attention", "blocked"]

# How long a domain whose mail worked may lack a record before it counts as lost.
PATIENCE_SECONDS = 72 * 3600


@dataclass(frozen=True)
class Verdict:
    """A record and what stands in its place: `found`, and in `advice` what to do about it.

    `merged` is the one value to put there, where that helps. `checked_at` is when somebody last
    answered, None for never.
    """

    record: Record
    state: RecordState
    found: tuple[str, ...] = ()
    advice: str | None = None
    merged: str | None = None
    checked_at: str | None = None

    @classmethod
    def unknown(cls, record: Record) -> Verdict:
        """Of a record that nobody could be asked about."""
        return cls(record, "unknown")

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Verdict:
        """From what `to_json` made."""
        kept = dict(values)
        record = Record(**kept.pop("record"))
        return cls(record, **{**kept, "found": tuple(kept["found"])})

    def to_json(self) -> dict[str, Any]:
        """As it is kept with the domain."""
        return {**asdict(self), "found": list(self.found)}


def settled(before: Sequence[Verdict], now: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts of now; the last good one of a record that nobody answered for."""
    known = {one.record: one for one in before if one.state != "unknown"}
    return [
        replace(known[one.record], advice=_STALE)
        if one.state == "unknown" and one.record in known
        else one
        for one in now
    ]


_STALE = "The name servers could not be asked just now; this is what they last said."


def domain_state(verdicts: Sequence[Verdict], *, was: DomainState, since: str) -> DomainState:
    """What of a domain's mail works, given in which state it has been since when.

    Mail arrives where one of our MX records is there and none of somebody else's. One of several
    that is missing is no trouble: an operator who adds a node has not broken anybody's domain.
    """
    receives = [one.state for one in verdicts if one.record.severity == "receiving"]
    sends = [one.state for one in verdicts if one.record.severity == "sending"]
    if set(receives) <= {"unknown"}:
        return was
    if "ok" not in receives or {"different", "conflict"} & set(receives):
        return _broken(was, since)
    if all(state == "ok" for state in sends):
        return "ready"
    if was in ("ready", "attention", "blocked") and "unknown" not in sends:
        return "attention" if was != "blocked" else "receiving"
    return was if was == "ready" else "receiving"


def _broken(was: DomainState, since: str) -> DomainState:
    """Mail does not arrive as it should. What never worked is only not there yet."""
    if was in ("checking", "pending"):
        return "pending"
    if was == "attention" and clock.seconds_since(since) < PATIENCE_SECONDS:
        return "attention"
    return "attention" if was in ("ready", "receiving") else "blocked"
