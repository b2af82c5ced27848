"""The records as texts to hand over."""

from __future__ import annotations

import dns.rdatatype
import dns.zone

from app.dns.proof import proof_record
from app.dns.records import Platform, Record, expected_records
from app.dns.zone_file import plain_text, zone_file

PLATFORM = Platform("mail.example", "_spf.example", "keys.example", "panel.example")
RECORDS = [*expected_records("xn--bcher-kva.nl", PLATFORM, []), proof_record("abc")]


def parsed(text: str, domain: str) -> set[tuple[str, str, str]]:
    """Names, types and data of a zone file, as dnspython reads it."""
    zone = dns.zone.from_text(text, f"{domain}.", relativize=False, check_origin=False)
    return {
        (name.to_text(omit_final_dot=True), dns.rdatatype.to_text(rdataset.rdtype), data.to_text())
        for name, rdataset in zone.iterate_rdatasets()
        for data in rdataset
    }


def test_it_works() -> None:
    domain = "xn--bcher-kva.nl"
    text = zone_file(domain, RECORDS)
    assert parsed(text, domain) == {
        (record.full_name(domain), record.type, record.data) for record in RECORDS
    }
    assert f"$ORIGIN {domain}.\n$TTL 300" in text
    assert all(f"; {record.why}\n" in text for record in RECORDS)


def test_a_long_text_is_several_strings_and_its_quotes_are_escaped() -> None:
    value = 'a"b\\c' + "x" * 600
    text = zone_file("example.nl", [Record("TXT", "@", value, "sending", "Why;\nwww A 192.0.2.1")])
    [(name, kind, data)] = parsed(text, "example.nl")
    assert (name, kind) == ("example.nl", "TXT")
    assert data.replace('" "', "")[1:-1] == 'a\\"b\\\\c' + "x" * 600


def test_a_mail_has_every_value_on_a_line_of_its_own() -> None:
    text = plain_text("example.nl", RECORDS)
    lines = [line.strip() for line in text.splitlines()]
    assert all(f"Value: {record.value}" in lines for record in RECORDS)
    assert "Name: _dmarc (that is _dmarc.example.nl)" in lines
    assert "Priority: 10" in lines
    assert max(map(len, text.splitlines())) <= 120
