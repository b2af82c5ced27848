"""Reading what was typed. Searches live in the address of a page; unknown values there fall back
to the default.
"""

from __future__ import annotations

from typing import Any

from flask import url_for

from ..addresses import parse_domain
from ..errors import Invalid, NotFound

MAX_TEXT = 100


def text_of(value: str) -> str:
    """What to look for: one line, not too long, without what no database keeps."""
    return value[:MAX_TEXT].replace("\x00", "").strip()


def one_of(value: Any, choices: tuple[Any, ...], default: Any) -> Any:
    """One of the choices."""
    return value if value in choices else default


def whole(text: str, default: int) -> int:
    """A whole number, from the default on."""
    number = number_of(text)
    return max(default, number) if isinstance(number, int) else default


def number_of(text: str | None) -> int | str:
    """A number that was typed; anything else as it is, to be refused with a sentence."""
    typed = text or ""
    is_number = typed.isascii() and typed.isdigit() and len(typed) < 11
    return int(typed) if is_number else typed


def domain_named(typed: str) -> str:
    """The domain that an address names; what cannot be one is not there. Raises NotFound."""
    try:
        return parse_domain(typed)
    except Invalid:
        raise no_such_domain() from None


def no_such_domain() -> NotFound:
    """That there is no such domain, or not for who asks."""
    return NotFound("DOMAIN_NOT_FOUND", "There is no such domain.")


def address_of(endpoint: str, search: object, **changes: object) -> str:
    """The address of a search with something changed; defaults are left out of it."""
    values = {**vars(search), **changes}
    kept = {name: value for name, value in values.items() if value != getattr(type(search), name)}
    return url_for(endpoint, **kept)
