"""What to add to a zone, what to take away, and what to leave to those who put it there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dns.rdata import Rdata
from dns.rdatatype import RdataType
from dns.rdtypes.txtbase import TXTBase

from .conversation import Entry, Standing
from .records import Record

_TAG = re.compile(rb"\s*(v\s*=\s*[a-z0-9]+)(?:[\s;]|\Z)", re.IGNORECASE)


@dataclass(frozen=True)
class Plan:
    """Entries to add and to delete, and the records not written, each with a sentence why."""

    add: list[tuple[Record, Entry]]
    delete: list[Entry]
    left_alone: list[tuple[Record, str]]


def plan(expected: Sequence[tuple[Record, Entry]], own: set[Entry], standing: Standing) -> Plan:
    """What makes the expected entries stand, without touching what is not among our `own`."""
    ours = {entry for entry in own if entry in standing}
    wanted = {entry for _record, entry in expected}
    planned = Plan(add=[], delete=sorted(ours - wanted, key=_order), left_alone=[])
    for record, entry in expected:
        if same_at(entry, standing):
            continue
        if why := _in_the_way(entry, ours, wanted, standing):
            planned.left_alone.append((record, why))
        else:
            planned.add.append((record, entry))
    return planned


def same_at(entry: Entry, standing: Standing) -> bool:
    """Whether what the entry says stands there, however its text is divided into strings."""
    return _said(entry.data) in map(_said, standing.of(entry.owner, entry.type))


def _in_the_way(entry: Entry, ours: set[Entry], wanted: set[Entry], standing: Standing) -> str:
    """Why somebody else's records keep this one out; empty where nothing does.

    Where one of ours of the same kind stands already, the zone is ours to keep up to date.
    """
    name = entry.owner.to_unicode(omit_final_dot=True)
    aliases = {Entry(entry.owner, data) for data in standing.of(entry.owner, RdataType.CNAME)}
    if entry.type == RdataType.CNAME:
        is_free = entry.owner not in standing.in_use or (aliases and aliases <= ours)
        return "" if is_free else f"Something else stands at {name}, where an alias must be alone."
    if aliases - ours:
        return f"{name} is an alias, beside which nothing can stand."
    alike = {
        Entry(entry.owner, data)
        for data in standing.of(entry.owner, entry.type)
        if _kind(data) == _kind(entry.data)
    }
    if alike & ours or alike <= wanted:
        return ""
    return _sentence(entry, name)


def _sentence(entry: Entry, name: str) -> str:
    if entry.type == RdataType.MX:
        return f"Mail for {name} goes to other servers (MX): remove those first."
    if entry.type == RdataType.SRV:
        return f"{name} names another server (SRV)."
    tag = _kind(entry.data).decode("ascii", "replace")
    if tag == "v=spf1":
        return (
            f"{name} has an SPF record of its own, and a second one makes both void: merge them "
            "into one."
        )
    return f"{name} has another record that begins with {tag}, and a second one makes both void."


def _kind(data: Rdata) -> bytes:
    """What only one of can stand at a name: of texts those with the same tag, else all."""
    if not isinstance(data, TXTBase):
        return b""
    text = b"".join(data.strings)
    found = _TAG.match(text)
    return b"".join(found[1].split()).lower() if found else text


def _said(data: Rdata) -> object:
    return b"".join(data.strings) if isinstance(data, TXTBase) else data


def _order(entry: Entry) -> tuple[str, str]:
    return str(entry.owner), str(entry.data)
