"""The types of the contract's fields, as pydantic reads them: one definition for every face.

JSON is read strictly: a number is not text, true is not 1, and white space is not trimmed away.
Messages are sentences for people; they never repeat the value that came in.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from . import addresses
from .addresses import Address
from .errors import Invalid
from .passwords import MAX_BYTES, MIN_BYTES, NewPassword, TypedPassword

MAX_QUOTA_MB = 1_048_576
MAX_ID = 2_147_483_647
MAX_NAME = 100
MAX_PAGE = 1000
MAX_OVERLAP_HOURS = 168
MAX_HOST = 200
MAX_MX_PRIORITY = 65_535  # RFC 1035, section 3.3.9

NODE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def _reads_text(parse: Callable[[str], Any]) -> PlainValidator:
    """A validator for text that `parse` understands or refuses with Invalid."""

    def read(value: object) -> Any:
        if not isinstance(value, str):
            raise _wrong("This has to be text.")
        try:
            return parse(value)
        except Invalid as error:
            raise _wrong(error.message) from error

    return PlainValidator(read)


def _reads_password() -> PlainValidator:
    """The same for a password, of which there may be no text any more."""
    of_text = _reads_text(NewPassword)

    def read(value: object) -> NewPassword:
        return value if isinstance(value, NewPassword) else of_text.func(value)  # type: ignore[call-arg]

    return PlainValidator(read)


def _reads_whole(lowest: int, highest: int, noun: str) -> BeforeValidator:
    """A validator for a JSON integer; 1024.0 is one (JSON Schema 2020-12, 6.1.1), true is not."""

    def read(value: object) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is not int or not lowest <= value <= highest:
            raise _wrong(f"{noun} is a whole number from {lowest} to {highest}.")
        return value

    return BeforeValidator(read)


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("invalid", "{message}", {"message": message})


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong("This has to be true or false.")
    return value


def _parse_network(text: str) -> str:
    """An address or network in its shortest form; IPv4 in IPv6 becomes IPv4."""
    try:
        network = ipaddress.ip_network(text, strict=True)
    except ValueError:
        raise Invalid(
            "Write an IP address such as 192.0.2.7 or 2001:db8::7, or a network such as "
            "192.0.2.0/24, whose bits after the prefix are zero."
        ) from None
    if isinstance(network, ipaddress.IPv6Network):
        if network.network_address.scope_id:
            raise Invalid("Leave out the %zone of the IPv6 address.")
        mapped = network.network_address.ipv4_mapped
        if mapped and network.prefixlen >= 96:
            network = ipaddress.ip_network((mapped, network.prefixlen - 96))
    if network.prefixlen == 0:
        raise Invalid("This network is the whole internet; leave the field out to allow it all.")
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def _parse_node_name(text: str) -> str:
    if not NODE_NAME.fullmatch(text):
        raise Invalid(
            "A node's name has 1 to 63 characters: a-z, 0-9 and hyphens, no hyphen first."
        )
    return text


def _parse_home(text: str) -> str:
    return _parse_node_name(text) if text else ""


def _parse_host(text: str) -> str:
    host = addresses.parse_domain(text) if text else ""
    if len(host) > MAX_HOST:
        raise Invalid(f"A node's host name has at most {MAX_HOST} characters.")
    return host


def _parse_name(text: str) -> str:
    if not 1 <= len(text) <= MAX_NAME or not text.isprintable() or text != text.strip():
        raise Invalid(
            f"A name has 1 to {MAX_NAME} characters on one line, without white space around it."
        )
    return text


def to_cursor(email: str) -> str:
    """The cursor that continues a list after this address."""
    return base64.urlsafe_b64encode(email.encode()).decode().rstrip("=")


def _parse_cursor(text: str) -> str:
    try:
        padded = text + "=" * (-len(text) % 4)
        email = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
        if to_cursor(email) == text and str(addresses.parse_address(email)) == email:
            return email
    except (ValueError, Invalid):
        pass
    raise Invalid("This is not a cursor; pass next_cursor of the page before, unchanged.")


def _schema(description: str, example: object, **keywords: object) -> WithJsonSchema:
    return WithJsonSchema({"description": description, "examples": [example], **keywords})


DomainName = Annotated[
    str,
    _reads_text(addresses.parse_domain),
    _schema(
        "A domain name, in Unicode or punycode, in any case.",
        "mycompany.nl",
        type="string",
        minLength=1,
        maxLength=1024,
    ),
]
Email = Annotated[
    Address,
    _reads_text(addresses.parse_address),
    _schema(
        "The full e-mail address of a mailbox: a-z, 0-9, dot, hyphen and underscore before the @.",
        "info@mycompany.nl",
        type="string",
        minLength=1,
        maxLength=1024,
    ),
]
PersonEmail = Annotated[
    str,
    _reads_text(addresses.parse_contact),
    _schema("The address a person signs in with.", "anna@example.nl", type="string"),
]
Password = Annotated[
    NewPassword,
    _reads_password(),
    _schema(
        f"{MIN_BYTES} to {MAX_BYTES} bytes of UTF-8, not a common password, not the address.",
        "vR7mKq2xWd9pLs4tZb6n",
        type="string",
        format="password",
        writeOnly=True,
        minLength=1,
        maxLength=1024,
    ),
]
QuotaMb = Annotated[
    int,
    Field(description="Storage in MiB.", examples=[1024], ge=1, le=MAX_QUOTA_MB, strict=True),
    _reads_whole(1, MAX_QUOTA_MB, "Storage in MB"),
]
Flag = Annotated[bool, Field(strict=True), BeforeValidator(_flag)]
HardDelete = Annotated[
    bool,
    Field(description="True: gone for good, with its mail.", examples=[False], strict=True),
    BeforeValidator(_flag),
]
CanLogin = Annotated[
    bool,
    Field(description="May sign in by IMAP, POP3 and SMTP.", examples=[True], strict=True),
    BeforeValidator(_flag),
]
CanReceive = Annotated[
    bool,
    Field(description="Accepts mail that is sent to it.", examples=[True], strict=True),
    BeforeValidator(_flag),
]
ProjectId = Annotated[
    int,
    Field(description="The id of a project.", examples=[1], ge=1, le=MAX_ID, strict=True),
    _reads_whole(1, MAX_ID, "A project id"),
]
Limit = Annotated[
    int,
    Field(
        description="At most so many rows; without it all of them are answered.",
        examples=[100],
        ge=1,
        le=MAX_PAGE,
        strict=True,
    ),
    _reads_whole(1, MAX_PAGE, "limit"),
]
Cursor = Annotated[
    str,
    _reads_text(_parse_cursor),
    _schema(
        "next_cursor of the page before.",
        "aW5mb0BteWNvbXBhbnkubmw",
        type="string",
        minLength=1,
        maxLength=1024,
    ),
]
NodeName = Annotated[
    str,
    _reads_text(_parse_node_name),
    _schema("The node's name.", "mpi01", type="string", pattern=r"^[a-z0-9][a-z0-9-]{0,62}$"),
]
HomeNode = Annotated[
    str,
    _reads_text(_parse_home),
    _schema("The name of a node, or empty for none.", "mpi01", type="string", maxLength=63),
]
HostName = Annotated[
    str,
    _reads_text(_parse_host),
    _schema(
        "The full host name under which other mail servers reach it, or empty for none.",
        "mpi01.example.net",
        type="string",
        maxLength=1024,
    ),
]
MxPriority = Annotated[
    int,
    Field(
        description="Its priority in MX records; the lowest is tried first.",
        examples=[10],
        ge=0,
        le=MAX_MX_PRIORITY,
        strict=True,
    ),
    _reads_whole(0, MAX_MX_PRIORITY, "A priority"),
]
OverlapHours = Annotated[
    int,
    Field(
        description="For how many hours the key before goes on working; 0 ends it at once.",
        examples=[24],
        ge=0,
        le=MAX_OVERLAP_HOURS,
        strict=True,
    ),
    _reads_whole(0, MAX_OVERLAP_HOURS, "overlap_hours"),
]
KeyAsLink = Annotated[
    bool,
    Field(
        description="True: answer a link to the key instead of the key itself.",
        examples=[True],
        strict=True,
    ),
    BeforeValidator(_flag),
]
IpAllow = Annotated[
    str,
    _reads_text(_parse_network),
    _schema(
        "The address or CIDR network the node has to come from, IPv4 or IPv6.",
        "192.0.2.0/24",
        type="string",
        minLength=1,
        maxLength=64,
    ),
]
Name = Annotated[
    str,
    _reads_text(_parse_name),
    _schema("A name for people to read.", "My company", type="string", minLength=1, maxLength=100),
]
PresentPassword = Annotated[
    TypedPassword,
    _reads_text(TypedPassword),
    _schema("The password somebody has now.", "vR7mKq2xWd9pLs4tZb6n", type="string"),
]
Id = Annotated[int, Field(description="The id of a row.", ge=1, le=MAX_ID, strict=True)]
Text = Annotated[str, Field(description="Text of one kind or another.", max_length=1024)]
PasskeyAnswer = Annotated[
    dict[str, Any], Field(description="A PublicKeyCredential, as its toJSON() gives it.")
]
Visible = Annotated[
    str, Field(description="Visible characters of ASCII.", max_length=1024, pattern="^[!-~]+$")
]
RegisteredHere = Annotated[
    bool,
    Field(
        description="True: the platform registered it, and writes its records into its zone.",
        examples=[True],
        strict=True,
    ),
    BeforeValidator(_flag),
]
