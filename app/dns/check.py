"""Looking at a domain: what each expected record should be, and what there is.

Its own name servers decide. A resolver is asked as well, since senders see what resolvers see: what
has not come that far yet is said, and counts as done.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice

from .. import clock
from . import spf
from .hosts import provider_of
from .lookup import Answer, Asking, Inquiry, Silent
from .records import Record
from .verdicts import RecordState, Verdict

_NOT_EVERYWHERE = "Not seen everywhere yet; that can take as long as the old record was kept."
_UNREGISTERED = "This name is not in the DNS at all: is it spelt right, and is it registered?"


@dataclass(frozen=True)
class Report:
    """What was found of each expected record, in their order; who runs the name servers, where that
    can be told; and how many name servers and resolvers answered."""

    verdicts: list[Verdict]
    provider: str | None
    sources: int


def check(
    domain: str, expected: Sequence[Record], asking: Asking, silent: Silent | None = None
) -> Report:
    """Look at a domain. Whatever its name servers do, it ends in time and raises nothing."""
    inquiry = Inquiry(domain, asking, silent or Silent())
    receiving = [record for record in expected if record.type == "MX"]
    verdicts = [_judge(inquiry, record, receiving) for record in expected]
    now = clock.now()
    verdicts = [one if one.state == "unknown" else replace(one, checked_at=now) for one in verdicts]
    return Report(verdicts, provider_of(inquiry.name_servers), len(inquiry.sources))


def check_many(
    wanted: Iterable[tuple[str, Sequence[Record]]], asking: Asking, at_once: int = 32
) -> Iterator[tuple[str, Report]]:
    """Look at many domains, so many at once, in any order; a name server that twice did not answer
    is not waited for again, so that the many domains of one do not hold up the others."""
    silent = Silent()
    waiting = iter(wanted)
    with ThreadPoolExecutor(at_once) as threads:
        # A few more than threads: what is looked at is not all held in memory at once.
        while batch := list(islice(waiting, 4 * at_once)):
            names = [name for name, _records in batch]
            found = threads.map(lambda one: check(one[0], one[1], asking, silent), batch)
            yield from zip(names, found, strict=True)


def _judge(inquiry: Inquiry, record: Record, receiving: Sequence[Record]) -> Verdict:
    name = record.full_name(inquiry.domain)
    if record.type == "MX":
        return _judge_mx(inquiry, record, receiving)
    if record.type == "TXT":
        judge = _judge_spf if spf.is_spf(record.value) else _judge_dmarc
        return judge(inquiry, record, name)
    if record.type == "SRV":
        return _judge_srv(inquiry, record, name)
    return _judge_alias(inquiry, record, name)


def _seen(
    inquiry: Inquiry, name: str, kind: str, is_fine: Callable[[Answer], bool]
) -> tuple[Answer, str | None]:
    """What the own name servers say, and what is to be said about the resolver's answer."""
    said = inquiry.best(name, kind)
    public = inquiry.public(name, kind)
    is_new = is_fine(said) and public.state != "unknown" and not is_fine(public)
    return said, _NOT_EVERYWHERE if is_new else None


def _missing(inquiry: Inquiry, record: Record) -> Verdict:
    advice = None if inquiry.is_registered else _UNREGISTERED
    return Verdict(record, "missing", advice=advice)


def _judge_mx(inquiry: Inquiry, record: Record, receiving: Sequence[Record]) -> Verdict:
    """One of the hosts that are to receive (RFC 5321, section 5.1).

    With another priority it is as good, as long as the order of ours is kept; a host of somebody
    else beside ours gets part of the mail, or all of it.
    """
    name = inquiry.domain
    ours = {one.value for one in receiving}
    said, note = _seen(inquiry, name, "MX", lambda found: record.value in _hosts(found))
    if said.state == "unknown":
        return Verdict.unknown(record)
    hosts = _hosts(said)
    foreign = [host for host in hosts if host not in ours]
    if not hosts:
        return _missing(inquiry, record)
    if record.value in hosts and foreign:
        others = ", ".join(host.rstrip(".") or "nobody (.)" for host in foreign)
        return Verdict(
            record,
            "conflict",
            said.values,
            f"Mail also goes to {others}: remove that record, or part of the mail is lost.",
        )
    if record.value in hosts:
        return _in_order(Verdict(record, "ok", said.values, note), hosts, receiving)
    if foreign == ["."]:
        advice = "The domain says that it takes no mail at all (MX 0 .): replace that record."
    elif foreign:
        others = ", ".join(host.rstrip(".") for host in foreign)
        advice = f"Mail still goes to {others}: replace that record by this one."
    else:
        return Verdict(record, "missing", said.values)
    return Verdict(record, "different", said.values, advice)


