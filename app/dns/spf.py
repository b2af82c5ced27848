"""SPF records (RFC 7208): whether ours is contained in a domain's own, and the two made one.

A domain must have exactly one (section 4.5). It is read from left to right until something matches,
so what follows `all` is never read (section 5.1), and it must not need more than ten look-ups,
those of included records counted (section 4.6.4).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

MAX_LOOKUPS = 10

_LOOKED_UP = {"include", "a", "mx", "ptr", "exists"}
_BARE = {"all", "a", "mx", "ptr"}  # what may stand without a value
_WITH_VALUE = {"include", "exists", "ip4", "ip6"}
# Values are visible ASCII (section 7.1).
_MODIFIER = re.compile(r"[a-z][a-z0-9_.-]*=[!-~]*", re.IGNORECASE)
_MECHANISM = re.compile(r"([+?~-]?)([a-z0-9]+)(?:([:/])([!-~]*))?", re.IGNORECASE)

# The texts that a name has, None when nobody could tell.
Fetch = Callable[[str], Sequence[str] | None]


@dataclass(frozen=True)
class Term:
    """A mechanism with its qualifier, or a modifier; `value` begins with its `:` or `/`."""

    text: str
    name: str  # of a mechanism; of a modifier with `=`
    qualifier: str = "+"
    value: str = ""
    is_readable: bool = True

    @property
    def key(self) -> tuple[str, str]:
        """What is compared: two terms of the same key match the same senders."""
        return self.name, self.value.lower().removesuffix(".")

    @property
    def is_modifier(self) -> bool:
        """Whether it matches nobody: redirect, exp, and what nobody knows (section 6)."""
        return self.name.endswith("=")

    @property
    def costs_a_lookup(self) -> bool:
        """Whether it counts among the ten."""
        return self.name in _LOOKED_UP or self.name == "redirect="

    @property
    def elsewhere(self) -> str | None:
        """The name whose record it brings in; None for those that depend on each message."""
        if self.name not in ("include", "redirect=") or "%" in self.value:
            return None
        return self.key[1].removeprefix(":")


@dataclass
class Found:
    """What reading a record, and those it includes, came to.

    `lookups` is not counted further than to one too many. `unreadable` are terms that make
    receivers throw the record away, `broken` included names that have no single record.
    """

    contains: bool = False
    lookups: int = 0
    is_complete: bool = True  # False where an included record could not be asked for
    unreadable: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def is_spf(text: str) -> bool:
    """Whether a text is an SPF record, whatever it says (section 4.5)."""
    return f"{text} "[:7].lower() == "v=spf1 "


def terms(text: str) -> list[Term]:
    """The terms of a record, its version left out."""
    return [_term(word) for word in text.split(" ")[1:] if word]


def read(text: str, ours: str, fetch: Fetch) -> Found:
    """Look for all senders of our record in this one, and count its look-ups."""
    wanted = {term.key for term in senders(ours)}
    reading = _Reading(fetch, {name for term in senders(ours) if (name := term.elsewhere)})
    reading.walk(text, depth=0, passes=True)
    reading.found.contains = wanted <= reading.passed
    reading.found.unreadable = [term.text for term in terms(text) if not term.is_readable]
    return reading.found


def senders(text: str) -> list[Term]:
    """The mechanisms by which senders pass, up to `all`."""
    found = []
    for term in terms(text):
        if term.name == "all":
            break
        if not term.is_modifier and term.qualifier == "+":
            found.append(term)
    return found


def merge(texts: Iterable[str], ours: str) -> str:
    """One record to put in place of these: what they say, and our senders before the end.

    Nothing readable is left out. Of several the milder `all` counts. Their redirects become
    includes where they cannot stay: a record has one at most, and only without `all`.
    """
    wanted = senders(ours)
    keys = {term.key for term in wanted}
    parts = _Parts()
    records = [terms(text) for text in texts]
    for record in records:
        parts.add([term for term in record if term.is_readable and term.key not in keys])
    if len(records) > 1:
        parts.settle_redirects()
    ending = [parts.mildest_all()] if parts.alls else []
    ordered = [*parts.mechanisms, *wanted, *ending, *parts.never_read, *parts.modifiers]
    return " ".join(["v=spf1", *dict.fromkeys(term.text for term in ordered)])


class _Parts:
    """The terms of several records, sorted by what they do."""

    def __init__(self) -> None:
        self.mechanisms: list[Term] = []
        self.alls: list[Term] = []
        self.never_read: list[Term] = []
        self.modifiers: list[Term] = []
        self._followed: list[Term] = []  # redirects that count

    def add(self, record: Sequence[Term]) -> None:
        """Sort in a record."""
        has_all = any(term.name == "all" for term in record)
        is_over = False
        for term in record:
            if term.is_modifier:
                self.modifiers.append(term)
                if term.name == "redirect=" and not has_all:
                    self._followed.append(term)
            elif is_over:
                self.never_read.append(term)
            elif term.name == "all":
                self.alls.append(term)
                is_over = True
            else:
                self.mechanisms.append(term)

    def settle_redirects(self) -> None:
        """Leave one redirect at most, and modifiers once."""
        targets = dict.fromkeys(term.value for term in self._followed)
        by_name = {term.name: term for term in reversed(self.modifiers)}
        if self.alls or len(targets) > 1:
            self.mechanisms += [_term(f"include:{target}") for target in targets]
            self.alls = self.alls or [_term("~all")]
            by_name.pop("redirect=", None)
        self.modifiers = list(reversed(by_name.values()))

    def mildest_all(self) -> Term:
        """The end that refuses least, but for one that lets everybody pass."""
        mild = {"?": 0, "~": 1, "-": 2, "+": 3}
        return min(self.alls, key=lambda term: mild[term.qualifier])


class _Reading:
    """Reads a record and those it includes, no more of them than the look-ups allow."""

    def __init__(self, fetch: Fetch, ours: set[str]) -> None:
        self.found = Found()
        self.passed: set[tuple[str, str]] = set()
        self._fetch = fetch
        self._ours = ours
        self._fetched: dict[str, Sequence[str] | None] = {}

    def walk(self, text: str, *, depth: int, passes: bool) -> None:
        """Read a record; `passes` says whether its senders pass for whom it all began."""
        redirect = None
        for term in terms(text):
            if depth and self.found.lookups > MAX_LOOKUPS:
                return  # receivers have given up; of the first record all is worth reading
            if term.name == "all":
                redirect = None
                break
            if term.name == "redirect=":
                redirect = redirect or term
            elif not term.is_modifier:
                self._meet(term, depth=depth, passes=passes and term.qualifier == "+")
        if redirect:
            self._meet(redirect, depth=depth, passes=passes)

    def _meet(self, term: Term, *, depth: int, passes: bool) -> None:
        self.found.lookups += term.costs_a_lookup
        # `mx` and `a` alone mean the name whose record they stand in.
        if passes and (depth == 0 or term.value.startswith(":")):
            self.passed.add(term.key)
        name = term.elsewhere
        if name is None or self.found.lookups > MAX_LOOKUPS:
            return
        texts = self._texts(name)
        if texts is None:
            self.found.is_complete = False
            return
        records = [text for text in texts if is_spf(text)]
        if len(records) == 1:
            self.walk(records[0], depth=depth + 1, passes=passes)
        elif name not in self._ours and name not in self.found.broken:
            self.found.broken.append(name)

    def _texts(self, name: str) -> Sequence[str] | None:
        if name not in self._fetched:
            self._fetched[name] = self._fetch(name)
        return self._fetched[name]


def _term(word: str) -> Term:
    if "=" in word and _MODIFIER.fullmatch(word) and ":" not in word.partition("=")[0]:
        name, _, value = word.partition("=")
        return Term(word, f"{name.lower()}=", value=value)
    match = _MECHANISM.fullmatch(word)
    name = match[2].lower() if match else ""
    value = f"{match[3] or ''}{match[4] or ''}" if match else ""
    if name in _WITH_VALUE:
        fits = len(value) > 1 and value[0] == ":"
    else:
        fits = name in _BARE and not (name == "all" and value)
    return Term(word, name, (match[1] or "+") if match else "+", value, is_readable=fits)
