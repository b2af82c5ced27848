"""One question to one name server, and what of its answer counts.

Whatever a server sends, this ends in time with a Reply, or with Silent or Unusable. Only this
module needs dnspython's messages, which take a tenth of a second to load: who asks imports it then.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

Server = tuple[str, int]

MAX_CHAIN = 8  # aliases followed in one answer; resolvers give up at about as many
# What fits a packet on every path: the recommendation of the DNS flag day 2020.
_PAYLOAD = 1232


class Silent(Exception):
    """No answer came in time."""


class Unusable(Exception):
    """An answer that cannot be read, or nobody there to give one."""


@dataclass(frozen=True)
class Reply:
    """What a server said. `values` are as in a zone file, in lower case but for texts.

    `aliases` are the names that a chain of CNAMEs led through, `zone` is whose SOA record came with
    the answer that there is nothing, `referred` are the name servers it sends elsewhere to.
    """

    rcode: str
    is_authoritative: bool
    values: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    zone: str | None = None
    referred: tuple[str, ...] = ()


def ask(server: Server, name: str, kind: str, seconds: float, *, recursive: bool) -> Reply:
    """Ask a server, over TCP too where the answer does not fit a packet. Raises Silent, Unusable.

    `recursive` asks a resolver to find out; a domain's own name servers know.
    """
    end = time.monotonic() + seconds
    try:
        flags = int(dns.flags.RD) if recursive else 0
        query = dns.message.make_query(name, kind, payload=_PAYLOAD, flags=flags)
        message = _exchange(query, server, seconds)
        if message.rcode() in (dns.rcode.FORMERR, dns.rcode.NOTIMP):  # older than EDNS (RFC 6891)
            query = dns.message.make_query(name, kind, flags=flags)
            message = _exchange(query, server, max(end - time.monotonic(), 0.01))
        return _read(message, query.question[0])
    except dns.exception.Timeout as error:
        raise Silent from error
    except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
        raise Unusable from error


def _exchange(query: dns.message.Message, server: Server, seconds: float) -> dns.message.Message:
    """The answer to exactly this question, from exactly this server (dnspython compares them)."""
    end = time.monotonic() + seconds
    address, port = server
    try:
        return dns.query.udp(
            query,
            address,
            seconds,
            port,
            ignore_unexpected=True,
            ignore_errors=True,
            raise_on_truncation=True,
        )
    except dns.message.Truncated:
        message = dns.query.tcp(query, address, max(end - time.monotonic(), 0.01), port)
        if message.flags & dns.flags.TC:  # more than 64 KiB
            raise Unusable from None
        return message


def _read(message: dns.message.Message, question: dns.rrset.RRset) -> Reply:
    # Of other classes than the internet's anything can be sent.
    answer = [rrset for rrset in message.answer if rrset.rdclass == question.rdclass]
    authority = [rrset for rrset in message.authority if rrset.rdclass == question.rdclass]
    owner, chain = _end_of_chain(answer, question.name, question.rdtype)
    values = [
        _text(rdata)
        for rrset in answer
        if rrset.name == owner and rrset.rdtype == question.rdtype
        for rdata in rrset
    ]
    soa = [rrset for rrset in authority if rrset.rdtype == dns.rdatatype.SOA]
    referral = [
        _text(rdata)
        for rrset in authority
        if rrset.rdtype == dns.rdatatype.NS and question.name.is_subdomain(rrset.name)
        for rdata in rrset
    ]
    return Reply(
        rcode=dns.rcode.to_text(message.rcode()),
        is_authoritative=bool(message.flags & dns.flags.AA),
        values=tuple(values),
        aliases=tuple(chain),
        zone=_plain(soa[0].name) if soa else None,
        referred=() if message.answer or soa else tuple(referral),
    )


def _end_of_chain(
    answer: Sequence[dns.rrset.RRset], name: dns.name.Name, kind: int
) -> tuple[dns.name.Name, list[str]]:
    """Where the aliases in an answer lead, and through which names; loops end, too."""
    targets = {
        rrset.name: rrset[0].target for rrset in answer if rrset.rdtype == dns.rdatatype.CNAME
    }
    chain: list[str] = []
    while kind != dns.rdatatype.CNAME and name in targets and len(chain) < MAX_CHAIN:
        name = targets[name]
        chain.append(_plain(name))
    return name, chain


def _text(rdata: dns.rdata.Rdata) -> str:
    """A record's data: a text's strings joined (RFC 7208, section 3.3), all else in lower case."""
    if rdata.rdtype == dns.rdatatype.TXT:
        return b"".join(rdata.strings).decode("utf-8", "replace")  # type: ignore[attr-defined]
    return rdata.to_text().lower()


def _plain(name: dns.name.Name) -> str:
    return name.to_text().lower().removesuffix(".")
