"""SPF records: whether one lets the platform send, and how to make it do so (RFC 7208)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

MAX_LOOKUPS = 10  # section 4.6.4
MAX_RECORDS = 32  # looked at while counting; a record that needs more is over the limit anyway
_ALL = re.compile(r"[+?~-]?all")


def is_spf(text: str) -> bool:
    """Whether a text is an SPF record (section 4.5)."""
    return text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")


def terms(record: str) -> list[str]:
    """What follows the version, in lower case."""
    return record.lower().split()[1:]


def contains(record: str, wanted: str) -> bool:
    """Whether a record lets all send that `wanted` does: its mechanisms before any `all`."""
    return not _lacking(record, wanted)


def merged(records: Sequence[str], wanted: str) -> str:
    """The one record in place of several, or of one that lacks ours: all that theirs said.

    What decides over everybody else (`all`, `redirect`) is kept from the first that has it, and
    from ours if none does.
    """
    kept: list[str] = []
    last: str | None = None
    for record in records:
        for term in record.split()[1:]:
            if _ALL.fullmatch(term.lower()):
                last = last or term
                break  # nothing after it counts (section 5.1)
            if term.lower().startswith("redirect="):
                last = last or term
            elif term.lower() not in (one.lower() for one in kept):
                kept.append(term)
    ours = [term for term in wanted.split()[1:] if not _ALL.fullmatch(term)]
    # Ours goes first: theirs may end in a mechanism that refuses.
    kept = [*(term for term in ours if term.lower() not in map(str.lower, kept)), *kept]
    end = last or next((term for term in wanted.split() if _ALL.fullmatch(term)), "~all")
    return " ".join(["v=spf1", *kept, end])


def lookups(record: str, ask: Callable[[str], str | None]) -> int:
    """How many look-ups evaluating a record takes at most, up to one more than are allowed.

    `ask` answers the SPF record of a name, None where there is none or nobody knows.
    """
    count, seen, waiting = 0, set[str](), [record]
    while waiting and count <= MAX_LOOKUPS and len(seen) < MAX_RECORDS:
        for term in terms(waiting.pop()):
            mechanism = term.lstrip("+?~-")
            if _ALL.fullmatch(term):
                break
            if not _asks(mechanism):
                continue
            count += 1
            name = re.split("[:=]", mechanism, maxsplit=1)[-1]
            leads_on = mechanism.startswith(("include:", "redirect=")) and "%" not in name
            if leads_on and name not in seen and count <= MAX_LOOKUPS:
                seen.add(name)
                waiting.append(ask(name) or "")
    return min(count, MAX_LOOKUPS + 1)


def _asks(mechanism: str) -> bool:
    bare = re.split("[:/]", mechanism, maxsplit=1)[0]
    return bare in ("a", "mx", "ptr") or mechanism.startswith(("include:", "exists:", "redirect="))


def _lacking(record: str, wanted: str) -> list[str]:
    there = []
    for term in terms(record):
        if _ALL.fullmatch(term):
            break
        there.append(term.removeprefix("+"))
    return [term for term in terms(wanted) if not _ALL.fullmatch(term) and term not in there]
