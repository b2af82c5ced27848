"""Talking to the name server that takes updates: by TCP, signed, and what stands in its zones.

An answer to what was signed that is not signed itself is not believed (RFC 8945, section 5.3).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataset
import dns.rdatatype
import dns.tsig
import dns.update
from dns.message import Message
from dns.name import Name
from dns.rcode import Rcode
from dns.rdata import Rdata
from dns.rdatatype import RdataType
from dns.update import UpdateMessage

from .provider import CannotUpdate

SECONDS = 5.0  # for one message
SECONDS_IN_ALL = 60.0  # for one zone: the lease of a job is longer

_WHY = {
    Rcode.REFUSED: "The name server refused to change the zone.",
    Rcode.NOTAUTH: "The name server is not in charge of the zone, or does not accept the key.",
    Rcode.NOTZONE: "The name server says that a name is not in the zone.",
    Rcode.SERVFAIL: "The name server could not change the zone now.",
    Rcode.NOTIMP: "The name server takes no updates.",
    Rcode.FORMERR: "The name server did not understand the update.",
}
_NOT_MET = {Rcode.YXDOMAIN, Rcode.YXRRSET, Rcode.NXDOMAIN, Rcode.NXRRSET}


class ChangedMeanwhile(Exception):
    """The zone is no longer as it was read: nothing was done."""


@dataclass(frozen=True)
class Entry:
    """A record as the DNS has it; the owner is absolute. Case makes no difference."""

    owner: Name
    data: Rdata

    @property
    def type(self) -> RdataType:
        """Its type."""
        kind: RdataType = self.data.rdtype
        return kind


@dataclass(frozen=True)
class Standing:
    """What stands in a zone: which of the names are in use, and the sets of what was asked for."""

    in_use: set[Name] = field(default_factory=set)
    sets: dict[tuple[Name, RdataType], dns.rdataset.Rdataset] = field(default_factory=dict)

    def of(self, owner: Name, kind: RdataType) -> list[Rdata]:
        """The data of a set, empty when there is none."""
        return list(self.sets.get((owner, kind), ()))

    def __contains__(self, entry: Entry) -> bool:
        return entry.data in self.of(entry.owner, entry.type)


@dataclass(frozen=True)
class Conversation:
    """With the server at an address and port; `key` is one of TSIG."""

    server: tuple[str, int]
    key: dns.tsig.Key = field(repr=False)
    ends_at: float = field(default_factory=lambda: time.monotonic() + SECONDS_IN_ALL)

    def zone_of(self, domain: str) -> Name:
        """The zone that a domain is in: its own, or that of a parent. Raises CannotUpdate."""
        domain_name = name = dns.name.from_text(domain)
        while len(name) > 2:  # labels, the root's empty one included: no zone of a whole country
            question = dns.message.make_query(name, RdataType.SOA, flags=0)
            answer = self._ask(question)
            is_authoritative = bool(answer.flags & dns.flags.AA)
            if is_authoritative and _set_in(answer.answer, name, RdataType.SOA):
                return name
            if not is_authoritative and any(
                each.rdtype == RdataType.NS and len(each.name) > 2 and name.is_subdomain(each.name)
                for each in answer.authority
            ):
                raise CannotUpdate(f"{_shown(name)} is the business of other name servers.")
            name = name.parent()
        raise CannotUpdate(f"The name server has no zone for {_shown(domain_name)}.")

    def read(self, zone: Name, wanted: Mapping[Name, set[RdataType]]) -> Standing:
        """What stands at these names, of these types and of aliases. Raises CannotUpdate."""
        found = Standing(in_use=self._in_use(zone, list(wanted)))
        for owner in found.in_use:
            for kind in wanted[owner] | {RdataType.CNAME}:
                answer = self._question(owner, kind)
                if answer.rcode() not in (Rcode.NOERROR, Rcode.NXDOMAIN):
                    _refuse(answer)
                if data := _set_in(answer.answer, owner, kind):
                    found.sets[owner, kind] = data
        return found

    def update(self, zone: Name) -> UpdateMessage:
        """An update of a zone, empty and signed."""
        return UpdateMessage(zone, keyring=self.key, keyalgorithm=self.key.algorithm)

    def send(self, message: UpdateMessage) -> None:
        """Have an update carried out. Raises ChangedMeanwhile, CannotUpdate."""
        answer = self._ask(message)
        if answer.rcode() not in {Rcode.NOERROR, *_NOT_MET}:
            _refuse(answer)
        if answer.rcode() != Rcode.NOERROR:
            raise ChangedMeanwhile

    def _in_use(self, zone: Name, owners: list[Name]) -> set[Name]:
        """Those of the names at which something stands.

        An ordinary question is also answered from a wildcard, which gives way to a record. So what
        seems to stand is asked for by an update that changes nothing: first for all of them at
        once, as there are few wildcards, and servers take their time for each update.
        """
        seem = [owner for owner in owners if owner != zone and self._seems_in_use(owner)]
        if not self._stands_at(zone, seem):
            seem = [owner for owner in seem if self._stands_at(zone, [owner])]
        return {*seem, *(owner for owner in owners if owner == zone)}

    def _seems_in_use(self, owner: Name) -> bool:
        answer = self._question(owner, RdataType.ANY)
        # One that answers with a part (RFC 8482) answers with something where something is.
        return bool(answer.answer) or answer.rcode() not in (Rcode.NOERROR, Rcode.NXDOMAIN)

    def _stands_at(self, zone: Name, owners: list[Name]) -> bool:
        """Whether something stands at each of the names (RFC 2136, section 2.4.4)."""
        message = self.update(zone)
        for owner in owners:
            message.present(owner)
        try:
            if owners:
                self.send(message)
        except ChangedMeanwhile:
            return False
        return True

    def _question(self, owner: Name, kind: RdataType) -> Message:
        question = dns.message.make_query(owner, kind, flags=0)
        question.use_tsig(self.key, algorithm=self.key.algorithm)
        return self._ask(question)

    def _ask(self, message: Message) -> Message:
        patience = min(SECONDS, self.ends_at - time.monotonic())
        address, port = self.server
        try:
            if patience <= 0:
                raise TimeoutError
            return dns.query.tcp(message, address, patience, port)
        except dns.tsig.PeerBadTime:
            raise CannotUpdate(
                "The name server's clock and the panel's are too far apart."
            ) from None
        except dns.tsig.PeerError:
            raise CannotUpdate("The name server does not accept the key for the zone.") from None
        except (OSError, EOFError, dns.exception.Timeout):
            raise CannotUpdate(
                "The name server that the zone is written to does not answer.", is_uncertain=True
            ) from None
        except (dns.exception.DNSException, ValueError):
            # Where we signed, dnspython refuses an answer that is not.
            raise CannotUpdate(
                "The name server's answer is not signed as it should be, or cannot be read.",
                is_uncertain=True,
            ) from None


def _set_in(
    section: list[dns.rrset.RRset], owner: Name, kind: RdataType
) -> dns.rdataset.Rdataset | None:
    for each in section:
        if each.name == owner and each.rdtype == kind:
            return each.to_rdataset()
    return None


def _refuse(answer: Message) -> NoReturn:
    code = answer.rcode()
    known = _WHY.get(code, f"The name server refused the update ({dns.rcode.to_text(code)}).")
    raise CannotUpdate(known)


def _shown(name: Name) -> str:
    return name.to_unicode(omit_final_dot=True)
