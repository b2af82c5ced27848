"""The proof that a domain is one's own: a TXT record with a text that was made for it.

It stands at a name of its own (RFC 8552), beside which nothing else is disturbed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .lookup import Answer, Asking, Inquiry
from .records import Record

_WHY = "Required: it proves that the domain is yours. It can go once the domain is linked."
_PREFIX = "mailcote-verification="


@dataclass(frozen=True)
class Proof:
    """What was found in place of the proof, in a sentence for who is to add it."""

    state: Literal["proven", "missing", "different", "unknown"]
    found: tuple[str, ...]
    sentence: str


def proof_record(token: str) -> Record:
    """The record that proves it."""
    return Record("TXT", "_mailcote", f"{_PREFIX}{token}", "ownership", _WHY)


def look_for_proof(domain: str, token: str, asking: Asking) -> Proof:
    """Look for it at the domain's own name servers, which decide.

    A resolver may still show what was there before, and can be lied to: it is believed only where
    no name server of the domain's own answers.
    """
    record = proof_record(token)
    inquiry = Inquiry(domain, asking)
    name = record.full_name(domain)
    said = inquiry.best(name, "TXT")
    if record.value in said.values:
        return Proof("proven", said.values, f"The record of {domain} is there.")
    if said.state == "unknown":
        return Proof("unknown", (), f"The name servers of {domain} do not answer just now.")
    if not inquiry.is_registered:
        return Proof("missing", (), f"{domain} is not in the DNS at all: is it registered?")
    ours = tuple(value for value in said.values if value.startswith(_PREFIX))
    if ours:
        sentence = f"The TXT record {name} is there, but with another text: copy it once more."
        return Proof("different", ours, sentence)
    return Proof("missing", said.values, _where_it_may_be(inquiry, name, record, said))


def _where_it_may_be(inquiry: Inquiry, name: str, record: Record, said: Answer) -> str:
    """Where people put it by mistake: at the domain itself, or with the domain twice."""
    domain = inquiry.domain
    if record.value in inquiry.best(domain, "TXT").values:
        return f"The text is at {domain} itself; its record has to be named {record.name}."
    if record.value in inquiry.best(f"{name}.{domain}", "TXT").values:
        return f"The record is named {name}.{domain}: enter only {record.name} as its name."
    if said.values:
        return f"There is a TXT record {name}, but with another text: copy it once more."
    return f"There is no TXT record {name} yet. A new one can take an hour to be seen."
