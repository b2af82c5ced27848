"""Passwords: the policy, the hash, and who matches it."""

from __future__ import annotations

import re
import string
import threading

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import Busy, Invalid
from app.passwords import HASH, NewPassword, generate, hash_of_none, matches

COST = 4  # the lowest there is: these tests are not about how long it takes


@pytest.mark.parametrize(
    "text",
    [
        "hunter23", "a" * 8 + "b", "x" * 71 + "y", "é" * 36, "é" * 4, "😀" * 18, "😀" * 2,
        "correct horse battery", " leading and trailing ", "a:b:c:d%{e}\\'\"`$#", "пароль-мой",
        "パスワード一二三",
    ],
)  # fmt: skip
def test_a_good_one_is_accepted_and_matches(text: str) -> None:
    stored = NewPassword(text).hash(COST)
    assert matches(text, stored)
    assert not matches(text + "x", stored)


@pytest.mark.parametrize(
    ("text", "used"),
    [("a" * 73, 73), ("é" * 37, 74), ("😀" * 19, 76), ("a" * 71 + "é", 73), ("a" * 1000, 1000)],
)
def test_it_rejects_more_than_72_bytes_and_says_how_many(text: str, used: int) -> None:
    with pytest.raises(Invalid, match=f"at most 72 bytes, and this one has {used}"):
        NewPassword(text)


@pytest.mark.parametrize("text", ["", "a", "seven77", "é" * 3, "😀"])
def test_it_rejects_fewer_than_8_bytes(text: str) -> None:
    with pytest.raises(Invalid, match="too short"):
        NewPassword(text)


@pytest.mark.parametrize(
    "character", ["\0", "\t", "\n", "\r", "\x1b", "\x7f", "\x80", "\x85", "\x9f"]
)
def test_it_rejects_control_characters(character: str) -> None:
    for text in (f"long{character}enough", f"{character}long enough", f"long enough{character}"):
        with pytest.raises(Invalid, match="control character"):
            NewPassword(text)


def test_it_rejects_what_is_no_unicode() -> None:
    with pytest.raises(Invalid, match="not valid Unicode"):
        NewPassword("long enough \ud800")


@pytest.mark.parametrize(
    "text", ["password", "PASSWORD", "Password1", "12345678", "qwertyuiop", "iloveyou", "welkom01"]
)
def test_it_rejects_common_ones(text: str) -> None:
    with pytest.raises(Invalid, match="most common"):
        NewPassword(text)


@pytest.mark.parametrize(
    "text",
    ["info-desk@example.nl", "INFO-DESK@EXAMPLE.NL", "info-desk", "example.nl", "Example.NL"],
)
def test_it_rejects_the_address_and_its_parts(text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        NewPassword(text).refuse_if_named_like("info-desk@example.nl", "info-desk", "example.nl")
    assert refusal.value.field == "password"
    assert text not in refusal.value.message


def test_one_that_contains_the_name_is_nobody_s_business() -> None:
    NewPassword("info-desk1").refuse_if_named_like("info-desk@example.nl", "info-desk")


def test_it_is_hashed_in_nfc() -> None:
    composed, decomposed = "caf\u00e9 au lait", "cafe\u0301 au lait"
    assert matches(composed, NewPassword(decomposed).hash(COST))
    assert matches(decomposed, NewPassword(composed).hash(COST))


def test_its_length_is_counted_after_normalisation() -> None:
    assert matches("é" * 36, NewPassword("e\u0301" * 36).hash(COST))


@pytest.mark.parametrize("cost", [4, 5, 6])
def test_the_hash_has_dovecot_s_scheme_and_the_cost_asked_for(cost: int) -> None:
    stored = NewPassword("correct horse").hash(cost)
    assert re.fullmatch(r"\{BLF-CRYPT\}\$2y\$0" + str(cost) + r"\$[./A-Za-z0-9]{53}", stored)
    assert HASH.fullmatch(stored)


def test_the_hash_is_computed_once_and_salted() -> None:
    password = NewPassword("correct horse")
    assert password.hash(COST) == password.hash(COST)
    assert password.hash(COST) != NewPassword("correct horse").hash(COST)


def test_its_text_never_shows() -> None:
    password = NewPassword("correct horse")
    assert "horse" not in f"{password} {password!r} {[password]}"


def test_72_bytes_match_and_a_longer_one_never_does() -> None:
    stored = NewPassword("x" * 71 + "y").hash(COST)
    assert matches("x" * 71 + "y", stored)
    assert not matches("x" * 71 + "yz", stored)
    assert not matches("x" * 71 + "y" + "z" * 1000, stored)
    assert not matches("x" * 72, stored)


def test_nothing_after_a_nul_is_ignored() -> None:
    stored = NewPassword("correct horse").hash(COST)
    assert not matches("correct horse\0", stored)
    assert not matches("correct horse\0battery", stored)


@pytest.mark.parametrize("prefix", ["2a", "2b", "2y"])
def test_every_name_of_the_same_algorithm_matches(prefix: str) -> None:
    hashed = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(COST)).decode()
    assert matches("correct horse", "{BLF-CRYPT}" + hashed.replace("$2b$", f"${prefix}$"))


