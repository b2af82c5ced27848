"""Writing a domain's records into its zone, and taking them back, by dynamic update (RFC 2136).

Nothing is touched that was not written here. What stands is read first; one message then takes away
what is no longer expected and adds what is absent, on condition that the zone is still as it was
read (RFC 2136, section 2.4); and what stands afterwards is read again, since a server passes over
in silence what it cannot add (section 3.4.2.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import dns.exception
import dns.name
import dns.rdata
import dns.tsig
from dns.name import Name
from dns.rdataclass import IN
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.TXT import TXT
from dns.update import UpdateMessage

from ..config import Settings
from .conversation import ChangedMeanwhile, Conversation, Entry, Standing
from .plans import Plan, plan, same_at
from .provider import CannotUpdate, Kept, Written
from .records import Record

TTL = 3600  # seconds, where nothing of the kind stands: a node that moves is found within the hour
_TRIES = 2


@dataclass(frozen=True)
class Rfc2136:
    """A name server that takes updates signed with a key."""

    server: tuple[str, int]
    key: dns.tsig.Key = field(repr=False)

    @classmethod
    def of(cls, settings: Settings) -> Rfc2136 | None:
        """The one of the settings, None where none is set."""
        if not settings.dns_update_server or not settings.dns_update_key:
            return None
        algorithm, name, secret = settings.dns_update_key.split(":")
        key = dns.tsig.Key(dns.name.from_text(name), secret, dns.name.from_text(algorithm))
        return cls(settings.dns_update_server[0], key)

    def put(
        self,
        domain: str,
        records: Sequence[Record],
        written: Sequence[Kept] = (),
        *,
        intend: Callable[[list[Kept]], None] = lambda _adding: None,
    ) -> Written:
        """Let these records stand in the domain's zone. Raises CannotUpdate."""
        talk = Conversation(self.server, self.key)
        zone = talk.zone_of(domain)
        expected, impossible = _entries(domain, records)
        own = [_entry(one) for one in written]
        concerned = [*own, *(entry for _record, entry in expected)]
        for _ in range(_TRIES):
            before = _read(talk, zone, concerned)
            planned = plan(expected, set(own), before)
            intend([_kept(entry) for _record, entry in planned.add])
            try:
                _carry_out(talk, zone, planned, before)
                after = _read_again(talk, zone, concerned)
            except ChangedMeanwhile:
                continue
            return _told(planned, own, after, impossible)
        raise CannotUpdate("Somebody else is changing the zone at this moment.")

    def take_back(self, domain: str, written: Sequence[Kept]) -> list[Kept]:
        """Remove just these records; those that are gone now. Raises CannotUpdate."""
        if not written:
            return []
        talk = Conversation(self.server, self.key)
        zone = talk.zone_of(domain)
        own = {_entry(one): one for one in written}
        before = _read(talk, zone, own)
        planned = Plan(add=[], delete=[entry for entry in own if entry in before], left_alone=[])
        _carry_out(talk, zone, planned, before)
        after = _read_again(talk, zone, own)
        return [one for entry, one in own.items() if entry not in after]


def as_kept(domain: str, records: Sequence[Record]) -> set[Kept]:
    """The records as they are kept once they are written."""
    found, _impossible = _entries(domain, records)
    return {_kept(entry) for _record, entry in found}


def _carry_out(talk: Conversation, zone: Name, planned: Plan, before: Standing) -> None:
    """One message, or none where nothing is to be done. Raises ChangedMeanwhile, CannotUpdate."""
    if not planned.add and not planned.delete:
        return
    message = talk.update(zone)
    adding = [entry for _record, entry in planned.add]
    for owner, kind in dict.fromkeys((entry.owner, entry.type) for entry in adding):
        _require(message, owner, kind, before)
    for entry in planned.delete:  # first: an alias can only be added where nothing else stands
        message.delete(entry.owner, entry.data)
    for entry in adding:
        # All of a set have one TTL (RFC 2181, section 5.2): ours follows what others chose.
        there = before.sets.get((entry.owner, entry.type))
        message.add(entry.owner, there.ttl if there else TTL, entry.data)
    talk.send(message)


def _require(message: UpdateMessage, owner: Name, kind: RdataType, before: Standing) -> None:
    """Carry it out only while this set, and aliases in its way, are as they were read."""
    if owner not in before.in_use:
        message.absent(owner)
        return
    for each in {kind, RdataType.CNAME}:
        if data := before.of(owner, each):
            message.present(owner, *data)
        else:
            message.absent(owner, each)


def _read(talk: Conversation, zone: Name, entries: Iterable[Entry]) -> Standing:
    wanted: dict[Name, set[RdataType]] = {}
    for entry in entries:
        wanted.setdefault(entry.owner, set()).add(entry.type)
    return talk.read(zone, wanted)


def _read_again(talk: Conversation, zone: Name, entries: Iterable[Entry]) -> Standing:
    """What stands after an update: who cannot see it does not know what was done."""
    try:
        return _read(talk, zone, entries)
    except CannotUpdate as error:
        raise CannotUpdate(str(error), is_uncertain=True) from None


def _told(
    planned: Plan, own: list[Entry], after: Standing, left_alone: list[tuple[Record, str]]
) -> Written:
    if any(entry in after for entry in planned.delete):
        raise CannotUpdate(
            "The name server took the update, but did not carry it out.", is_uncertain=True
        )
    ours = dict.fromkeys([*own, *(entry for _record, entry in planned.add)])
    silent = [
        (record, "The name server took the record, but it does not stand there.")
        for record, entry in planned.add
        if not same_at(entry, after)
    ]
    kept = [_kept(entry) for entry in ours if entry in after]
    return Written(kept, [*left_alone, *planned.left_alone, *silent])


def _entries(
    domain: str, records: Sequence[Record]
) -> tuple[list[tuple[Record, Entry]], list[tuple[Record, str]]]:
    """The records as the DNS has them, and those that it cannot have: their names are too long."""
    found, impossible = [], []
    for record in records:
        try:
            owner = dns.name.from_text(record.full_name(domain))
            found.append((record, Entry(owner, _data(record))))
        except dns.exception.DNSException:
            impossible.append((record, "The name or value is too long for the DNS."))
    return found, impossible


def _data(record: Record) -> dns.rdata.Rdata:
    if record.type != "TXT":
        return dns.rdata.from_text(IN, record.type, record.data)
    text = record.value.encode()  # in strings of at most 255 octets (RFC 1035, section 3.3)
    parts = [text[start : start + 255] for start in range(0, len(text), 255)]
    return TXT(IN, RdataType.TXT, parts)


def _entry(kept: Kept) -> Entry:
    owner = dns.name.from_text(kept.owner)
    return Entry(owner, dns.rdata.from_text(IN, kept.type, kept.value))


def _kept(entry: Entry) -> Kept:
    owner = entry.owner.to_text(omit_final_dot=True)
    return Kept(owner, entry.type.name, entry.data.to_text())
