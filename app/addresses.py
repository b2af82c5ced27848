"""Domain names and e-mail addresses: parsed, checked and normalised once.

Domain names are stored as IDNA 2008 A-labels after UTS 46 mapping (RFC 5891, RFC 5892, UTS 46).
Local parts are narrower than RFC 5321 allows: Dovecot's default auth_username_chars refuse
anything outside `a-zA-Z0-9.-_@` at login, Postfix takes `+` for the recipient delimiter, and a
local part must never be able to name a path or a variable in somebody's configuration.

Error messages do not repeat what was typed: it may be a password in the wrong field.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

import idna

from .errors import Invalid

_LOCAL_PART = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")
_CONTACT = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
MAX_DOMAIN = 253  # octets without the trailing dot, RFC 1035 section 2.3.4
MAX_LOCAL_PART = 64  # RFC 5321 section 4.5.3.1.1
MAX_ADDRESS = 254  # RFC 5321 section 4.5.3.1.3, without the angle brackets


class Address(NamedTuple):
    """An address in its stored form."""

    local_part: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local_part}@{self.domain}"


@lru_cache(maxsize=1024)  # the same few are named again and again
def parse_domain(text: str) -> str:
    """The stored form of a domain name typed in Unicode or punycode, in any case.

    Raises Invalid when it cannot be a mail domain.
    """
    _refuse_white_space(text, "domain name")
    name = _to_ascii(text)
    labels = name.split(".")
    if len(labels) < 2:
        raise Invalid("This is not a full domain name; write it like example.nl.")
    if labels[-1].isdigit():
        raise Invalid("This is an IP address or a number, not a domain name.")
    return name


def parse_address(text: str) -> Address:
    """The stored form of a mailbox address. Raises Invalid when no mailbox can be named so."""
    _refuse_white_space(text, "e-mail address")
    local_part, at, domain = text.rpartition("@")
    if not at or not local_part or not domain:
        raise Invalid("This is not an e-mail address; write it like info@example.nl.")
    address = Address(_parse_local_part(local_part), parse_domain(domain))
    if len(str(address)) > MAX_ADDRESS:
        raise Invalid(f"An e-mail address has at most {MAX_ADDRESS} characters.")
    return address


def parse_contact(text: str) -> str:
    """The stored form of an address that people are written to, which need not be ours.

    Any dot-atom of RFC 5322, section 3.2.3, such as name+tag@example.nl. Raises Invalid.
    """
    _refuse_white_space(text, "e-mail address")
    local_part, _, domain = text.rpartition("@")
    name = local_part.lower() if local_part.isascii() else local_part
    if not _CONTACT.fullmatch(name) or len(name) > MAX_LOCAL_PART:
        raise Invalid("This is not an e-mail address; write it like name@example.nl.")
    address = Address(name, parse_domain(domain))
    if len(str(address)) > MAX_ADDRESS:
        raise Invalid(f"An e-mail address has at most {MAX_ADDRESS} characters.")
    return str(address)


def domain_in_unicode(domain: str) -> str:
    """How a stored domain name is shown to people."""
    return idna.decode(domain) if "xn--" in domain else domain


def _to_ascii(text: str) -> str:
    try:
        # Length first: the work of IDNA grows with the text, and nothing longer can be valid.
        if not text or len(text) > 4 * MAX_DOMAIN:
            raise idna.IDNAError("empty or too long")
        name = idna.encode(text, uts46=True, std3_rules=True).decode("ascii").removesuffix(".")
        idna.decode(name)  # refuses A-labels that no Unicode name encodes to, such as xn--a
    except (idna.IDNAError, UnicodeError) as error:
        raise Invalid(
            "This is not a valid domain name; use letters, digits and hyphens, at most 63 "
            f"characters between the dots and {MAX_DOMAIN} in all."
        ) from error
    if len(name) > MAX_DOMAIN:
        raise Invalid(f"A domain name has at most {MAX_DOMAIN} characters.")
    return name


def _parse_local_part(text: str) -> str:
    if "+" in text:
        raise Invalid(
            "A mailbox name has no '+': mail to name+anything@… arrives in name@… by itself."
        )
    # Lower-case only what is ASCII: the Kelvin sign, for one, would turn into a plain k.
    name = text.lower() if text.isascii() else text
    if not _LOCAL_PART.fullmatch(name) or ".." in name:
        raise Invalid(
            "The part before the @ uses only a-z, 0-9, dot, hyphen and underscore, begins and "
            "ends with a letter or digit, and has no two dots in a row."
        )
    if len(name) > MAX_LOCAL_PART:
        raise Invalid(f"The part before the @ has at most {MAX_LOCAL_PART} characters.")
    return name


def _refuse_white_space(text: str, noun: str) -> None:
    if text != text.strip():
        raise Invalid(f"The {noun} begins or ends with white space; remove it.")


def is_ip_address(text: str) -> bool:
    """Whether a host is named by its address, of IPv4 or IPv6."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
