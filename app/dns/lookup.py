"""Asking the DNS about one domain: its own name servers, and a resolver, as the world sees it.

A domain's owner chooses its name servers and what they say, so nothing here waits longer than its
deadline, raises because of an answer, or asks machines that only the panel can reach.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal

from ..config import Settings

# dnspython takes 80 ms to load, so whoever asks first loads it: not every start of the panel.
if TYPE_CHECKING:
    from dns.message import Message
    from dns.rrset import RRset

Server = tuple[str, int]  # an address and a port

QUERY_SECONDS = 1.5  # how long one name server may take
MAX_SERVERS, MAX_VALUES, MAX_LENGTH = 3, 20, 300
UDP_BYTES = 1232  # an answer of this size passes everywhere (https://www.dnsflagday.net/2020/)


@dataclass(frozen=True)
class Asking:
    """How to ask: whom, and for how many seconds in all about one domain.

    No `resolvers` means those of this machine. Name servers at private addresses are asked at
    `private_port`, and never where that is 0.
    """

    resolvers: tuple[Server, ...] = ()
    private_port: int = 0
    seconds: float = 6.0

    @classmethod
    def of(cls, settings: Settings) -> Asking:
        """As the settings say."""
        return cls(settings.dns_resolvers or _of_this_machine(), settings.dns_private_port)


@dataclass(frozen=True)
class Answer:
    """What there is of a name and type; `unknown` if nobody answered.

    `values` are as in a zone file, in lower case but for texts, which are joined and without
    quotes; `alias` is the name that stands in for the one that was asked for.
    """

    state: Literal["found", "none", "unknown"]
    values: tuple[str, ...] = ()
    alias: str | None = None
    name_exists: bool = True


UNKNOWN = Answer("unknown")


class Silent:
    """Name servers that did not answer: after twice, nobody waits for them again in this run."""

    def __init__(self) -> None:
        self._times: Counter[Server] = Counter()

    def note(self, server: Server) -> None:
        """One did not answer in time."""
        self._times[server] += 1

    def __contains__(self, server: Server) -> bool:
        return self._times[server] > 1


@dataclass
class Inquiry:
    """All questions about one domain, until their time is over."""

    domain: str
    asking: Asking
    silent: Silent = field(default_factory=Silent)
    deadline: float = 0.0
    sources: set[Server] = field(default_factory=set)
    name_servers: tuple[str, ...] = ()
    is_registered: bool = True
    _own: list[Server] = field(default_factory=list)
    _known: dict[tuple[str, str, bool], Answer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.deadline = time.monotonic() + self.asking.seconds
        self._find_name_servers()

    def own(self, name: str, kind: str) -> Answer:
        """What the domain's own name servers say; where the name is an alias, the resolver."""
        return self._answer(name, kind, is_own=True)

    def public(self, name: str, kind: str) -> Answer:
        """What a resolver says."""
        return self._answer(name, kind, is_own=False)

    def best(self, name: str, kind: str) -> Answer:
        """What the own name servers say, the resolver where none of them answers."""
        said = self.own(name, kind)
        return said if said.state != "unknown" else self.public(name, kind)

    def _answer(self, name: str, kind: str, *, is_own: bool) -> Answer:
        key = (name, kind, is_own)
        if key not in self._known:
            self._known[key] = self._ask(name, kind, is_own=is_own)
        return self._known[key]

    def _ask(self, name: str, kind: str, *, is_own: bool) -> Answer:
        message = self._message(name, kind, is_own=is_own)
        if message is None:
            return UNKNOWN
        found = _read(message, kind)
        leads_elsewhere = is_own and found.alias and not found.values and kind != "CNAME"
        if found.alias and leads_elsewhere:
            there = self.public(found.alias, kind)
            return Answer(there.state, there.values, found.alias)
        return found

    def _message(self, name: str, kind: str, *, is_own: bool) -> Message | None:
        servers = self._own if is_own else self.asking.resolvers[:MAX_SERVERS]
        for server in servers:
            message = self._exchange(server, name, kind, recursion=not is_own)
            if message is not None:
                self.sources.add(server)
                return message
        return None

    def _exchange(self, server: Server, name: str, kind: str, *, recursion: bool) -> Message | None:
        """One server's answer; None when there is none, or none that says anything."""
        import dns.exception
        import dns.flags
        import dns.message
        import dns.query
        import dns.rcode

        left = self.deadline - time.monotonic()
        if left <= 0 or server in self.silent:
            return None
        address, port = server
        try:
            query = dns.message.make_query(name, kind, use_edns=0, payload=UDP_BYTES)
            if not recursion:
                query.flags &= ~dns.flags.RD
            seconds = min(QUERY_SECONDS, left)
            message, _used_tcp = dns.query.udp_with_fallback(
                query, address, seconds, port, ignore_unexpected=True, ignore_errors=True
            )
        except (dns.exception.Timeout, OSError):
            self.silent.note(server)
            return None
        except (dns.exception.DNSException, ValueError, EOFError):
            return None
        is_answer = message.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
        # A name server that only points to others does not know the domain.
        is_lame = not recursion and not message.flags & dns.flags.AA
        return None if is_lame or not is_answer or _is_referral(message) else message

    def _find_name_servers(self) -> None:
        """Whom the zone that the domain is in has named, and where they can be asked."""
        zone: str | None = self.domain
        for _ in range(2):
            message = self._message(zone, "NS", is_own=False) if zone else None
            if message is None:
                return
            found = _read(message, "NS")
            if found.values:
                break
            if zone == self.domain and not found.name_exists:
                self.is_registered = False
            zone = _zone_of(message)
        else:
            return
        self.is_registered = self.is_registered or zone != self.domain
        self.name_servers = tuple(sorted(value.rstrip(".") for value in found.values))
        for host in self.name_servers:
            if len(self._own) >= MAX_SERVERS:
                return
            self._own += self._places(host)[: MAX_SERVERS - len(self._own)]

    def _places(self, host: str) -> list[Server]:
        """Where a name server can be asked: not at addresses of a private network."""
        addresses = self.public(host, "A").values or self.public(host, "AAAA").values
        places = [(address, self._port(address)) for address in addresses]
        return [(address, port) for address, port in places if port]

    def _port(self, address: str) -> int:
        try:
            parsed = ip_address(address)
        except ValueError:
            return 0
        is_public = parsed.is_global and not parsed.is_multicast
        return 53 if is_public else self.asking.private_port


