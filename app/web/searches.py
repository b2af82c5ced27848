"""Searches live in the address of a page; unknown values there fall back to the default."""

from __future__ import annotations

from typing import Any

from flask import url_for

MAX_TEXT = 100


def text_of(value: str) -> str:
    """What to look for: one line, not too long, without what no database keeps."""
    return value[:MAX_TEXT].replace("\x00", "").strip()


def one_of(value: Any, choices: tuple[Any, ...], default: Any) -> Any:
    """One of the choices."""
    return value if value in choices else default


def whole(text: str, default: int) -> int:
    """A whole number from 1 on."""
    is_number = text.isascii() and text.isdigit() and len(text) < 7
    return max(1, int(text)) if is_number else default


def address_of(endpoint: str, search: object, **changes: object) -> str:
    """The address of a search with something changed; defaults are left out of it."""
    values = {**vars(search), **changes}
    kept = {name: value for name, value in values.items() if value != getattr(type(search), name)}
    return url_for(endpoint, **kept)
