"""Writing a domain's records into its zone, and taking them back: RFC 2136 signed with TSIG.

Nothing is touched that was not written here. What stands in a zone is read first; the update says
what it relies on (section 2.4), so that what somebody changes meanwhile makes it fail rather than
be lost; and what has become of it is read again, since a server ignores silently what does not fit
beside an alias (section 3.4.2.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..config import Settings
from . import spf
from .records import Record

# Loaded by whoever writes first, as in `lookup`.
if TYPE_CHECKING:
    from dns.message import Message
    from dns.update import UpdateMessage

TTL, SECONDS = 3600, 5.0


class CannotUpdate(Exception):
    """Why a zone could not be written, in a sentence for a page; without any secret."""


@dataclass(frozen=True)
class Kept:
    """A record in a zone: its full name without a final dot, and its data as in a zone file."""

    owner: str
    type: str
    value: str


@dataclass(frozen=True)
class Change:
    """What is to be done to a zone: `add` and `drop`. What is there by our doing already is `kept`;
    what is left alone because of something of somebody else's is said in sentences."""

    zone: str
    add: list[Kept]
    drop: list[Kept]
    kept: list[Kept]
    left_alone: list[str]


class Provider(Protocol):
    """Whoever writes zones. Both raise CannotUpdate, and can be tried again then."""

    def prepare(self, domain: str, records: Sequence[Record], written: Sequence[Kept]) -> Change:
        """Find out what has to be done to have these records in the zone in place of what was
        written before. What that was has to be kept by the caller, before it is applied."""
        ...

    def apply(self, change: Change) -> None:
        """Do it, all at once or not at all."""
        ...


