"""Looking at domains' zones, and judging what is found. Nothing a name server does raises here.

A domain's own name servers decide. Resolvers are asked who these are, in their place where they do
not answer, and whether the world already sees the MX and the texts that the own ones show.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

from .. import clock
from . import delegation, hosts, judge, spf
from .judge import Judgement
from .lookup import Answer, Asking, Look, Run
from .records import Record
from .verdicts import Verdict

log = logging.getLogger(__name__)

_NOT_REGISTERED = "The domain is not registered, or has no name servers yet."
_NOT_THERE = "There is nothing of this name yet. Its records belong into the zone {zone}."
_NOBODY_KNOWS = "Nobody could tell which name servers the domain has."
_NOT_EVERYWHERE = "It is right, and not seen everywhere yet; that can take some hours."
_SEEN_BY_WORLD = ("MX", "TXT")  # what the world's mail servers ask resolvers for


@dataclass(frozen=True)
class Report:
    """What was found of a domain.

    `provider` is who its name servers belong to, where that is known; `sources` is how many name
    servers and resolvers answered.
    """

    verdicts: list[Verdict]
    provider: str | None
    sources: int


def check(domain: str, expected: Sequence[Record], asking: Asking) -> Report:
    """Look at one domain, named as it is stored. Takes `asking.seconds` at most."""
    return _check(Run(asking), domain, expected)


def check_many(
    wanted: Iterable[tuple[str, Sequence[Record]]], asking: Asking, at_once: int = 32
) -> Generator[tuple[str, Report], None, None]:
    """Look at many domains, so many at once, and tell of each when it is done.

    `wanted` is read as it goes, in the caller's thread. A name server that keeps silent twice in
    a row is not asked again, so that the domains it has do not hold up the others.
    """
    run = Run(asking)
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="dns")
    doing: dict[Future[Report], tuple[str, Sequence[Record]]] = {}
    try:
        for domain, expected in wanted:
            doing[pool.submit(_check, run, domain, expected)] = domain, expected
            if len(doing) >= 2 * at_once:
                yield from _done(doing)
        while doing:
            yield from _done(doing)
    finally:
        pool.shutdown(cancel_futures=True)


def _done(
    doing: dict[Future[Report], tuple[str, Sequence[Record]]],
) -> Iterator[tuple[str, Report]]:
    """Wait for one at least; what should not be, ends nobody else's look."""
    for future in wait(doing, return_when=FIRST_COMPLETED).done:
        domain, expected = doing.pop(future)
        if error := future.exception():
            log.error("the look at %s failed", domain, exc_info=error)
            yield domain, _unknown(expected, _NOBODY_KNOWS)
        else:
            yield domain, future.result()


def _check(run: Run, domain: str, expected: Sequence[Record]) -> Report:
    look = Look.at_one_domain(run)
    where = delegation.find(look, domain)
    if where.status == "failed":
        return _unknown(expected, _NOBODY_KNOWS)
    if where.status == "nowhere":
        gone = Judgement("missing", advice=_NOT_REGISTERED)
        return _report([(record, gone) for record in expected], None, look)
    zone = _Zone(look, where, domain)
    judged = zone.judge_mx([record for record in expected if record.type == "MX"])
    judged |= {record: zone.judge(record) for record in expected if record.type != "MX"}
    if not where.is_there:
        advice = _NOT_THERE.format(zone=where.zone)
        judged = {
            record: replace(each, advice=each.advice or advice) for record, each in judged.items()
        }
    found = [(record, judged[record]) for record in expected]
    return _report(found, hosts.provider_of(where.hosts), look)


def _unknown(expected: Sequence[Record], why: str) -> Report:
    judgement = Judgement("unknown", advice=why)
    return Report([_verdict(record, judgement) for record in expected], None, 0)


def _report(judged: Iterable[tuple[Record, Judgement]], provider: str | None, look: Look) -> Report:
    return Report([_verdict(*pair) for pair in judged], provider, len(look.answered))


def _verdict(record: Record, judgement: Judgement) -> Verdict:
    now = clock.now()
    return Verdict(
        record=record,
        state=judgement.state,
        found=judge.shown(judgement.found),
        advice=judgement.advice,
        merged=judgement.merged,
        checked_at=None if judgement.state == "unknown" else now,
        since=now,
        held=judgement.state == "ok",
    )


