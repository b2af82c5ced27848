"""A domain's records to take elsewhere: as a zone file, and in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from .records import Record

TTL = 300  # so that a mistake is soon mended


def zone_file(domain: str, records: Sequence[Record]) -> str:
    """The records as a zone file to import (RFC 1035, section 5)."""
    lines = [f"; What {domain} needs for its mail.", f"$ORIGIN {domain}.", f"$TTL {TTL}"]
    for why, several in groupby(records, key=lambda record: record.why):
        lines += ["", f"; {why}"]
        lines += [f"{record.name}\tIN\t{record.type}\t{record.data}" for record in several]
    return "\n".join(lines) + "\n"


def plain_text(domain: str, records: Sequence[Record]) -> str:
    """The records for whoever looks after the domain, to be read by a person."""
    lines = [f"Please add these records to the DNS of {domain}:"]
    for record in records:
        lines += ["", f"Type: {record.type}", f"Name: {record.name} ({record.full_name(domain)})"]
        if record.priority is not None:
            lines.append(f"Priority: {record.priority}")
        lines += [f"Value: {record.value}", record.why]
    return "\n".join(lines) + "\n"
