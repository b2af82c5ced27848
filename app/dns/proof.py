"""Proof that a domain is somebody's own: a text in its zone that only they were told.

The domain's own name servers are authoritative. All of them that answer have to show it: one that
somebody else got hold of, or a resolver that was lied to, proves nothing while the others say
otherwise. The resolvers' word counts only where none of the own ones can be asked, such as from
behind a firewall. An alias may lead to the text, but one that stands for all names (RFC 4592) was
not made for it: whoever has what it leads to, mostly some hoster, does not have the domain.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from . import delegation, judge
from .lookup import Answer, Asking, Look, Run
from .records import Record

NAME = "_mailcote"
_PREFIX = "mailcote-verification="
_SILENT = "The name servers of {domain} did not answer. This is tried again by itself."
_WHY = "Proves that the domain is yours. It can be removed once the domain is linked."


@dataclass(frozen=True)
class Proof:
    """Whether the text is there; what was found in its place, and a sentence for a customer."""

    state: Literal["proven", "missing", "different", "unknown"]
    found: tuple[str, ...]
    sentence: str


def proof_record(token: str) -> Record:
    """The record that proves it."""
    return Record("TXT", NAME, f"{_PREFIX}{token}", "ownership", _WHY)


def look_for_proof(domain: str, token: str, asking: Asking) -> Proof:
    """Look for the text in the domain's zone. Takes `asking.seconds` at most."""
    look = Look.at_one_domain(Run(asking))
    where = delegation.find(look, domain)
    if where.status == "nowhere":
        return Proof("missing", (), f"{domain} is not registered, or has no name servers yet.")
    name = f"{NAME}.{domain}"
    answers = _answers(look, where, name)
    if not answers:
        return Proof("unknown", (), _SILENT.format(domain=domain))
    proof = _judged(name, token, answers)
    if proof.state == "proven" and any(answer.aliases for answer in answers):
        return _unless_of_all_names(look, where, domain, answers) or proof
    return proof


def _answers(look: Look, where: delegation.Delegation, name: str) -> list[Answer]:
    own = look.each(where.servers, name, "TXT")
    return own or [each for each in [look.public(name, "TXT")] if each.status != "failed"]


def _unless_of_all_names(
    look: Look, where: delegation.Delegation, domain: str, answers: Sequence[Answer]
) -> Proof | None:
    """What speaks against a proof that aliases lead to: a name that nobody made has them, too."""
    beside = f"{NAME}-{secrets.token_hex(8)}.{domain}"
    others = _answers(look, where, beside)
    if not others:
        return Proof("unknown", (), _SILENT.format(domain=domain))
    ours = {answer.aliases[0] for answer in answers if answer.aliases}
    if not any(each.aliases and each.aliases[0] in ours for each in others):
        return None
    sentence = (
        f"An alias (*.{domain}, or above it) leads to the text, as from any name. Add the record "
        f"itself at {NAME}.{domain}."
    )
    return Proof("missing", (), sentence)


def _judged(name: str, token: str, answers: Sequence[Answer]) -> Proof:
    wanted = proof_record(token).value
    showing = [answer for answer in answers if wanted in map(_bare, answer.values)]
    if len(showing) == len(answers):
        return Proof("proven", (wanted,), f"The text was found at {name}.")
    if showing:
        sentence = (
            f"{len(showing)} of {len(answers)} name servers show the text at {name}; the others "
            "follow, mostly within an hour. This is tried again by itself."
        )
        return Proof("missing", (wanted,), sentence)
    texts = dict.fromkeys(text for answer in answers for text in answer.values)
    ours = judge.shown(text for text in texts if _PREFIX in text or token in text)
    if ours:
        sentence = (
            f"There is another text at {name}: {ours[0]}. Replace it with the one shown here."
        )
        return Proof("different", ours, sentence)
    sentence = (
        f"There is no such text at {name} yet. Add the record at the provider of the domain; it "
        "can take an hour until it is seen."
    )
    return Proof("missing", judge.shown(texts), sentence)


def _bare(text: str) -> str:
    """A text without what some providers' forms keep around it."""
    return text.strip().strip('"')