class _Zone:
    """Questions about one domain, and the judgement of their answers."""

    def __init__(self, look: Look, where: delegation.Delegation, domain: str) -> None:
        self._look = look
        self._where = where
        self._domain = domain
        self._own: dict[tuple[str, str], Answer] = {}
        self._is_hopeless = False  # its name servers are silent, and the resolvers get no answer

    def judge_mx(self, expected: Sequence[Record]) -> dict[Record, Judgement]:
        """All MX records together: each is right only beside the others."""
        judged = self._judged(expected, lambda values: judge.mx(expected, values, self._domain))
        return dict(zip(expected, judged, strict=True))

    def judge(self, record: Record) -> Judgement:
        """One record of any other type."""
        if record.type == "CNAME":
            return self._alias(record)
        [judged] = self._judged([record], lambda values: [_of(record, values, self)])
        return judged

    def texts(self, name: str) -> Sequence[str] | None:
        """The texts of a name that an SPF record brings in (spf.Fetch)."""
        answer = self._look.shared(name, "TXT")
        return None if answer.status == "failed" else answer.values

    def _judged(
        self, records: Sequence[Record], judging: Callable[[Sequence[str]], list[Judgement]]
    ) -> list[Judgement]:
        """A judgement for each of the records, which are of one name and type."""
        if not records:
            return []
        name, kind = records[0].name, records[0].type
        answer = self._asked(name, kind)
        if answer.status == "failed":
            return [_no_answer(answer)] * len(records)
        judged = judging(answer.values)
        is_own = (name, kind) in self._own
        if is_own and kind in _SEEN_BY_WORLD and all(each.state == "ok" for each in judged):
            public = self._look.public(self._full(name), kind)
            if public.status != "failed":
                seen = judging(public.values)
                judged = [_beside(*pair) for pair in zip(judged, seen, strict=True)]
        return judged

    def _alias(self, record: Record) -> Judgement:
        answer = self._asked(record.name, "CNAME")
        if answer.status == "failed":
            return _no_answer(answer)
        if answer.status == "nowhere":
            return judge.MISSING
        is_key = "_domainkey" in record.name
        kinds = ("TXT",) if is_key else ("A", "AAAA")
        if answer.values:
            judgement = judge.alias(record, answer.values[0])
            return judgement if judgement.state == "ok" else self._led(record, judgement, kinds)
        return self._in_place_of_alias(record, kinds, is_key=is_key)

    def _led(self, record: Record, judgement: Judgement, kinds: Sequence[str]) -> Judgement:
        """An alias of something else may still lead to ours, or to the same in the end."""
        chains = [self._look.shared(_plain(judgement.found[0]), kind) for kind in kinds]
        ours = [self._look.shared(_plain(record.value), kind) for kind in kinds]
        if any(answer.status == "failed" for answer in (*chains, *ours)):
            return Judgement("unknown", advice="Where the alias leads could not be looked up.")
        pairs = zip(chains, ours, strict=True)
        is_same = any(one.values and set(one.values) == set(other.values) for one, other in pairs)
        if is_same or any(_plain(record.value) in answer.aliases for answer in chains):
            return Judgement("ok", judgement.found)
        return judgement

    def _in_place_of_alias(
        self, record: Record, kinds: Sequence[str], *, is_key: bool
    ) -> Judgement:
        found = [self._asked(record.name, kind) for kind in kinds]
        if failed := [answer for answer in found if answer.status == "failed"]:
            return _no_answer(failed[0])
        values = [value for answer in found for value in answer.values]
        if not values:
            return judge.MISSING
        ours = [self._look.shared(_plain(record.value), kind) for kind in kinds]
        if any(answer.status == "failed" for answer in ours):
            return Judgement("unknown", tuple(values), "Our own name could not be looked up.")
        target = [value for answer in ours for value in answer.values]
        return judge.key(values, target) if is_key else judge.addresses(record, values, target)

    def _asked(self, name: str, kind: str) -> Answer:
        """The own name servers' answer, or where they have none, the resolvers'."""
        if known := self._own.get((name, kind)):
            return known
        own = self._look.own(self._where.servers, self._full(name), kind)
        if own.status != "failed":
            self._own[name, kind] = own
            return own
        if self._is_hopeless:
            return own
        public = self._look.public(self._full(name), kind)
        self._is_hopeless = self._look.is_own_silent and public.status == "failed"
        return own if public.status == "failed" else public

    def _full(self, name: str) -> str:
        return self._domain if name == "@" else f"{name}.{self._domain}"


def _of(record: Record, values: Sequence[str], zone: _Zone) -> Judgement:
    if record.type == "SRV":
        return judge.srv(record, values)
    if record.name == "_dmarc":
        return judge.dmarc(values)
    if spf.is_spf(record.value):
        return judge.spf_text(record, values, zone.texts)
    return judge.text(record, values)


def _beside(own: Judgement, public: Judgement) -> Judgement:
    return own if public.state in ("ok", "unknown") else replace(own, advice=_NOT_EVERYWHERE)


def _no_answer(answer: Answer) -> Judgement:
    return Judgement("unknown", advice=f"The domain's name servers {answer.problem}.")


def _plain(host: str) -> str:
    return host.removesuffix(".")
