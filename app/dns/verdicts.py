"""Whether each record of a domain is there, and what that makes of the domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from .. import clock
from .records import Record

RecordState = Literal["ok", "missing", "different", "conflict", "unknown"]
DomainState = Literal["checking", "pending", "receiving", "ready", "attention", "blocked"]

PATIENCE = 72 * 60 * 60  # seconds for which a domain that worked is given time
NOT_NOW = "It could not be checked just now; this is what was found last."
_WORKED: tuple[DomainState, ...] = ("receiving", "ready", "attention", "blocked")


@dataclass(frozen=True)
class Verdict:
    """What was found of an expected record.

    `found` are the values that stand in its place, fit to be shown. `advice` is a sentence for a
    customer, `merged` the one value to put there instead. `checked_at` is when the name servers
    last answered, None if they never did; `since` when the record came into this state; `held`
    whether it was ever right.
    """

    record: Record
    state: RecordState
    found: tuple[str, ...]
    advice: str | None
    merged: str | None
    checked_at: str | None
    since: str
    held: bool = False

    def to_json(self) -> dict[str, Any]:
        """As it is kept in DnsCheck.records."""
        return {**vars(self), "record": vars(self.record), "found": list(self.found)}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Verdict:
        """The verdict that was kept so."""
        values = {**kept, "record": Record(**kept["record"]), "found": tuple(kept["found"])}
        return cls(**values)


def settled(before: Sequence[Verdict], now: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts of a look, those of an earlier one kept where it had no answer.

    Records are the same when type, name, value and priority are.
    """
    known = {_key(verdict.record): verdict for verdict in before}
    return [_settled(known.get(_key(verdict.record)), verdict) for verdict in now]


def domain_state(verdicts: Sequence[Verdict], *, was: DomainState, since: str) -> DomainState:
    """What the verdicts make of a domain that was in a state `since` a moment.

    `checking` as long as the MX was never answered for, `pending` until mail first arrives,
    `receiving` while it does and a required record was never right yet, `ready` with all of them.
    What worked and does no more is in `attention` for 72 hours, then `blocked`. A record the panel
    has begun to expect takes nothing from a domain that works.
    """
    mx = [verdict for verdict in verdicts if verdict.record.type == "MX"]
    if all(verdict.state == "unknown" for verdict in mx):
        return was
    required = [verdict for verdict in verdicts if verdict.record.is_required]
    if not _arrives(mx):
        worked = was in _WORKED or any(verdict.held for verdict in mx)
        return _troubled(was, since) if worked else "pending"
    if any(_is_broken(verdict) for verdict in required if verdict.record.type != "MX"):
        return _troubled(was, since)
    if all(verdict.state == "ok" for verdict in required):
        return "ready"
    is_only_unknown = all(verdict.state in ("ok", "unknown") for verdict in required)
    return "ready" if was == "ready" and is_only_unknown else "receiving"


def _key(record: Record) -> tuple[str, str, str, int | None]:
    return record.type, record.name, record.value, record.priority


def _settled(before: Verdict | None, now: Verdict) -> Verdict:
    if before is None:
        return now
    if now.state != "unknown":
        since = before.since if before.state == now.state else now.since
        return replace(now, since=since, held=before.held or now.held)
    if before.state == "unknown":
        return replace(now, since=before.since, held=before.held)
    rest = (before.advice or "").removeprefix(NOT_NOW).strip()
    return replace(before, record=now.record, advice=f"{NOT_NOW} {rest}".strip())


def _arrives(mx: Sequence[Verdict]) -> bool:
    """Whether mail arrives: at one of our hosts at least, and nowhere else."""
    states = {verdict.state for verdict in mx}
    return "ok" in states and not states & {"conflict"}


def _is_broken(verdict: Verdict) -> bool:
    return verdict.held and verdict.state not in ("ok", "unknown")


def _troubled(was: DomainState, since: str) -> DomainState:
    if was == "blocked":
        return "blocked"
    is_long = was == "attention" and clock.seconds_since(since) > PATIENCE
    return "blocked" if is_long else "attention"