def test_a_malformed_hash_matches_nothing() -> None:
    good = NewPassword("correct horse").hash(COST)
    for stored in (
        "", "x", "{BLF-CRYPT}", "{PLAIN}correct horse", "{PLAIN-MD5}x", "{CRYPT}" + good[11:],
        good[11:], good[:-1], good + "x", good + "\n", " " + good, good + ":0:0", good.lower(),
        good.replace("$2y$", "$2x$"), good.replace("$04$", "$03$"), good.replace("$04$", "$31$"),
        good[:-1] + "é", good[:18] + "9" * 53, good[:39] + "/" + good[40:], "*", "!",
    ):  # fmt: skip
        assert not matches("correct horse", stored)
        assert not matches("", stored)


@given(st.text("./" + string.ascii_letters + string.digits, min_size=53, max_size=53))
@settings(max_examples=40, deadline=None)
def test_any_text_of_the_right_form_matches_nothing(text: str) -> None:
    assert not matches("correct horse", "{BLF-CRYPT}$2y$04$" + text)


def test_text_that_is_no_unicode_matches_nothing() -> None:
    assert not matches("correct horse\ud800", NewPassword("correct horse").hash(COST))


@given(st.text(max_size=80))
@settings(max_examples=60, deadline=None)
def test_any_text_is_refused_or_matches_its_own_hash(text: str) -> None:
    try:
        password = NewPassword(text)
    except Invalid as refusal:
        assert len(text) < 8 or text not in refusal.message
        return
    assert matches(text, password.hash(COST))


def test_a_generated_one_has_20_characters_that_are_not_confused() -> None:
    made = {generate() for _time in range(100)}
    assert len(made) == 100
    assert {len(text) for text in made} == {20}
    assert not set("".join(made)) & set("lI1O0 ")
    assert all(matches(text, NewPassword(text).hash(COST)) for text in sorted(made)[:3])


def test_who_cannot_wait_is_told_to_come_back() -> None:
    slow, outcomes = NewPassword("correct horse").hash(6), []

    def sign_in() -> None:
        try:
            outcomes.append(matches("correct horse", slow))
        except Busy as refusal:
            outcomes.append(refusal.retry_after == 2)

    threads = [threading.Thread(target=sign_in) for _number in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [True] * 60


def test_a_hash_of_none_is_well_formed_and_no_password_s() -> None:
    for cost in (4, 10, 14):
        assert HASH.fullmatch(hash_of_none(cost))
    for text in ("", ".", "/", "." * 31, "." * 30 + "/"):
        assert not matches(text, hash_of_none(COST))
