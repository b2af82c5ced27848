"""Judging answers: what stands in a zone beside what has to stand there. Pure, no questions.

Each function gives the state of expected records with a sentence for whoever looks after the zone.
What does no harm is right: other priorities, an address in place of an alias, a policy of one's
own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from . import spf
from .records import Record
from .verdicts import RecordState

MAX_FOUND = 20
MAX_CHARACTERS = 300
_MAX_MERGED = 2000  # most records have less than 300 characters


@dataclass(frozen=True)
class Judgement:
    """The state of a record, the values in its place as they came, and what to do."""

    state: RecordState
    found: tuple[str, ...] = ()
    advice: str | None = None
    merged: str | None = None


MISSING = Judgement("missing")


def shown(values: Iterable[str]) -> tuple[str, ...]:
    """Values as they can be shown: not too many, not too long, nothing but what is visible."""
    return tuple(visible(value) for value in list(values)[:MAX_FOUND])


def visible(text: str, at_most: int = MAX_CHARACTERS) -> str:
    """A text of a stranger on one line. What is not seen, or changes what is, becomes a number."""
    escaped = "".join(
        letter if letter.isprintable() else f"\\{{{ord(letter):x}}}" for letter in text[:at_most]
    )
    is_whole = len(text) <= at_most and len(escaped) <= at_most
    return escaped if is_whole else f"{escaped[: at_most - 1]}…"


def mx(expected: Sequence[Record], values: Sequence[str], domain: str) -> list[Judgement]:
    """MX: all mail has to come to our hosts, in our order. One judgement for each record.

    The lower number is tried first (RFC 5321, section 5.1); equal ones in any order.
    """
    found = dict(sorted(map(_mx, values), key=lambda pair: -pair[1]))
    foreign = sorted(found.keys() - {record.value for record in expected})
    if not found:
        return [MISSING] * len(expected)
    if foreign:
        return [_foreign_mx(expected, found, foreign, domain, values)] * len(expected)
    return [_own_mx(record, expected, found) for record in expected]


def spf_text(expected: Record, values: Sequence[str], fetch: spf.Fetch) -> Judgement:
    """SPF: one record that lets our servers send, whatever else it allows."""
    records = [value for value in values if spf.is_spf(value)]
    if not records:
        return MISSING
    if len(records) > 1:
        return Judgement(
            "conflict",
            tuple(records),
            f"There are {len(records)} SPF records; receivers then ignore all of them. "
            "Replace them with this one.",
            _merged(records, expected),
        )
    [record] = records
    found = spf.read(record, expected.value, fetch)
    if found.unreadable:
        bad = visible(found.unreadable[0], 60)
        advice = f"Receivers cannot read “{bad}” and ignore the whole record. Replace it with this."
        return Judgement("different", (record,), advice, _merged(records, expected))
    return _readable_spf(expected, record, found)


def dmarc(values: Sequence[str]) -> Judgement:
    """DMARC: any policy is the owner's to choose, as long as receivers can read it (RFC 7489)."""
    records = [value for value in values if value.replace(" ", "").lower().startswith("v=dmarc1")]
    if not records:
        return MISSING
    if len(records) > 1:
        advice = f"There are {len(records)} DMARC records; receivers ignore all of them. Keep one."
        return Judgement("conflict", tuple(records), advice)
    tags = [tag.partition("=") for tag in records[0].lower().split(";")]
    policies = [value.strip() for name, _, value in tags if name.strip() == "p"]
    if policies[:1] in (["none"], ["quarantine"], ["reject"]):
        return Judgement("ok", tuple(records))
    advice = "It has no policy that receivers know: p=none, p=quarantine or p=reject."
    return Judgement("different", tuple(records), advice)


def text(expected: Record, values: Sequence[str]) -> Judgement:
    """Any other text: it is there, or it is not. Other texts are nobody's business."""
    return Judgement("ok", (expected.value,)) if expected.value in values else MISSING


def srv(expected: Record, values: Sequence[str]) -> Judgement:
    """SRV (RFC 2782): port and host count; priority and weight only choose among several."""
    if not values:
        return MISSING
    wanted = expected.value.split()[1:]
    if any(value.split()[2:] == wanted for value in values):
        return Judgement("ok", tuple(values))
    port, host = wanted
    advice = f"It has to name the host {host.removesuffix('.')} and port {port}."
    return Judgement("different", tuple(values), advice)


