"""Tokens, sync keys and one-time links."""

from __future__ import annotations

import hashlib
import string
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.credentials import SYNC_KEY, TOKEN, WELCOME, digest, hint, is_well_formed, make

PREFIXES = [TOKEN, SYNC_KEY, WELCOME]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_it_works(prefix: str) -> None:
    credential = make(prefix)
    assert credential.startswith(prefix)
    assert set(credential.removeprefix(prefix)) <= set(string.ascii_letters + string.digits)
    assert len(credential) == len(prefix) + 32 + 6
    assert is_well_formed(credential, prefix)


def test_the_prefixes_are_the_contract_s() -> None:
    assert PREFIXES == ["wpa_", "mck_", "mcw_"]


def test_no_two_are_the_same() -> None:
    assert len({make(TOKEN) for _time in range(200)}) == 200


@pytest.mark.parametrize("prefix", PREFIXES)
def test_it_rejects_one_of_another_kind(prefix: str) -> None:
    for other in PREFIXES:
        assert is_well_formed(make(prefix), other) == (prefix == other)


def test_it_rejects_every_mistyped_character() -> None:
    credential = make(TOKEN)
    for place, character in enumerate(credential):
        for typed in {"a", "B", "7", "é", " ", ""} - {character}:
            assert not is_well_formed(credential[:place] + typed + credential[place + 1 :], TOKEN)


def test_it_rejects_two_characters_that_changed_places() -> None:
    credential = make(TOKEN)
    for place in range(len(credential) - 1):
        first, second = credential[place], credential[place + 1]
        swapped = credential[:place] + second + first + credential[place + 2 :]
        assert is_well_formed(swapped, TOKEN) == (first == second)


@given(st.text(max_size=60))
def test_it_rejects_any_text(text: str) -> None:
    assert not is_well_formed(text, TOKEN)
    assert not is_well_formed(TOKEN + text, TOKEN)


def test_the_checksum_is_the_crc_32_in_base_62() -> None:
    credential = make(TOKEN)
    digits = string.digits + string.ascii_uppercase + string.ascii_lowercase
    number = 0
    for digit in credential[-6:]:
        number = number * 62 + digits.index(digit)
    assert number == zlib.crc32(credential[:-6].encode())


def test_its_digest_is_its_sha_256() -> None:
    assert digest("wpa_x") == hashlib.sha256(b"wpa_x").hexdigest()


def test_its_hint_tells_four_characters_of_it() -> None:
    credential = make(TOKEN)
    assert hint(credential) == credential[:8]
