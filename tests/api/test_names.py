"""Names and passwords as people write them, through the API: one row for one address, the typed
domain and no other, and nothing that a mail server would read differently.
"""

from __future__ import annotations

import bcrypt
import pytest
from flask import Flask

from app.extensions import db
from app.models import Mailbox
from app.passwords import HASH
from tests.api.answers import assert_failure, assert_success, unchanged
from tests.conftest import PASSWORD, Api


def test_it_works(api: Api) -> None:
    for email in (
        "INFO@Example.NL",
        "a.b-c_d@example.nl.",
        "1@example.nl",
        f"{'a' * 64}@example.nl",
    ):
        user = assert_success(api("add-user", email=email, password=PASSWORD), 201)["user"]
        assert user["email"] == email.lower().rstrip(".")


@pytest.mark.parametrize("again", ["info@example.nl", "INFO@EXAMPLE.NL", "Info@example.nl."])
def test_one_address_is_one_mailbox(app: Flask, api: Api, again: str) -> None:
    assert_success(api("add-user", email="INFO@Example.NL", password=PASSWORD), 201)
    with unchanged(app):
        assert_failure(
            api("add-user", email=again, password=PASSWORD), 409, "MAILBOX_EXISTS", "email"
        )
    assert_success(api("update-password", email=again, password="another battery"))


@pytest.mark.parametrize("name", ["postmaster", "abuse", "root", "mailer-daemon", "hostmaster"])
def test_reserved_names_are_the_owners_to_make(api: Api, name: str) -> None:
    assert_success(api("add-user", email=f"{name}@example.nl", password=PASSWORD), 201)


def test_a_plus_is_refused_with_what_it_does_instead(app: Flask, api: Api) -> None:
    with unchanged(app):
        refusal = api("add-user", email="info+shop@example.nl", password=PASSWORD)
    error = assert_failure(refusal, 422, "INVALID_INPUT", "email")
    assert "by itself" in error["message"]


@pytest.mark.parametrize(
    ("typed", "stored", "shown"),
    [
        ("Example.COM", "example.com", "example.com"),
        ("example.com.", "example.com", "example.com"),
        ("faß.de", "xn--fa-hia.de", "faß.de"),  # not fass.de, which is somebody else's
        ("FASS.de", "fass.de", "fass.de"),
        ("bücher.nl", "xn--bcher-kva.nl", "bücher.nl"),
        ("BU\u0308CHER.nl", "xn--bcher-kva.nl", "bücher.nl"),
        ("XN--BCHER-KVA.nl", "xn--bcher-kva.nl", "bücher.nl"),
        ("ex\u0430mple.com", "xn--exmple-4nf.com", "ex\u0430mple.com"),  # a Cyrillic letter
        ("example\uff0ecom", "example.com", "example.com"),  # a full-width dot
        ("exam\u00adple.com", "example.com", "example.com"),  # a soft hyphen
        ("\uff45xample.com", "example.com", "example.com"),  # a full-width letter
        ("münchen.example.com", "xn--mnchen-3ya.example.com", "münchen.example.com"),
        (f"{'a' * 63}.nl", f"{'a' * 63}.nl", f"{'a' * 63}.nl"),
    ],
    ids=ascii,
)
def test_the_domain_that_was_typed_is_stored(api: Api, typed: str, stored: str, shown: str) -> None:
    domain = assert_success(api("add-domain", "root", domain=typed, project_id=1), 201)["domain"]
    assert (domain["domain"], domain["domain_unicode"]) == (stored, shown)
    assert assert_success(api("enable-email", domain=typed))["domain"]["domain"] == stored
    user = assert_success(api("add-user", email=f"info@{typed}", password=PASSWORD), 201)["user"]
    assert (user["email"], user["domain"]) == (f"info@{stored}", stored)
    assert assert_success(api("list-users", domain=typed))["total"] == 1


