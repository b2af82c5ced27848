"""A domain's records as texts to hand over: a zone file, and what goes into a mail."""

from __future__ import annotations

from collections.abc import Sequence

from .records import Record

_TTL = 300  # seconds: a mistake is mended soon; it can be raised once mail works
_WIDTH = 255  # octets of one string in a text (RFC 1035, section 3.3)


def zone_file(domain: str, records: Sequence[Record]) -> str:
    """Lines to add to the domain's zone file (RFC 1035, section 5.1), with why before each."""
    lines = [
        f"; What {domain} needs for its mail. Lines to add to its zone; of MX records and of the",
        "; text that begins with v=spf1, they replace what is there.",
        f"$ORIGIN {domain}.",
        f"$TTL {_TTL} ; raise it once everything works",
    ]
    for record in records:
        lines += [
            "",
            f"; {_one_line(record.why)}",
            f"{record.name} IN {record.type} {data(record)}",
        ]
    return "\n".join([*lines, ""])


def plain_text(domain: str, records: Sequence[Record]) -> str:
    """The records for whoever looks after the website, to be read and copied from a mail."""
    lines = [f"Please add these records to the DNS of {domain}."]
    for number, record in enumerate(records, 1):
        lines += [
            "",
            f"{number}. {record.type}: {_one_line(record.why)}",
            f"   Name: {record.name} (that is {record.full_name(domain)})",
        ]
        if record.priority is not None:
            lines.append(f"   Priority: {record.priority}")
        lines.append(f"   Value: {record.value}")
    lines += [
        "",
        "“@” is the domain itself; some providers want that name left empty. Values that end with",
        "a dot are complete names; leave the dot out where it is not accepted. There must be no",
        "other MX records, and no second text that begins with v=spf1.",
        "",
    ]
    return "\n".join(lines)


def data(record: Record) -> str:
    """The record's data in a zone file: long texts in several strings, quotes escaped."""
    if record.type != "TXT":
        return record.data
    parts = [record.value[at : at + _WIDTH] for at in range(0, len(record.value), _WIDTH)]
    return " ".join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts)


def _one_line(text: str) -> str:
    return " ".join(text.split())
