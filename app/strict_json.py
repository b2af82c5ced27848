"""A strict reader of JSON requests: what two readers could understand differently is refused.

RFC 8259 leaves duplicate names, byte order marks and encodings other than UTF-8 to the reader;
Python's own is lenient about all of them, and a deep enough nesting makes it fail.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from .errors import Invalid, Malformed, TooLarge, UnsupportedType, nameable

MAX_DEPTH = 4
MAX_TEXT = 1024
_UNUSABLE = re.compile("[\0\ud800-\udfff]")
# An unfinished string reaches to the end: looked for again from every quote it would take n² steps.
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STRING = re.compile(rb'"(?:[^"\\]|\\.?)*+(?:"|\Z)', re.DOTALL)


def read_object(request: Request, *, depth: int = MAX_DEPTH) -> dict[str, Any]:
    """The JSON object of a request's body; an empty body is an empty object.

    An object wrapped under an empty name, as n8n's node sends it, is unwrapped. Raises Malformed,
    UnsupportedType, TooLarge, and Invalid for a text that cannot be stored.
    """
    body = read_body(request)
    if not body:
        return {}
    value = _unwrapped(parse_object(body, depth=depth), depth)
    refuse_unusable_texts(value)
    return value


def read_body(request: Request) -> bytes:
    """The JSON text that a request brings. Raises UnsupportedType, TooLarge."""
    try:
        body = request.get_data(cache=False)
        request.stream.read(1)  # of a body without a length, only now is known that it goes on
    except RequestEntityTooLarge:
        raise TooLarge from None
    if body:
        _refuse_other_types(request)
    return body


def parse_object(body: bytes, *, depth: int = MAX_DEPTH) -> dict[str, Any]:
    """The object that a JSON text is. Raises Malformed."""
    value = parse(body, depth=depth)
    if not isinstance(value, dict):
        raise Malformed("The request body has to be a JSON object.")
    return value


def parse(body: bytes, *, depth: int = MAX_DEPTH) -> Any:
    """The value that a JSON text is. Raises Malformed."""
    if body.startswith(b"\xef\xbb\xbf"):
        raise Malformed("The JSON begins with a byte order mark; leave it out.")
    _refuse_depth(body, depth)
    try:
        return json.loads(
            body.decode(), object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError:
        raise Malformed("The request body is not UTF-8.") from None
    except (ValueError, RecursionError):
        raise Malformed("The request body is not valid JSON.") from None


def refuse_unusable_texts(value: dict[str, Any]) -> None:
    """Refuse texts that are too long or cannot be stored. Raises Invalid, naming the field."""
    for name, member in value.items():
        _refuse_unusable_text([name, member], name)


def _unwrapped(value: dict[str, Any], depth: int) -> dict[str, Any]:
    if value.keys() != {""}:
        return value
    inner = value[""]
    if isinstance(inner, str):
        return parse_object(inner.encode(errors="surrogatepass"), depth=depth) if inner else {}
    return inner if isinstance(inner, dict) else value


def _refuse_other_types(request: Request) -> None:
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype != "application/json" or charset not in ("utf-8", "utf8"):
        raise UnsupportedType("Send JSON: Content-Type: application/json.")
    if request.headers.get("Content-Encoding"):
        raise UnsupportedType("Send the body as it is, without Content-Encoding.")


def _refuse_depth(body: bytes, limit: int) -> None:
    """Count brackets outside of strings: deep nesting would exhaust the reader's stack."""
    depth = 0
    for character in _STRING.sub(b"", body).translate(None, _NOT_BRACKETS):
        if character in b"[{":
            depth += 1
            if depth > limit:
                raise Malformed(f"The JSON is nested deeper than {limit} levels.")
        elif character in b"]}":
            depth -= 1


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed("The JSON has two fields of the same name.")
    return members


def _refuse_constant(_name: str) -> NoReturn:
    raise Malformed("NaN and Infinity are not JSON.")


def _refuse_unusable_text(value: Any, field: str) -> None:
    members = value if isinstance(value, list) else [value]
    if isinstance(value, dict):
        members = [*value, *value.values()]
    for member in members:
        if isinstance(member, dict | list):
            _refuse_unusable_text(member, field)
        elif isinstance(member, str) and len(member) > MAX_TEXT:
            raise Invalid(f"This text is longer than {MAX_TEXT} characters.", field=nameable(field))
        elif isinstance(member, str) and _UNUSABLE.search(member):
            raise Invalid("This text has characters that cannot be stored.", field=nameable(field))
