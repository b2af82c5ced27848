"""What a client says of itself, when it registers or in a document: read with suspicion.

https://www.rfc-editor.org/rfc/rfc7591#section-2 names the members; what is not needed is ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .redirects import is_acceptable, whereabouts

MAX_NAME, MAX_URIS = 80, 10


class UnusableClient(Exception):
    """A client that cannot be taken in; `error` is one of the codes of RFC 7591, section 3.2.2."""

    def __init__(self, sentence: str, error: str = "invalid_client_metadata") -> None:
        super().__init__(sentence)
        self.error = error


@dataclass(frozen=True)
class Description:
    """The name a client gives itself, which nobody has checked, and where it may be answered."""

    name: str
    redirect_uris: tuple[str, ...]


def read_description(values: dict[str, Any]) -> Description:
    """Raises UnusableClient."""
    uris = _texts(values, "redirect_uris", "invalid_redirect_uri")
    if not 1 <= len(uris) <= MAX_URIS or not all(map(is_acceptable, uris)):
        raise UnusableClient(
            f"redirect_uris takes 1 to {MAX_URIS} addresses: https, http on a loopback address, "
            "or the own scheme of an app, without fragment.",
            "invalid_redirect_uri",
        )
    for name, needed in (("grant_types", "authorization_code"), ("response_types", "code")):
        if name in values and needed not in _texts(values, name):
            raise UnusableClient(f"{name} has to contain {needed}.")
    return Description(_name(values, uris[0]), tuple(dict.fromkeys(uris)))


def _texts(values: dict[str, Any], name: str, error: str = "invalid_client_metadata") -> list[str]:
    texts = values.get(name)
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise UnusableClient(f"{name} has to be a list of texts.", error)
    return texts


def _name(values: dict[str, Any], uri: str) -> str:
    """The name as it can be shown: one line, nothing invisible or that turns the text around."""
    name = values.get("client_name", "")
    if not isinstance(name, str):
        raise UnusableClient("client_name has to be a text.")
    words = " ".join(name.split())
    shown = "".join(character for character in words if character.isprintable()).strip()
    return shown[:MAX_NAME] or whereabouts(uri) or "A program without a name"
