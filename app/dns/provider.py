"""Whoever writes the zones of registered domains, and what it tells; without dnspython."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from .records import Record


class CannotUpdate(Exception):
    """Why a zone could not be changed, as a sentence for a page; it holds no secret.

    `is_uncertain` is whether it may have been changed all the same.
    """

    def __init__(self, sentence: str, *, is_uncertain: bool = False) -> None:
        super().__init__(sentence)
        self.is_uncertain = is_uncertain


@dataclass(frozen=True)
class Kept:
    """A record that was written: full name without a final dot, and data as in a zone file."""

    owner: str
    type: str
    value: str


@dataclass(frozen=True)
class Written:
    """What stands there and is ours, and what was not written, each with a sentence why."""

    kept: list[Kept]
    left_alone: list[tuple[Record, str]]


class Provider(Protocol):
    """Who writes the zones of domains that are registered through the platform."""

    def put(
        self,
        domain: str,
        records: Sequence[Record],
        written: Sequence[Kept] = (),
        *,
        intend: Callable[[list[Kept]], None] = lambda _adding: None,
    ) -> Written:
        """Let these records stand in the domain's zone. Raises CannotUpdate.

        `written` is what was written before: what of it is no longer expected is taken back.
        `intend` is told what is about to be added, all of it absent; what it raises stops it. A
        record that stood there already is not ours, whatever its value.
        """
        ...

    def take_back(self, domain: str, written: Sequence[Kept]) -> list[Kept]:
        """Remove just these records; those that are gone now. Raises CannotUpdate."""
        ...