def alias(expected: Record, target: str) -> Judgement:
    """A CNAME that leads to another name than ours."""
    if target == expected.value:
        return Judgement("ok", (target,))
    return Judgement(
        "different",
        (target,),
        f"It leads to {_name(target)} instead of {_name(expected.value)}.",
    )


def addresses(expected: Record, found: Sequence[str], of_target: Sequence[str]) -> Judgement:
    """A or AAAA in place of an alias: right as long as they are the target's own."""
    if not found:
        return MISSING
    if set(found) <= set(of_target):
        return Judgement("ok", tuple(found))
    return Judgement(
        "different",
        tuple(found),
        f"It has addresses that are not those of {_name(expected.value)}. Replace them with the "
        "alias (CNAME); where a proxy can be switched off for a name, switch it off.",
    )


def key(found: Sequence[str], of_target: Sequence[str]) -> Judgement:
    """A DKIM key that stands there itself, in place of the alias to it."""
    if not found:
        return MISSING
    if set(found) == set(of_target):
        return Judgement("ok", tuple(found))
    advice = "This is another key. Replace it with the alias (CNAME), which always leads to ours."
    return Judgement("different", tuple(found), advice)


def _mx(value: str) -> tuple[str, int]:
    preference, _, host = value.partition(" ")
    return host, int(preference)


def _foreign_mx(
    expected: Sequence[Record],
    found: dict[str, int],
    foreign: Sequence[str],
    domain: str,
    values: Sequence[str],
) -> Judgement:
    ours = [record.value for record in expected]
    is_split = any(host in found for host in ours)
    names = _listed(foreign)
    if "." in foreign:
        advice = "It says that the domain takes no mail at all (RFC 7505). Remove the MX “0 .”."
    elif any(host.removesuffix(f"{domain}.") in ours for host in foreign):
        advice = (
            f"The domain was added to the host: {names}. End the value with a dot, or leave the "
            "dot out if it has one."
        )
    elif f"mail.{domain}." in foreign:
        advice = (
            f"An MX must not name mail.{domain}, which is an alias (RFC 2181). Replace it with "
            "what is listed here."
        )
    elif is_split:
        advice = f"Some of the mail goes to {names}. Remove what is not listed here."
    else:
        advice = f"Mail still goes to {names}. Replace it with what is listed here."
    return Judgement("conflict" if is_split else "different", tuple(values), advice)


def _own_mx(record: Record, expected: Sequence[Record], found: dict[str, int]) -> Judgement:
    if record.value not in found:
        return MISSING
    preference = found[record.value]
    value = f"{preference} {record.value}"
    for other in expected:
        theirs = found.get(other.value, preference)
        is_later = (record.priority or 0) > (other.priority or 0)
        is_earlier = (record.priority or 0) < (other.priority or 0)
        if (is_later and preference < theirs) or (is_earlier and preference > theirs):
            advice = (
                f"Mail is to try the other hosts first or later: use priority {record.priority}."
            )
            return Judgement("different", (value,), advice)
    return Judgement("ok", (value,))


def _readable_spf(expected: Record, record: str, found: spf.Found) -> Judgement:
    if not found.contains and not found.is_complete:
        return Judgement("unknown", (record,), "A record that it includes could not be looked up.")
    if not found.contains:
        advice = "It does not let our servers send yet. Replace it with this one."
        return Judgement("different", (record,), advice, _merged([record], expected))
    if found.lookups > spf.MAX_LOOKUPS:
        advice = (
            "It needs more than 10 look-ups, counting those of the records it includes; receivers "
            "then ignore it. Remove senders that are no longer used."
        )
        return Judgement("different", (record,), advice)
    if found.broken:
        name = visible(found.broken[0], 100)
        advice = (
            f"It includes {name}, which has no SPF record: receivers then ignore all. Remove it."
        )
        return Judgement("different", (record,), advice)
    return Judgement("ok", (record,))


def _merged(records: Sequence[str], expected: Record) -> str | None:
    """One record in place of these, unless it would be too long for anybody to keep."""
    merged = spf.merge(records, expected.value)
    return merged if len(merged) <= _MAX_MERGED else None


def _listed(hosts: Sequence[str]) -> str:
    names = [_name(host) for host in hosts[:3]]
    return ", ".join(names) + (" and others" if len(hosts) > len(names) else "")


def _name(host: str) -> str:
    return visible(host.removesuffix(".") or ".", 100)
