"""The codes of authenticator apps, held against the standard's own."""

from __future__ import annotations

import base64

import pytest

from app import totp

# RFC 6238, appendix B: SHA-1, its secret, and the last 6 of the 8 digits that it gives.
SECRET = base64.b32encode(b"12345678901234567890").decode()
CODES = {
    59: "287082",
    1111111109: "081804",
    1111111111: "050471",
    1234567890: "005924",
    2000000000: "279037",
    20000000000: "353130",
}


@pytest.mark.parametrize(("seconds", "code"), CODES.items())
def test_it_works(seconds: int, code: str) -> None:
    assert totp.code_at(SECRET, seconds // totp.STEP_SECONDS) == code


def test_one_step_of_drift_is_allowed_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totp, "present_step", lambda: 500)
    found = [totp.step_of(SECRET, totp.code_at(SECRET, step), after=0) for step in range(497, 504)]
    assert found == [None, None, 499, 500, 501, None, None]


def test_a_step_is_accepted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totp, "present_step", lambda: 500)
    assert totp.step_of(SECRET, totp.code_at(SECRET, 500), after=500) is None
    assert totp.step_of(SECRET, totp.code_at(SECRET, 499), after=500) is None
    assert totp.step_of(SECRET, totp.code_at(SECRET, 501), after=500) == 501


def test_secrets_differ_and_are_as_long_as_the_digest() -> None:
    secrets = {totp.make_secret() for _ in range(20)}
    assert len(secrets) == 20
    assert {len(base64.b32decode(secret)) for secret in secrets} == {20}


def test_the_address_for_apps_names_the_account() -> None:
    address = totp.address_for_apps("ABC", "o'x/y&z@a.example", "Mail cote")
    assert (
        address
        == "otpauth://totp/Mail%20cote:o%27x%2Fy%26z%40a.example?secret=ABC&issuer=Mail%20cote"
    )
