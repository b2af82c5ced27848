"""SPF: containment, the ten look-ups, and one record made of several."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dns import judge, spf
from tests.dns.zones import expected

OURS = "v=spf1 include:_spf.provider.example ~all"
TWO = "v=spf1 mx a:smtp.provider.example ~all"


def nobody(name: str) -> Sequence[str] | None:
    """Every included record is there, and lists nobody."""
    return ["v=spf1 -all"]


def read(text: str, ours: str = OURS, zone: dict[str, list[str] | None] | None = None) -> spf.Found:
    """Read a record; names that are not in the zone have no text."""
    return spf.read(text, ours, nobody if zone is None else lambda name: zone.get(name, []))


@pytest.mark.parametrize(
    "text",
    [
        OURS,
        "v=spf1 include:_spf.provider.example -all",
        "V=SPF1 A mx +INCLUDE:_SPF.Provider.Example. ?all",
        "v=spf1 include:other.example ip4:192.0.2.0/24 include:_spf.provider.example",
        "v=spf1   include:_spf.provider.example   exp=why.example   ~all",
    ],
)
def test_it_works(text: str) -> None:
    found = read(text)
    assert found.contains and not found.unreadable and not found.broken


@pytest.mark.parametrize(
    "text",
    [
        "v=spf1",
        "v=spf1 -all",
        "v=spf1 -all include:_spf.provider.example",
        "v=spf1 ?include:_spf.provider.example ~all",
        "v=spf1 -include:_spf.provider.example ~all",
        "v=spf1 include:_spf.provider.example.evil.example ~all",
        "v=spf1 a:_spf.provider.example ~all",
        "v=spf1 exp=_spf.provider.example ~all",
    ],
)
def test_what_does_not_let_our_servers_send(text: str) -> None:
    assert not read(text).contains


def test_ours_may_be_brought_in_by_another_record() -> None:
    zone: dict[str, list[str] | None] = {"all.example": [OURS, "unrelated"]}
    assert read("v=spf1 include:all.example -all", zone=zone).contains
    assert read("v=spf1 redirect=all.example", zone=zone).contains
    assert not read("v=spf1 redirect=all.example -all", zone=zone).contains
    assert not read("v=spf1 ~include:all.example -all", zone=zone).contains


def test_mx_of_another_record_is_another_ones() -> None:
    assert read(TWO, TWO).contains
    inner = "v=spf1 mx a:smtp.provider.example -all"
    assert not read("v=spf1 include:x.example ~all", TWO, {"x.example": [inner]}).contains


@pytest.mark.parametrize(
    "bad",
    [
        "inculde:x.example",
        "include",
        "ip4",
        "all:x",
        "a b:c",
        "“a”",
        "a:\x1b[31m",
        "a\u00a0mx",
        "a\tmx",
    ],
)
def test_it_finds_what_receivers_cannot_read(bad: str) -> None:
    assert read(f"v=spf1 {bad} include:_spf.provider.example ~all").unreadable


def test_unknown_modifiers_are_readable() -> None:
    assert not read("v=spf1 ra=postmaster x-y_z.1=%{i} ip4=1 ~all").unreadable


@pytest.mark.parametrize("text", ["v=spf1", "V=SPF1 a", "v=spf1  -all"])
def test_what_is_an_spf_record(text: str) -> None:
    assert spf.is_spf(text)


@pytest.mark.parametrize(
    "text", ["", "v=spf10 a", "v=spf1;a", "spf1 a", " v=spf1 a", "v=spf2.0/pra"]
)
def test_what_is_none(text: str) -> None:
    assert not spf.is_spf(text)


def test_look_ups_of_included_records_count() -> None:
    zone: dict[str, list[str] | None] = {
        "_spf.provider.example": ["v=spf1 a mx ip4:192.0.2.1 exists:%{i}.x.example ptr -all"],
        "five.example": ["v=spf1 a a:b.example a:c.example a:d.example ~all a:e.example"],
    }
    most = read("v=spf1 include:_spf.provider.example include:five.example ~all", zone=zone)
    assert (most.lookups, most.contains) == (10, True)
    over = read("v=spf1 mx include:_spf.provider.example include:five.example ~all", zone=zone)
    assert over.lookups > spf.MAX_LOOKUPS


def test_records_that_include_each_other_end() -> None:
    asked = []

    def fetch(name: str) -> list[str]:
        asked.append(name)
        other = "a" if name.startswith("b") else "b"
        return [f"v=spf1 include:{other}.example include:{other}.example ~all"]

    found = spf.read("v=spf1 include:a.example include:_spf.provider.example", OURS, fetch)
    assert found.lookups > spf.MAX_LOOKUPS
    assert found.contains
    assert sorted(asked) == ["a.example", "b.example"]


def test_an_endless_record_is_read_to_an_end() -> None:
    asked = []

    def fetch(name: str) -> list[str]:
        asked.append(name)
        return [" ".join(["v=spf1", *(f"include:{name}{at}.x" for at in range(4_000))])]

    spf.read(fetch("x")[0], OURS, fetch)
    assert len(asked) <= spf.MAX_LOOKUPS + 1


def test_what_could_not_be_looked_up_is_not_missing() -> None:
    found = read("v=spf1 include:dead.example ~all", zone={"dead.example": None})
    assert not found.is_complete and not found.broken
    assert read("v=spf1 include:none.example ~all", zone={}).broken == ["none.example"]
    assert not read(OURS, zone={}).broken  # what is wrong with ours, a customer cannot mend


@pytest.mark.parametrize(
    ("texts", "merged"),
    [
        (["v=spf1 a mx -all"], "v=spf1 a mx include:_spf.provider.example -all"),
        (["v=spf1 -all"], "v=spf1 include:_spf.provider.example -all"),
        (["v=spf1 redirect=x.nl"], "v=spf1 include:_spf.provider.example redirect=x.nl"),
        (["v=spf1 a"], "v=spf1 a include:_spf.provider.example"),
        (
            ["v=spf1 ?include:_spf.provider.example a ~all"],
            "v=spf1 a include:_spf.provider.example ~all",
        ),
        (
            ["v=spf1 a ~all include:_spf.provider.example"],
            "v=spf1 a include:_spf.provider.example ~all",
        ),
        (["v=spf1 inculde:x a ~all"], "v=spf1 a include:_spf.provider.example ~all"),
        (
            ["v=spf1 a mx -all", "v=spf1 mx include:o.nl ~all"],
            "v=spf1 a mx include:o.nl include:_spf.provider.example ~all",
        ),
        (
            ["v=spf1 a -all", "v=spf1 redirect=o.nl"],
            "v=spf1 a include:o.nl include:_spf.provider.example -all",
        ),
        (
            ["v=spf1 redirect=p.nl", "v=spf1 redirect=o.nl exp=e.nl"],
            "v=spf1 include:p.nl include:o.nl include:_spf.provider.example ~all exp=e.nl",
        ),
        (["v=spf1 +all", "v=spf1 -all"], "v=spf1 include:_spf.provider.example -all"),
    ],
)
def test_one_record_is_made_of_them(texts: list[str], merged: str) -> None:
    assert spf.merge(texts, OURS) == merged


NAMES = st.from_regex(r"[a-z]{1,8}(\.[a-z]{1,8}){1,2}", fullmatch=True)
MECHANISMS = st.one_of(
    st.sampled_from(
        ["a", "mx", "ptr", "ip4:192.0.2.0/24", "ip6:2001:db8::/32", "a/24", "mx/24//64"]
    ),
    st.builds(
        "{}{}:{}".format,
        st.sampled_from(["", "+", "-", "~", "?"]),
        st.sampled_from(["a", "mx", "include", "exists", "A", "Include"]),
        NAMES,
    ),
)
ENDINGS = st.sampled_from(
    ["", "all", "-all", "~all", "?all", "redirect=r.example", "-all exp=e.nl"]
)
RECORDS = st.builds(
    lambda mechanisms, ending: " ".join(["v=spf1", *mechanisms, ending]).strip(),
    st.lists(MECHANISMS, max_size=12),
    ENDINGS,
)


@given(st.lists(RECORDS, min_size=1, max_size=3), st.sampled_from([OURS, TWO]))
@settings(max_examples=60)
def test_what_is_offered_is_right_and_leaves_nobody_out(texts: list[str], ours: str) -> None:
    merged = spf.merge(texts, ours)
    found = spf.read(merged, ours, nobody)
    assert spf.is_spf(merged)
    assert found.contains and not found.unreadable
    assert [term.name for term in spf.terms(merged)].count("all") <= 1
    kept = {term.key for term in spf.terms(merged)}
    theirs = {term.key for text in texts for term in spf.terms(text) if not term.is_modifier} - {
        ("all", "")
    }
    assert theirs <= kept
    assert spf.merge([merged], ours) == merged


@given(st.text(max_size=300))
@settings(max_examples=50)
def test_any_text_can_be_read(text: str) -> None:
    spf.read(text, OURS, lambda _: [text])
    merged = spf.merge([text, f"v=spf1 {text}"], OURS)
    assert merged.isascii() and merged.isprintable()


def test_no_record_is_offered_that_nobody_could_keep() -> None:
    record = next(one for one in expected("example.nl") if one.value.startswith("v=spf1"))
    texts = [" ".join(["v=spf1", *(f"a:{number}.example.nl" for number in range(3000))])]
    judged = judge.spf_text(record, texts, nobody)
    assert (judged.state, judged.merged) == ("different", None)
