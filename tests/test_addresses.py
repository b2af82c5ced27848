"""Domain names and addresses: what is accepted, what is stored, what is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.addresses import (
    MAX_ADDRESS,
    MAX_DOMAIN,
    MAX_LOCAL_PART,
    domain_in_unicode,
    parse_address,
    parse_contact,
    parse_domain,
)
from app.errors import Invalid

# What a node's agent accepts of the export; written out here, not taken from the code.
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
NODE_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}")
NODE_LOCAL_PART = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")

LONGEST_LABEL = "a" * 63
LONGEST_DOMAIN = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("example.nl", "example.nl"),
        ("EXAMPLE.Nl", "example.nl"),
        ("example.nl.", "example.nl"),
        ("sub.example.nl", "sub.example.nl"),
        ("a-b.nl", "a-b.nl"),
        ("0.example", "0.example"),
        ("1.2.3.com", "1.2.3.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("faß.de", "xn--fa-hia.de"),  # IDNA 2003 would make it fass.de, which is somebody else's
        ("\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45.nl", "example.nl"),
        ("example\uff0enl", "example.nl"),
        ("example\u3002nl\uff61", "example.nl"),
        ("exam\u00adple.nl", "example.nl"),
        ("①.nl", "1.nl"),
        ("ex\u0430mple.nl", "xn--exmple-4nf.nl"),  # with a Cyrillic a: another name altogether
        ("नेपाल.संगठन", "xn--l2bey1c2b.xn--i1b6b1a6a2e"),
        (f"{LONGEST_LABEL}.nl", f"{LONGEST_LABEL}.nl"),
        (LONGEST_DOMAIN, LONGEST_DOMAIN),
        (f"{LONGEST_DOMAIN}.", LONGEST_DOMAIN),
    ],
)
def test_a_domain_is_stored_in_one_form(typed: str, stored: str) -> None:
    assert parse_domain(typed) == stored
    assert parse_domain(stored) == stored


@pytest.mark.parametrize(
    "typed",
    [
        "", ".", "..", "nl", "localhost", "1.2.3.4", "1.2.3.\uff14", "[1.2.3.4]", "[::1]",
        "example.123", "a_b.nl", "-a.nl", "a-.nl", "a..nl", ".example.nl", "example.nl..",
        "example.nl.\uff0e",
        "xn--a.nl", "xn--.nl", "ab--cd.nl", "\u200dexample.nl", "exa mple.nl", " example.nl",
        "example.nl ", "example.nl\n", "\texample.nl", "example.nl\u3000", "exa\0mple.nl", "%.nl",
        "example.nl/x", "example.nl:25", "user@example.nl", "*.nl", "a,b.nl", "\ud800.nl",
        "😀" * 100 + ".nl", "a" * 64 + ".nl", LONGEST_DOMAIN + "d", "a." * 127 + "nl", "a" * 100000,
    ],
)  # fmt: skip
def test_it_rejects_what_is_no_mail_domain(typed: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_domain(typed)
    assert refusal.value.message.endswith((".", ";"))
    assert len(typed) < 8 or typed not in refusal.value.message


def test_the_longest_domain_has_253_octets() -> None:
    assert len(LONGEST_DOMAIN) == MAX_DOMAIN == 253


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("info@example.nl", "info@example.nl"),
        ("INFO@Example.NL", "info@example.nl"),
        ("info@example.nl.", "info@example.nl"),
        ("a@bücher.example", "a@xn--bcher-kva.example"),
        ("a.b-c_d@example.nl", "a.b-c_d@example.nl"),
        ("a--b__c-._d@example.nl", "a--b__c-._d@example.nl"),
        ("0@example.nl", "0@example.nl"),
        ("postmaster@example.nl", "postmaster@example.nl"),
        ("abuse@example.nl", "abuse@example.nl"),
        ("root@example.nl", "root@example.nl"),
        ("mailer-daemon@example.nl", "mailer-daemon@example.nl"),
        ("hostmaster@example.nl", "hostmaster@example.nl"),
        ("a" * 64 + "@example.nl", "a" * 64 + "@example.nl"),
    ],
)
def test_an_address_is_stored_in_one_form(typed: str, stored: str) -> None:
    assert str(parse_address(typed)) == stored
    assert str(parse_address(stored)) == stored


@pytest.mark.parametrize(
    "local_part",
    [
        "", '"q s"', '"a"', "a:b", "a\nb", "a\rb", "a\tb", "a\0b", "a/b", ".", "..", "../../x",
        ".a", "a.", "a..b", "-a", "a-", "_a", "a_", "#a", "%d", "%{env:PATH}", "$a", "*", "a,b",
        "a\\b",
        "`id`", "a b", " a", "a ", "é", "\u0430", "a=b", "a&b", "a'b", "a|b", "a;b", "a{b}", "a~b",
        "a!b", "a?b", "a^b", "a@b", "@", "(a)", "<a>", "[a]", "\u212a", "\uff41", "a\u00ad",
        "a\ud800",
        "a" * 65, "a" * 100000,
    ],
)  # fmt: skip
def test_it_rejects_what_names_no_mailbox(local_part: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_address(f"{local_part}@example.nl")
    assert len(local_part) < 4 or local_part not in refusal.value.message


@pytest.mark.parametrize(
    "typed",
    [
        "", "@", "a", "a@", "@example.nl", "example.nl", "a@nl", "a@localhost", "a@1.2.3.4",
        "a@[1.2.3.4]", " a@example.nl", "a@example.nl ", "a@example.nl\n", "a@example.nl..",
        "a@ example.nl", "a\uff20example.nl", "a@@example.nl", "a@b@example.nl",
    ],
)  # fmt: skip
def test_it_rejects_what_is_no_address(typed: str) -> None:
    with pytest.raises(Invalid):
        parse_address(typed)


def test_a_plus_is_refused_with_the_way_it_works() -> None:
    with pytest.raises(Invalid, match="arrives in name@"):
        parse_address("info+news@example.nl")


def test_an_address_has_at_most_254_characters() -> None:
    domain = ".".join(["a" * 63, "b" * 63, "c" * 63])
    assert len(str(parse_address("x" * 62 + "@" + domain))) == MAX_ADDRESS == 254
    with pytest.raises(Invalid, match="at most 254"):
        parse_address("x" * 63 + "@" + domain)


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("Anna+Panel@Example.NL", "anna+panel@example.nl"),
        ("o'neil@bücher.example", "o'neil@xn--bcher-kva.example"),
        ("a" * 64 + "@example.nl", "a" * 64 + "@example.nl"),
    ],
)
def test_a_contact_may_have_any_mailbox_name(typed: str, stored: str) -> None:
    assert parse_contact(typed) == stored
    assert parse_contact(stored) == stored


@pytest.mark.parametrize(
    "typed", ["", "a", "@b.nl", "a@", "a b@c.nl", '"a"@c.nl', ".a@c.nl", "a..b@c.nl", "é@c.nl",
              "a@b@c.nl", "a\n@c.nl", " a@c.nl", "a@c", "a" * 65 + "@c.nl", "a\0@c.nl"],
)  # fmt: skip
def test_it_rejects_what_nobody_can_be_written_to(typed: str) -> None:
    with pytest.raises(Invalid):
        parse_contact(typed)


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("example.nl", "example.nl"),
        ("xn--fa-hia.de", "faß.de"),
        ("sub.xn--bcher-kva.example", "sub.bücher.example"),
    ],
)
def test_a_domain_is_shown_as_people_write_it(stored: str, shown: str) -> None:
    assert domain_in_unicode(stored) == shown
    assert parse_domain(shown) == stored


# Text that is likely to be taken for a name, and any text at all.
_likely = st.text("aZ09éßİ\u0660\u0661.-_@+ \u00ad\u200d\u3002\uff0exn", max_size=40)
_names = st.one_of(_likely, st.text(max_size=40))


@given(_names | st.builds("{}.{}".format, _names, _names))
@example("xn--a.nl")
@example("İ.example")
@example("\u0661.example")
def test_any_text_is_a_domain_in_its_only_form_or_refused(text: str) -> None:
    try:
        stored = parse_domain(text)
    except Invalid:
        return
    assert NODE_DOMAIN.fullmatch(stored)
    assert len(stored) <= MAX_DOMAIN
    assert not stored.rpartition(".")[2].isdigit()
    assert parse_domain(stored) == stored
    assert parse_domain(domain_in_unicode(stored)) == stored


@given(_names | st.builds("{}@{}.nl".format, _names, _names))
@example("a@b.nl\n")
def test_any_text_is_an_address_in_its_only_form_or_refused(text: str) -> None:
    try:
        address = parse_address(text)
    except Invalid:
        return
    local_part, _, domain = str(address).partition("@")
    assert NODE_LOCAL_PART.fullmatch(local_part)
    assert NODE_DOMAIN.fullmatch(domain)
    assert ".." not in local_part
    assert len(local_part) <= MAX_LOCAL_PART
    assert len(str(address)) <= MAX_ADDRESS
    assert parse_address(str(address)) == address