@dataclass(frozen=True)
class Rfc2136:
    """A name server that takes dynamic updates, by address and port, and the key to sign with."""

    server: tuple[str, int]
    algorithm: str
    key_name: str
    secret: str

    @classmethod
    def of(cls, settings: Settings) -> Rfc2136 | None:
        """As the settings say, None where they name no server or no key."""
        if not settings.dns_update_server or not settings.dns_update_key:
            return None
        return cls(settings.dns_update_server[0], *settings.dns_update_key.split(":", 2))

    def prepare(self, domain: str, records: Sequence[Record], written: Sequence[Kept]) -> Change:
        """See Provider."""
        wanted = {_kept(domain, record): record for record in records}
        ours = set(written)
        drop = [one for one in written if one not in wanted and self._is_there(one)]
        change = Change("" if not wanted and not drop else self._zone(domain), [], drop, [], [])
        for one, record in wanted.items():
            there = self._there(one.owner, record.type)
            if one.value in there:
                if one in ours:
                    change.kept.append(one)
            elif reason := self._obstacle(domain, record, there, ours, wanted):
                change.left_alone.append(reason)
            else:
                change.add.append(one)
        return change

    def apply(self, change: Change) -> None:
        """See Provider."""
        if change.add or change.drop:
            self._update(change.zone, change.add, change.drop)
        for one in (*change.add, *change.drop):
            if self._is_there(one) != (one in change.add):
                raise CannotUpdate("The name server took the update, but did not follow it.")

    def _obstacle(
        self,
        domain: str,
        record: Record,
        there: Sequence[str],
        ours: set[Kept],
        wanted: Iterable[Kept],
    ) -> str | None:
        """What of somebody else's keeps a record from being written."""
        owner = record.full_name(domain)
        others = [
            value
            for value in there
            if Kept(owner, record.type, value) not in ours
            and Kept(owner, record.type, value) not in wanted
        ]
        if record.type == "MX" and others:
            return f"{owner} has other MX records: remove them, if mail is to come here."
        if record.type == "TXT":
            kind = record.value.split()[0].rstrip(";").lower()
            if any(value.strip('"').lower().startswith(kind) for value in others):
                which = "SPF" if spf.is_spf(record.value) else "DMARC"
                return f"{owner} has its {which} record already: two of them void each other."
        if record.type == "SRV" and others:
            return f"{owner} has another SRV record."
        if record.type == "CNAME" and (others or self._has_anything(owner)):
            return f"{owner} is in use for something else."
        if record.type != "CNAME" and self._there(owner, "CNAME"):
            return f"{owner} is an alias of another name, beside which nothing can stand."
        return None

    def _has_anything(self, owner: str) -> bool:
        return any(self._there(owner, kind) for kind in ("CNAME", "A", "AAAA", "TXT", "MX"))

    def _is_there(self, one: Kept) -> bool:
        return one.value in self._there(one.owner, one.type)

    def _there(self, owner: str, kind: str) -> list[str]:
        """What stands at a name, of this type exactly."""
        import dns.rdatatype

        message = self._ask(owner, kind)
        wanted = dns.rdatatype.from_text(kind)
        return [
            _data(kind, rdata)
            for rrset in message.answer
            if rrset.rdtype == wanted
            for rdata in rrset
        ]

    def _zone(self, domain: str) -> str:
        """The zone on that server that holds a domain: its own, or one above it."""
        import dns.rdatatype

        message = self._ask(domain, "SOA")
        for rrset in [*message.answer, *message.authority]:
            zone = rrset.name.to_text().rstrip(".")
            if rrset.rdtype == dns.rdatatype.SOA and f".{domain}".endswith(f".{zone}") and zone:
                return zone
        raise CannotUpdate(f"The name server has no zone for {domain}.")

    def _ask(self, name: str, kind: str) -> Message:
        import dns.flags
        import dns.message

        query = dns.message.make_query(name, kind)
        query.flags &= ~dns.flags.RD
        return self._exchange(query)

    def _update(self, zone: str, add: Sequence[Kept], drop: Sequence[Kept]) -> None:
        import dns.update

        update = dns.update.UpdateMessage(zone)
        for one in add:
            self._rely_on(update, one)
        for one in drop:
            update.delete(f"{one.owner}.", one.type, one.value)
        for one in add:
            update.add(f"{one.owner}.", TTL, one.type, one.value)
        self._exchange(update)

    def _rely_on(self, update: UpdateMessage, one: Kept) -> None:
        """That nothing has come to stand in the way since it was looked at."""
        if one.type == "CNAME":
            update.absent(f"{one.owner}.")
        elif one.type == "MX":
            there = self._there(one.owner, one.type)
            if there:
                update.present(f"{one.owner}.", one.type, *there)
            else:
                update.absent(f"{one.owner}.", one.type)

    def _exchange(self, message: Message) -> Message:
        import dns.exception
        import dns.name
        import dns.query
        import dns.rcode
        import dns.tsig

        key = dns.tsig.Key(self.key_name, self.secret, f"{self.algorithm}.")
        message.use_tsig(key)
        address, port = self.server
        try:
            answer = dns.query.tcp(message, address, SECONDS, port)
        except dns.tsig.PeerError as error:
            raise CannotUpdate(f"The name server refuses the key ({_word(error)}).") from None
        except dns.exception.FormError:
            raise CannotUpdate(
                "The name server does not sign its answer: has it a zone for this domain, and the "
                "key?"
            ) from None
        except (dns.exception.DNSException, OSError, EOFError) as error:
            raise CannotUpdate(f"The name server does not answer ({_word(error)}).") from None
        code = answer.rcode()
        if code in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) or (
            code == dns.rcode.REFUSED and not _is_update(message)
        ):
            return answer
        raise CannotUpdate(_REFUSALS.get(code.name, f"The name server answered {code.name}."))


_REFUSALS = {
    "REFUSED": "The name server refuses the update: may this key write this zone?",
    "NOTAUTH": "The name server refuses the key, or is not in charge of this zone.",
    "NOTZONE": "The name server says that the name is not in its zone.",
    "NXRRSET": "Somebody changed the zone at the same time.",
    "YXRRSET": "Somebody changed the zone at the same time.",
    "YXDOMAIN": "Somebody changed the zone at the same time.",
    "SERVFAIL": "The name server could not do it.",
}


def _word(error: Exception) -> str:
    """The kind of an error: its text may repeat what it is about."""
    return type(error).__name__


def _is_update(message: Message) -> bool:
    import dns.opcode

    return message.opcode() == dns.opcode.UPDATE


def _kept(domain: str, record: Record) -> Kept:
    return Kept(record.full_name(domain), record.type, record.data)


def _data(kind: str, rdata: object) -> str:
    """As Record.data has it: a text whose strings are joined, anything else in lower case."""
    if kind == "TXT":
        return '"' + b"".join(rdata.strings).decode("utf-8", "replace") + '"'  # type: ignore[attr-defined]
    return str(rdata).lower()