def _is_referral(message: Message) -> bool:
    """Whether it only names others who may know (RFC 1034, section 4.3.1)."""
    import dns.rdatatype

    kinds = {rrset.rdtype for rrset in message.authority}
    return not message.answer and dns.rdatatype.NS in kinds and dns.rdatatype.SOA not in kinds


def _of_this_machine() -> tuple[Server, ...]:
    import dns.exception
    import dns.resolver

    try:
        servers = dns.resolver.Resolver().nameservers
    except dns.exception.DNSException:
        return ()
    return tuple((str(server), 53) for server in servers)


def _read(message: Message, kind: str) -> Answer:
    """What a message says of the name and type that it answers (RFC 1034, section 4.3.2)."""
    import dns.exception
    import dns.message
    import dns.rcode

    exists = message.rcode() != dns.rcode.NXDOMAIN
    if not isinstance(message, dns.message.QueryMessage):
        return UNKNOWN
    try:
        chain = message.resolve_chaining()
    except dns.exception.DNSException:  # an alias of itself, or an answer for no name
        return Answer("none", name_exists=exists)
    alias = _name(chain.canonical_name.to_text()) if chain.cnames else None
    if kind == "CNAME" and chain.answer is None and alias:
        return Answer("found", (f"{alias}.",), alias)
    if chain.answer is None:
        return Answer("none", alias=alias, name_exists=exists)
    return Answer("found", _values(chain.answer, kind), alias)


def _values(rrset: RRset, kind: str) -> tuple[str, ...]:
    texts = []
    for rdata in list(rrset)[:MAX_VALUES]:
        if kind == "TXT":
            text = b"".join(rdata.strings).decode("utf-8", "replace")
        else:
            text = rdata.to_text().lower()
        texts.append(printable(text))
    return tuple(sorted(texts))


def printable(text: str) -> str:
    """A stranger's text as one line that can be shown, cut where it is too long to be sensible."""
    line = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    return line if len(line) <= MAX_LENGTH else line[: MAX_LENGTH - 1] + "…"


def _name(text: str) -> str:
    return printable(text.rstrip(".").lower())


def _zone_of(message: Message) -> str | None:
    """The zone a name is in, by the SOA of an answer that there is nothing (RFC 2308)."""
    import dns.rdatatype

    for rrset in message.authority:
        if rrset.rdtype == dns.rdatatype.SOA:
            name = _name(rrset.name.to_text())
            return name if "." in name else None
    return None