def _in_order(verdict: Verdict, hosts: dict[str, int], receiving: Sequence[Record]) -> Verdict:
    there = [one for one in receiving if one.value in hosts]
    wanted = sorted(there, key=lambda one: one.priority or 0)
    found = [hosts[one.value] for one in wanted]
    if found == sorted(found):
        return verdict
    advice = "The priorities are in another order: mail goes to the lowest number first."
    return replace(verdict, advice=advice)


def _hosts(answer: Answer) -> dict[str, int]:
    """The hosts of MX records with their priorities."""
    pairs = (value.split(" ", 1) for value in answer.values)
    return {pair[1]: int(pair[0]) for pair in pairs if len(pair) == 2 and pair[0].isdigit()}


def _judge_spf(inquiry: Inquiry, record: Record, name: str) -> Verdict:
    said, note = _seen(
        inquiry,
        name,
        "TXT",
        lambda answer: any(spf.contains(one, record.value) for one in _spf_of(answer)),
    )
    if said.state == "unknown":
        return Verdict.unknown(record)
    found = _spf_of(said)
    if not found:
        return _missing(inquiry, record)
    if len(found) > 1:
        return Verdict(
            record,
            "conflict",
            tuple(found),
            "Receivers ignore SPF where there are two such records: keep one, with this value.",
            spf.merged(found, record.value),
        )
    if not spf.contains(found[0], record.value):
        return Verdict(
            record,
            "different",
            tuple(found),
            "Put this value in its place: it keeps who may send already, and adds these servers.",
            spf.merged(found, record.value),
        )
    count = spf.lookups(
        found[0], lambda other: next(iter(_spf_of(inquiry.public(other, "TXT"))), None)
    )
    if count > spf.MAX_LOOKUPS:
        return Verdict(
            record,
            "conflict",
            tuple(found),
            f"It takes more than {spf.MAX_LOOKUPS} look-ups, and receivers then ignore it: remove "
            "what no longer sends.",
        )
    return Verdict(record, "ok", tuple(found), note)


def _spf_of(answer: Answer) -> list[str]:
    return [value for value in answer.values if spf.is_spf(value)]


def _judge_dmarc(inquiry: Inquiry, record: Record, name: str) -> Verdict:
    """Any policy is its owner's to choose (RFC 7489, section 6.3)."""
    said, note = _seen(inquiry, name, "TXT", lambda answer: len(_dmarc_of(answer)) == 1)
    if said.state == "unknown":
        return Verdict.unknown(record)
    found = _dmarc_of(said)
    if len(found) > 1:
        advice = "Receivers ignore DMARC where there are two such records: keep one."
        return Verdict(record, "conflict", tuple(found), advice)
    if not found:
        return _missing(inquiry, record)
    if not re.search(r";\s*p\s*=\s*(none|quarantine|reject)\b", found[0], re.IGNORECASE):
        return Verdict(
            record, "different", tuple(found), "It names no policy: add p=none at least."
        )
    return Verdict(record, "ok", tuple(found), note)


def _dmarc_of(answer: Answer) -> list[str]:
    return [one for one in answer.values if re.match(r"v\s*=\s*DMARC1\s*(;|$)", one)]


def _judge_srv(inquiry: Inquiry, record: Record, name: str) -> Verdict:
    """The same host and port will do; priority and weight are between several (RFC 6186)."""
    said = inquiry.best(name, "SRV")
    if said.state == "unknown":
        return Verdict.unknown(record)
    if not said.values:
        return _missing(inquiry, record)
    wanted = record.value.split(" ")[-2:]
    there = [value.split(" ")[-2:] for value in said.values]
    state: RecordState = "ok" if wanted in there else "different"
    return Verdict(record, state, said.values)


def _judge_alias(inquiry: Inquiry, record: Record, name: str) -> Verdict:
    """An alias, or the very addresses of what it is to be an alias of: some zones have no room for
    one, and for keys the very text."""
    said = inquiry.best(name, "CNAME")
    if said.state == "unknown":
        return Verdict.unknown(record)
    if said.values:
        state: RecordState = "ok" if record.value in said.values else "different"
        return Verdict(record, state, said.values)
    kinds = ("TXT",) if "._domainkey" in record.name else ("A", "AAAA")
    there = [inquiry.best(name, kind) for kind in kinds]
    found = tuple(value for answer in there for value in answer.values)
    if not found:
        return _missing(inquiry, record)
    wanted = [inquiry.public(record.value, kind) for kind in kinds]
    expected = {value for answer in wanted for value in answer.values}
    if not expected:
        return Verdict(record, "unknown", found)
    return Verdict(record, "ok" if set(found) <= expected else "different", found)