@pytest.mark.parametrize(
    "typed", ["\u2460.nl", "\u200dexample.nl", "a\u2024b.nl", "..nl", "xn--.nl"]
)
def test_a_domain_of_odd_characters_is_refused_or_read_as_unicode_says(
    app: Flask, api: Api, typed: str
) -> None:
    """UTS 46 maps some of them, such as a circled digit, to plain letters; that is then stored."""
    answer = api("add-domain", "root", domain=typed)
    if answer.status_code == 201:
        domain = answer.get_json()["data"]["domain"]["domain"]
        assert domain.isascii()
        assert domain == domain.lower()
        return
    assert_failure(answer, 422, "INVALID_INPUT", "domain")


@pytest.mark.parametrize(
    "password",
    [
        "8 bytes.",
        "a" * 71 + "b",
        "é" * 36,
        "\U0001f600" * 18,
        " leading and trailing ",
        'colon:quote"backslash\\percent%d{braces}$(id)',
        "{PLAIN}geheim123",
        "\u00a0\u3000 spaces",
    ],
    ids=ascii,
)
def test_passwords_up_to_72_bytes_are_hashed_whole(app: Flask, api: Api, password: str) -> None:
    answer = api("add-user", email="info@example.nl", password=password)
    assert_success(answer, 201)
    stored = _hash_of(app, "info@example.nl")
    assert HASH.fullmatch(stored)
    plain = stored.removeprefix("{BLF-CRYPT}").encode()
    assert bcrypt.checkpw(password.encode(), plain)
    assert not bcrypt.checkpw(password.encode()[:-1], plain)


@pytest.mark.parametrize(
    ("password", "used"), [("a" * 73, 73), ("é" * 37, 74), ("\U0001f600" * 19, 76)]
)
def test_a_password_that_is_too_long_is_told_how_long_it_is(
    app: Flask, api: Api, password: str, used: int
) -> None:
    with unchanged(app):
        refusal = api("add-user", email="info@example.nl", password=password)
    error = assert_failure(refusal, 422, "INVALID_INPUT", "password")
    assert str(used) in error["message"]
    assert password[:8] not in refusal.text


def test_a_password_is_hashed_in_its_composed_form(app: Flask, api: Api) -> None:
    api("add-user", email="info@example.nl", password="cafe\u0301 geheim")
    stored = _hash_of(app, "info@example.nl").removeprefix("{BLF-CRYPT}").encode()
    assert bcrypt.checkpw("café geheim".encode(), stored)


def test_the_length_of_a_password_is_that_of_its_composed_form(app: Flask, api: Api) -> None:
    """36 letters and accents are 108 bytes as typed here, and 72 when put together."""
    answer = api("add-user", email="info@example.nl", password="e\u0301" * 36)
    assert_success(answer, 201)


@pytest.mark.parametrize("password", ["longname@example.nl", "LongName", "EXAMPLE.nl"])
def test_a_password_is_not_the_address(app: Flask, api: Api, password: str) -> None:
    email = "longname@example.nl"
    with unchanged(app):
        refusal = api("add-user", email=email, password=password)
        assert_failure(refusal, 422, "INVALID_INPUT", "password")
    api("add-user", email=email, password=PASSWORD)
    with unchanged(app):
        refusal = api("update-password", email=email, password=password)
        assert_failure(refusal, 422, "INVALID_INPUT", "password")


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7/32", "192.0.2.7"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("2001:DB8:0:0::7", "2001:db8::7"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
    ],
)
def test_a_nodes_address_is_stored_in_its_shortest_form(api: Api, typed: str, stored: str) -> None:
    answer = api("add-node", "root", name="mpi02", ip_address=typed)
    assert assert_success(answer, 201)["node"]["ip_address"] == stored


def _hash_of(app: Flask, email: str) -> str:
    with app.app_context():
        query = db.select(Mailbox.password_hash).where(Mailbox.email == email)
        return str(db.session.scalars(query).one())
