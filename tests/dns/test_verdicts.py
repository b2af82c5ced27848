"""What verdicts make of a domain, and how they are kept from look to look."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import clock
from app.dns import hosts, judge
from app.dns.records import Record
from app.dns.verdicts import DomainState, RecordState, Verdict, domain_state, settled
from tests.dns.zones import expected

RECORDS = expected("example.nl")
MX1, MX2, SPF, DKIM = RECORDS[:4]
DMARC = RECORDS[5]
MAIL = RECORDS[6]
LONG_AGO = "2026-01-01T00:00:00Z"


def verdict(
    record: Record, state: RecordState, *, since: str = LONG_AGO, held: bool | None = None
) -> Verdict:
    """A verdict as a look gives it."""
    is_known = state != "unknown"
    return Verdict(
        record,
        state,
        ("found",) if is_known else (),
        None if state == "ok" else f"It is {state}.",
        None,
        since if is_known else None,
        since,
        state == "ok" if held is None else held,
    )


def state_of(
    mx: RecordState,
    spf: RecordState,
    *,
    was: DomainState,
    since: str | None = None,
    held: bool | None = None,
) -> DomainState:
    """The state of a domain with one MX and an SPF record; all that is convenient is missing."""
    verdicts = [
        verdict(MX1, mx, held=held),
        verdict(SPF, spf, held=held),
        verdict(DMARC, "missing"),
        verdict(MAIL, "conflict"),
    ]
    return domain_state(verdicts, was=was, since=since or clock.now())


@pytest.mark.parametrize(
    ("mx", "spf", "was", "becomes"),
    [
        ("unknown", "unknown", "checking", "checking"),
        ("unknown", "ok", "checking", "checking"),
        ("missing", "missing", "checking", "pending"),
        ("different", "ok", "checking", "pending"),
        ("conflict", "ok", "pending", "pending"),
        ("unknown", "missing", "pending", "pending"),
        ("ok", "missing", "pending", "receiving"),
        ("ok", "unknown", "checking", "receiving"),
        ("ok", "different", "receiving", "receiving"),
        ("ok", "ok", "checking", "ready"),
        ("ok", "ok", "attention", "ready"),
        ("ok", "ok", "blocked", "ready"),
        ("ok", "unknown", "ready", "ready"),
        ("unknown", "unknown", "ready", "ready"),
        ("unknown", "unknown", "blocked", "blocked"),
        ("missing", "ok", "ready", "attention"),
        ("different", "ok", "receiving", "attention"),
        ("conflict", "missing", "attention", "attention"),
        ("missing", "ok", "blocked", "blocked"),
    ],
)
def test_it_works(
    mx: RecordState, spf: RecordState, was: DomainState, becomes: DomainState
) -> None:
    assert state_of(mx, spf, was=was) == becomes


def test_what_was_right_and_is_no_more_wants_attention() -> None:
    assert state_of("ok", "missing", was="ready", held=True) == "attention"
    assert state_of("ok", "missing", was="attention", held=True) == "attention"
    assert state_of("missing", "ok", was="pending", held=True) == "attention"


def test_after_72_hours_it_is_blocked() -> None:
    for spf in ("missing", "different"):
        before, after = clock.from_now(seconds=-71 * 3600), clock.from_now(seconds=-73 * 3600)
        assert state_of("ok", spf, was="attention", since=before, held=True) == "attention"
        assert state_of("ok", spf, was="attention", since=after, held=True) == "blocked"
    # It was ready for long, which is no trouble of long.
    assert state_of("missing", "ok", was="ready", since=LONG_AGO) == "attention"


def test_what_the_panel_begins_to_expect_takes_nothing_from_who_worked() -> None:
    verdicts = [verdict(MX1, "ok"), verdict(SPF, "ok"), verdict(DKIM, "missing")]
    assert domain_state(verdicts, was="ready", since=LONG_AGO) == "receiving"
    backup = [verdict(MX1, "ok"), verdict(MX2, "missing"), verdict(SPF, "ok")]
    assert domain_state(backup, was="ready", since=LONG_AGO) == "receiving"


def test_mail_that_arrives_again_is_enough_to_receive() -> None:
    verdicts = [verdict(MX1, "ok"), verdict(SPF, "missing")]
    assert domain_state(verdicts, was="blocked", since=LONG_AGO) == "receiving"


def test_without_an_expected_mx_nothing_changes() -> None:
    assert domain_state([], was="pending", since=LONG_AGO) == "pending"


def test_a_failed_look_keeps_what_was_known() -> None:
    before = verdict(SPF, "different")
    later = verdict(SPF, "unknown", since="2026-02-01T00:00:00Z")
    [kept] = settled([before], [later])
    assert (kept.state, kept.found, kept.checked_at, kept.since) == (
        "different", ("found",), LONG_AGO, LONG_AGO,
    )  # fmt: skip
    assert kept.advice == (
        "It could not be checked just now; this is what was found last. It is different."
    )
    [again] = settled([kept], [later])
    assert again == kept
    [seen] = settled([kept], [verdict(SPF, "different", since="2026-03-01T00:00:00Z")])
    assert (seen.advice, seen.since) == ("It is different.", LONG_AGO)
    assert seen.checked_at == "2026-03-01T00:00:00Z"


def test_a_new_state_has_a_new_beginning() -> None:
    later = "2026-02-01T00:00:00Z"
    [now] = settled([verdict(SPF, "ok")], [verdict(SPF, "missing", since=later)])
    assert (now.state, now.since, now.held) == ("missing", later, True)
    [back] = settled([now], [verdict(SPF, "ok", since="2026-03-01T00:00:00Z")])
    assert back.since == "2026-03-01T00:00:00Z"


def test_what_never_was_answered_stays_unknown() -> None:
    [kept] = settled([verdict(SPF, "unknown")], [verdict(SPF, "unknown", since=clock.now())])
    assert (kept.state, kept.checked_at, kept.since) == ("unknown", None, LONG_AGO)


def test_another_expected_value_begins_anew() -> None:
    other = replace(SPF, value="v=spf1 include:_spf.new.test ~all")
    [now] = settled([verdict(SPF, "ok")], [verdict(other, "unknown")])
    assert (now.state, now.held) == ("unknown", False)
    moved = replace(MX1, priority=15)
    assert settled([verdict(MX1, "ok")], [verdict(moved, "unknown")])[0].state == "unknown"


def test_words_may_change_without_a_new_beginning() -> None:
    reworded = replace(SPF, why="Because.")
    [now] = settled([verdict(SPF, "ok")], [verdict(reworded, "unknown")])
    assert (now.state, now.record.why) == ("ok", "Because.")


STATES: list[RecordState] = ["ok", "missing", "different", "conflict", "unknown"]
VERDICTS = st.builds(
    Verdict,
    record=st.sampled_from(RECORDS),
    state=st.sampled_from(STATES),
    found=st.lists(st.text(max_size=20), max_size=3).map(tuple),
    advice=st.none() | st.text(max_size=20),
    merged=st.none() | st.text(max_size=20),
    checked_at=st.none() | st.just(LONG_AGO),
    since=st.just(LONG_AGO),
    held=st.booleans(),
)


@given(VERDICTS)
def test_it_is_kept_as_json(one: Verdict) -> None:
    assert Verdict.from_json(json.loads(json.dumps(one.to_json()))) == one


def test_what_an_earlier_version_kept_can_be_read() -> None:
    kept = verdict(SPF, "ok").to_json()
    del kept["held"]
    assert Verdict.from_json(kept).record == SPF


@given(st.lists(VERDICTS, max_size=6), st.sampled_from(["checking", "pending", "ready", "blocked"]))
def test_a_look_without_any_answer_changes_nothing(before: list[Verdict], was: DomainState) -> None:
    now = [verdict(record, "unknown") for record in RECORDS]
    first = settled(before, now)
    state = domain_state(first, was=was, since=clock.now())
    again = settled(first, now)
    assert [(one.state, one.found, one.checked_at) for one in again] == [
        (one.state, one.found, one.checked_at) for one in first
    ]
    assert domain_state(again, was=state, since=clock.now()) == state


@given(st.text())
def test_whatever_is_shown_is_short_and_visible(text: str) -> None:
    [shown] = judge.shown([text])
    assert len(shown) <= judge.MAX_CHARACTERS
    assert shown.isprintable()


@pytest.mark.parametrize(
    ("name_servers", "provider"),
    [
        (["ana.ns.cloudflare.com", "bob.ns.cloudflare.com"], "Cloudflare"),
        (["ns0.transip.net", "ns1.transip.nl", "ns2.transip.eu."], "TransIP"),
        (["NS-1536.awsdns-00.co.uk", "ns-1.awsdns-00.com"], "Amazon Route 53"),
        (["ns-cloud-a1.googledomains.com"], "Google Cloud DNS"),
        (["ns1.example.nl", "hydrogen.ns.hetzner.com"], "Hetzner"),
        (["ns37.domaincontrol.com"], "GoDaddy"),
        (["ns1.nottransip.net", "transip.net.example.nl"], None),
        ([], None),
    ],
)
def test_providers_are_known_by_their_name_servers(
    name_servers: list[str], provider: str | None
) -> None:
    assert hosts.provider_of(name_servers) == provider
    assert bool(hosts.hint_of(provider)) is bool(provider)
