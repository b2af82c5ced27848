"""Reading what a name server sent, at a cost that no server can drive up.

A library that builds objects of all there is in a message takes most of a minute for one of 64 KiB
that was made to be slow. So only what was asked for is read, not more than so many records, and of
names not more than they may have (RFC 1035, sections 2.3.4 and 4.1).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

import dns.name
import dns.rcode
import dns.rdata
from dns.exception import DNSException
from dns.name import Name
from dns.rdataclass import IN
from dns.rdatatype import RdataType

MAX_CHAIN = 8  # aliases followed in one answer; resolvers give up at about as many
MAX_RECORDS = 256  # in an answer, all of its parts together
_MAX_LABELS = 128  # of a name: each has two octets at least, of 255
_AUTHORITATIVE, _TRUNCATED, _ANSWER, _OPCODE = 0x0400, 0x0200, 0x8000, 0x7800
# How many numbers of 16 bits stand before the name in the data of a type.
_BEFORE_NAME = {RdataType.CNAME: 0, RdataType.NS: 0, RdataType.MX: 1, RdataType.SRV: 3}
_OLDER_THAN_EDNS = ("FORMERR", "NOTIMP")


class Unreadable(Exception):
    """A message that is none, or has more in it than anybody needs."""


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


@dataclass(frozen=True)
class _Found:
    """A record that was read; `text` is its data."""

    owner: Name
    kind: int
    text: str = ""
    target: Name | None = None


def is_answer(message: bytes, question: bytes) -> bool:
    """Whether this is said to exactly this question; some leave it out of a refusal."""
    if len(message) < 12 or message[:2] != question[:2]:
        return False
    flags, asked = struct.unpack_from("!HH", message, 2)
    if not flags & _ANSWER or flags & _OPCODE:
        return False
    if not asked:
        return bool(flags & 15)
    end = _end_of_question(question)
    return asked == 1 and message[12:end].lower() == question[12:end].lower()


def is_truncated(message: bytes) -> bool:
    """Whether it says that there is more."""
    return bool(struct.unpack_from("!H", message, 2)[0] & _TRUNCATED)


def is_older_than_edns(message: bytes) -> bool:
    """Whether it may be asked again without the extensions of RFC 6891."""
    return _rcode(message) in _OLDER_THAN_EDNS


def read(message: bytes, question: bytes) -> Reply:
    """What an answer to this question says. Raises Unreadable."""
    try:
        return _read(message, question)
    except (DNSException, struct.error, IndexError, ValueError) as error:
        raise Unreadable from error


def _read(message: bytes, question: bytes) -> Reply:
    flags, asked, answers, authorities, additional = struct.unpack_from("!5H", message, 2)
    if answers + authorities + additional > MAX_RECORDS:
        raise Unreadable
    name, end = _name(question, 12)
    kind = RdataType(struct.unpack_from("!H", question, end)[0])
    at = _end_of_question(question) if asked else 12
    answer, at = _section(message, at, answers, {kind, RdataType.CNAME})
    authority, at = _section(message, at, authorities, {RdataType.NS, RdataType.SOA})
    _nothing, at = _section(message, at, additional, ())
    if at != len(message):  # rubbish does not say that there is nothing
        raise Unreadable
    owner, chain = _end_of_chain(answer, name, kind)
    soa = [one for one in authority if one.kind == RdataType.SOA]
    referral = [
        one.text for one in authority if one.kind == RdataType.NS and name.is_subdomain(one.owner)
    ]
    values = [one.text for one in answer if one.owner == owner and one.kind == kind]
    return Reply(
        rcode=_rcode(message),
        is_authoritative=bool(flags & _AUTHORITATIVE),
        values=tuple(dict.fromkeys(values)),
        aliases=tuple(chain),
        zone=_plain(soa[0].owner) if soa else None,
        referred=() if answers or soa else tuple(dict.fromkeys(referral)),
    )


def _rcode(message: bytes) -> str:
    return dns.rcode.to_text(dns.rcode.Rcode(message[3] & 15))


def _end_of_question(question: bytes) -> int:
    """Where the first question ends; its name is written out, as we do."""
    at = 12
    while length := question[at]:
        at += 1 + length
    return at + 5


def _section(
    message: bytes, at: int, count: int, kinds: Iterable[RdataType]
) -> tuple[list[_Found], int]:
    """The records of these types in a part of a message, and where the next part begins."""
    found = []
    for _ in range(count):
        owner, at = _name(message, at)
        kind, of_class, _ttl, length = struct.unpack_from("!HHIH", message, at)
        at += 10
        if at + length > len(message):
            raise Unreadable
        if of_class == IN and kind in kinds:  # of other classes anything can be sent
            found.append(_record(message, owner, RdataType(kind), at, length))
        at += length
    return found, at


def _record(message: bytes, owner: Name, kind: RdataType, at: int, length: int) -> _Found:
    if kind == RdataType.SOA:
        return _Found(owner, kind)
    if kind == RdataType.TXT:
        return _Found(owner, kind, _text(message[at : at + length]))
    if kind not in _BEFORE_NAME:
        data = dns.rdata.from_wire(IN, kind, message, at, length)
        return _Found(owner, kind, data.to_text().lower())
    numbers = struct.unpack_from(f"!{_BEFORE_NAME[kind]}H", message, at)
    target, end = _name(message, at + 2 * len(numbers))
    if end != at + length:
        raise Unreadable
    text = " ".join([*map(str, numbers), target.to_text().lower()])
    return _Found(owner, kind, text, target)


def _text(data: bytes) -> str:
    """The strings of a text, joined (RFC 7208, section 3.3)."""
    parts, at = [], 0
    while at < len(data):
        parts.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    if at != len(data):
        raise Unreadable
    return b"".join(parts).decode("utf-8", "replace")


def _name(message: bytes, at: int) -> tuple[Name, int]:
    """The name that begins here, and where what follows it does (RFC 1035, section 4.1.4)."""
    labels: list[bytes] = []
    end = 0
    for _ in range(2 * _MAX_LABELS):  # labels, and as many pointers
        length = message[at]
        if length >= 0xC0:
            end = end or at + 2
            at = struct.unpack_from("!H", message, at)[0] & 0x3FFF
        elif length >= 0x40:
            raise Unreadable
        else:
            labels.append(message[at + 1 : at + 1 + length])
            at += 1 + length
            if not length:
                return Name(labels), end or at
    raise Unreadable


def _end_of_chain(answer: Iterable[_Found], name: Name, kind: RdataType) -> tuple[Name, list[str]]:
    """Where the aliases in an answer lead, and through which names; loops end, too."""
    targets = {one.owner: one.target for one in answer if one.kind == RdataType.CNAME}
    chain: list[str] = []
    while kind != RdataType.CNAME and (target := targets.get(name)) and len(chain) < MAX_CHAIN:
        name = target
        chain.append(_plain(name))
    return name, chain


def _plain(name: Name) -> str:
    return name.to_text().lower().removesuffix(".")
