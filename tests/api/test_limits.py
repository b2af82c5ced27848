"""Rate limits: wrong credentials by address, changes by token, and nobody pays for another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import create_app
from app.config import Settings
from app.credentials import TOKEN, make
from app.extensions import db
from tests.api.answers import assert_failure, assert_success, same_answer, unchanged
from tests.conftest import PASSWORD, Api, Cast

URL = "/iapi/project/1/email_account/list-users"


def five(settings: Settings, trusted_proxies: int = 0) -> Settings:
    """Five wrong credentials and five changes a minute."""
    return replace(
        settings, rate_wrong_credentials=5, rate_writes=5, trusted_proxies=trusted_proxies
    )


@contextmanager
def running(settings: Settings) -> Iterator[Flask]:
    """A panel with other settings on the same data."""
    app = create_app(settings)
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def strict(cast: Cast, settings: Settings) -> Iterator[Api]:
    """Five wrong credentials and five changes a minute."""
    with running(five(settings)) as app:
        yield Api(app.test_client(), cast)


def ask(client: FlaskClient, credential: str | None, address: str = "192.0.2.9") -> TestResponse:
    """Read with a credential, from an address."""
    headers = {} if credential is None else {"Authorization": f"Bearer {credential}"}
    return client.get(URL, headers=headers, environ_base={"REMOTE_ADDR": address})


def test_it_works(strict: Api) -> None:
    for _ in range(5):
        assert_failure(ask(strict.client, make(TOKEN)), 401, "UNAUTHORIZED")
    refusal = ask(strict.client, make(TOKEN))
    assert_failure(refusal, 429, "RATE_LIMITED")
    assert 1 <= int(refusal.headers["Retry-After"]) <= 60


def test_every_kind_of_wrong_credential_counts(strict: Api) -> None:
    for wrong in ("x", "wpa_", make(TOKEN), strict.cast.sync_key, "é"):
        assert_failure(ask(strict.client, wrong), 401, "UNAUTHORIZED")
    for wrong in ("x", make(TOKEN)):
        assert_failure(ask(strict.client, wrong), 429, "RATE_LIMITED")


def test_json_and_node_urls_count_together(strict: Api) -> None:
    for _ in range(3):
        ask(strict.client, make(TOKEN))
    export = {
        "headers": {"Authorization": "Bearer x"},
        "environ_base": {"REMOTE_ADDR": "192.0.2.9"},
    }
    for _ in range(2):
        assert strict.client.get("/sync/v1/export", **export).status_code == 401
    assert_failure(strict.client.get("/sync/v1/export", **export), 429, "RATE_LIMITED")
    assert_failure(ask(strict.client, "x"), 429, "RATE_LIMITED")


def test_a_valid_credential_is_never_refused_for_the_failures_of_others(strict: Api) -> None:
    for _ in range(9):
        ask(strict.client, make(TOKEN))
        assert_success(ask(strict.client, strict.cast.tokens["alice"]))
    headers = {"Authorization": f"Bearer {strict.cast.sync_key}"}
    answer = strict.client.get(
        "/sync/v1/export", headers=headers, environ_base={"REMOTE_ADDR": "192.0.2.9"}
    )
    assert answer.status_code == 200


def test_a_missing_credential_is_not_counted(strict: Api) -> None:
    for _ in range(9):
        assert_failure(ask(strict.client, None), 401, "UNAUTHORIZED")
    assert_failure(ask(strict.client, "x"), 401, "UNAUTHORIZED")


def test_an_ipv6_network_of_64_bits_is_one_address(strict: Api) -> None:
    for number in range(5):
        assert_failure(ask(strict.client, "x", f"2001:db8::{number}"), 401, "UNAUTHORIZED")
    assert_failure(ask(strict.client, "x", "2001:db8::f:9"), 429, "RATE_LIMITED")
    assert_failure(ask(strict.client, "x", "2001:db8:0:1::9"), 401, "UNAUTHORIZED")


def test_each_address_has_its_own_allowance(strict: Api) -> None:
    for _ in range(6):
        last = ask(strict.client, "x", "192.0.2.9")
    assert_failure(last, 429, "RATE_LIMITED")
    for other in ("192.0.2.10", "2001:db8::9", "::1"):
        assert_failure(ask(strict.client, "x", other), 401, "UNAUTHORIZED")


def test_one_address_in_two_notations_is_one(strict: Api) -> None:
    for _ in range(5):
        ask(strict.client, "x", "::ffff:192.0.2.9")
    assert_failure(ask(strict.client, "x", "192.0.2.9"), 429, "RATE_LIMITED")


def test_a_limit_holds_over_all_processes(strict: Api, settings: Settings) -> None:
    with running(five(settings)) as app:
        other = app.test_client()
        for client in (strict.client, other, strict.client, other, strict.client):
            assert_failure(ask(client, "x"), 401, "UNAUTHORIZED")
        assert_failure(ask(other, "x"), 429, "RATE_LIMITED")
        assert_failure(ask(strict.client, "x"), 429, "RATE_LIMITED")


def test_the_allowance_comes_back(strict: Api) -> None:
    for _ in range(6):
        ask(strict.client, "x")
    with strict.client.application.app_context():
        db.session.execute(db.text("UPDATE buckets SET filled_at = filled_at - 12"))
        db.session.commit()
    assert_failure(ask(strict.client, "x"), 401, "UNAUTHORIZED")
    assert_failure(ask(strict.client, "x"), 429, "RATE_LIMITED")


@pytest.mark.parametrize(("ahead", "expected"), [(30, 429), (86400, 401)])
def test_a_clock_that_was_set_back_neither_locks_out_nor_lets_in(
    strict: Api, ahead: int, expected: int
) -> None:
    """By a little it refills nothing; by a day it would shut everybody out until then."""
    for _ in range(6):
        ask(strict.client, "x")
    with strict.client.application.app_context():
        db.session.execute(db.text(f"UPDATE buckets SET filled_at = filled_at + {ahead}"))
        db.session.commit()
    codes = [ask(strict.client, "x").status_code for _ in range(3)]
    assert codes[0] == expected
    assert codes[1:] == [429, 429]  # at once it counts as before, by the clock of now


def test_changes_are_limited_by_token(strict: Api) -> None:
    for number in range(5):
        answer = strict("add-user", email=f"user{number}@example.nl", password=PASSWORD)
        assert_success(answer, 201)
    with unchanged(strict.client.application):
        refusal = strict("add-user", email="user5@example.nl", password=PASSWORD)
        assert_failure(refusal, 429, "RATE_LIMITED")
        assert_failure(strict("remove-user", email="user0@example.nl"), 429, "RATE_LIMITED")


def test_refused_changes_count_too(strict: Api) -> None:
    for _ in range(5):
        assert_failure(strict("add-user", email="x"), 422, "INVALID_INPUT", "email")
    refusal = strict("add-user", email="info@example.nl", password=PASSWORD)
    assert_failure(refusal, 429, "RATE_LIMITED")


def test_reads_and_other_tokens_are_not_limited(strict: Api) -> None:
    for _ in range(6):
        last = strict("enable-email", domain="example.nl")
    assert_failure(last, 429, "RATE_LIMITED")
    assert_success(strict("list-users"))
    assert_success(strict("list-users", "bob"))
    assert_success(strict("enable-email", "charlie", domain="charlie.nl"))
    assert_success(strict("enable-email", "root", domain="example.nl"))


def test_nought_is_no_limit(api: Api) -> None:
    for _ in range(70):
        assert_failure(ask(api.client, "x"), 401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP"]
)
def test_forwarded_headers_are_ignored_without_a_proxy(strict: Api, header: str) -> None:
    for number in range(6):
        last = strict.client.get(
            URL,
            headers={"Authorization": "Bearer x", header: f"192.0.2.{number}"},
            environ_base={"REMOTE_ADDR": "198.51.100.1"},
        )
    assert_failure(last, 429, "RATE_LIMITED")


def test_the_last_forwarded_address_counts_behind_one_proxy(cast: Cast, settings: Settings) -> None:
    with running(five(settings, trusted_proxies=1)) as app:
        client = app.test_client()

        def ask_through_proxy(forwarded: str) -> TestResponse:
            return client.get(
                URL,
                headers={"Authorization": "Bearer x", "X-Forwarded-For": forwarded},
                environ_base={"REMOTE_ADDR": "127.0.0.1"},
            )

        for number in range(5):  # what the client itself wrote before does not help it
            refused = ask_through_proxy(f"203.0.113.{number}, 192.0.2.9")
            assert_failure(refused, 401, "UNAUTHORIZED")
        assert_failure(ask_through_proxy("192.0.2.9"), 429, "RATE_LIMITED")
        assert_failure(ask_through_proxy("192.0.2.10"), 401, "UNAUTHORIZED")
        for strange in ("nonsense", "", "192.0.2.9:80", "fe80::1%eth0", "x" * 4000):
            assert_failure(ask_through_proxy(strange), 401, "UNAUTHORIZED")


def test_a_refusal_says_nothing_of_the_credential(strict: Api) -> None:
    for _ in range(5):
        ask(strict.client, "x")
    refusals = [ask(strict.client, wrong) for wrong in ("x", make(TOKEN), strict.cast.sync_key)]
    assert same_answer(refusals[0], refusals[1])
    assert same_answer(refusals[0], refusals[2])
