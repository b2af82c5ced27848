"""Who gets in: a good token in the one place where it belongs, and nobody else.

What each kind of credential opens is in tests/access.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

from app.caller import command_line
from app.credentials import SYNC_KEY, TOKEN, make
from app.extensions import db
from app.operations import OPERATIONS
from tests.api.answers import assert_failure, assert_success, same_answer, unchanged
from tests.conftest import PASSWORD, Api

URL = "/iapi/project/1/email_account/list-users"
ADD = "/iapi/project/1/email_account/add-user"


def test_it_works(api: Api) -> None:
    assert_success(api.client.get(URL, headers=api.as_("alice")))
    assert_success(api.client.get(URL, headers=api.as_("bob")))
    assert_success(api.client.get(URL, headers=api.as_("root")))


Wrong = Callable[[str], str]
WRONG: dict[str, Wrong] = {
    "nothing": lambda _token: "",
    "the scheme alone": lambda _token: "Bearer",
    "an empty token": lambda _token: "Bearer ",
    "no scheme": lambda token: token,
    "a lower-case scheme": lambda token: f"bearer {token}",
    "an upper-case scheme": lambda token: f"BEARER {token}",
    "another scheme": lambda token: f"Token {token}",
    "basic": lambda _token: "Basic YWxpY2U6c2VjcmV0",
    "two spaces": lambda token: f"Bearer  {token}",
    "a tab": lambda token: f"Bearer\t{token}",
    "a space after it": lambda token: f"Bearer {token} ",
    "quotes": lambda token: f'Bearer "{token}"',
    "twice in one header": lambda token: f"Bearer {token}, Bearer {token}",
    "a letter less": lambda token: f"Bearer {token[:-1]}",
    "a letter more": lambda token: f"Bearer {token}0",
    "another case": lambda token: f"Bearer {token.swapcase()}",
    "a wrong checksum": lambda token: f"Bearer {token[:-1]}{'1' if token[-1] == '0' else '0'}",
    "another letter": lambda token: (
        f"Bearer {token[:8]}{'a' if token[8] != 'a' else 'b'}{token[9:]}"
    ),
    "unknown": lambda _token: f"Bearer {make(TOKEN)}",
    "an unknown sync key": lambda _token: f"Bearer {make(SYNC_KEY)}",
    "not ASCII": lambda _token: "Bearer wpa_éééééééééééééééééééééééééééééééééééééé",
    "digits of another script": lambda _token: "Bearer wpa_" + "\u00b2" * 38,
    "8 kB": lambda _token: "Bearer " + "wpa_" * 2048,
    "a statement": lambda _token: "Bearer wpa_' OR 1=1 --",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_credential_is_refused(
    app: Flask, api: Api, caplog: pytest.LogCaptureFixture, wrong: str
) -> None:
    caplog.set_level(logging.DEBUG)
    header = WRONG[wrong](api.cast.tokens["alice"])
    _assert_refused_like_nothing(app, api, {"Authorization": header})
    assert api.cast.tokens["alice"] not in caplog.text


def test_two_headers_are_refused(app: Flask, api: Api) -> None:
    bearer = api.as_("alice")["Authorization"]
    for headers in (
        [("Authorization", bearer), ("Authorization", bearer)],
        [("Authorization", "Basic eDp5"), ("Authorization", bearer)],
        [("Authorization", bearer), ("Authorization", "Basic eDp5")],
    ):
        with unchanged(app):
            assert_failure(api.client.get(URL, headers=headers), 401, "UNAUTHORIZED")


def test_a_sync_key_opens_nothing_here(app: Flask, api: Api) -> None:
    _assert_refused_like_nothing(app, api, {"Authorization": f"Bearer {api.cast.sync_key}"})


def test_a_token_elsewhere_than_in_the_header_opens_nothing(
    app: Flask, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = api.cast.tokens["alice"]
    api.client.set_cookie("Authorization", f"Bearer {token}")
    api.client.set_cookie("session", token)
    with unchanged(app):
        answers = [
            api.client.get(URL, query_string={name: token})
            for name in ("access_token", "token", "api_key", "authorization")
        ]
        answers += [
            api.client.post(URL, json={"access_token": token}),
            api.client.post(URL, data={"access_token": token}),
            api.client.get(URL, headers={"X-Api-Key": token, "X-Authorization": f"Bearer {token}"}),
            api.client.get(URL, headers={"Proxy-Authorization": f"Bearer {token}"}),
            api.client.get(URL, auth=("alice", token)),
        ]
    for answer in answers:
        assert_failure(answer, 401, "UNAUTHORIZED")
        assert token not in answer.text
    assert token not in caplog.text


@pytest.mark.parametrize("ending", ["expires_at", "revoked_at"])
def test_a_token_ends(app: Flask, api: Api, ending: str) -> None:
    assert_success(api.client.get(URL, headers=api.as_("alice")))
    _execute(app, f"UPDATE tokens SET {ending} = '2020-01-01T00:00:00Z' WHERE name = 'alice'")
    _assert_refused_like_nothing(app, api, api.as_("alice"))
    assert_success(api.client.get(URL, headers=api.as_("bob")))


def test_a_token_that_is_revoked_is_refused_at_once(app: Flask, api: Api) -> None:
    assert_success(api("add-user", email="info@example.nl", password=PASSWORD), 201)
    with app.app_context():
        OPERATIONS["revoke-token"](command_line(), token_id=1)
    assert_failure(api("list-users"), 401, "UNAUTHORIZED")


def test_a_token_that_has_not_ended_yet_is_good(app: Flask, api: Api) -> None:
    _execute(app, "UPDATE tokens SET expires_at = '2999-01-01T00:00:00Z' WHERE name = 'alice'")
    assert_success(api("list-users"))


def test_the_last_use_of_a_token_is_recorded(app: Flask, api: Api) -> None:
    api("list-users")
    with app.app_context():
        used = db.session.execute(text("SELECT name FROM tokens WHERE last_used_at IS NOT NULL"))
        assert used.scalars().all() == ["alice"]


def _assert_refused_like_nothing(app: Flask, api: Api, headers: dict[str, str]) -> None:
    """The answer to a wrong credential is, byte for byte, the one to no credential at all."""
    body = {"email": "info@example.nl", "password": PASSWORD}
    requests: list[Callable[[dict[str, str]], TestResponse]] = [
        lambda headers: api.client.get(URL, headers=headers),
        lambda headers: api.client.post(ADD, json=body, headers=headers),
        lambda headers: api.client.post(ADD, data=b"{nonsense", headers=headers),
        lambda headers: api.client.get("/iapi/project/99/integrations", headers=headers),
        lambda headers: api.client.get("/iapi/project/x/integrations", headers=headers),
        lambda headers: api.client.get("/papi/project/1/pages", headers=headers),
    ]
    with unchanged(app):
        for request in requests:
            refused = request(headers)
            assert_failure(refused, 401, "UNAUTHORIZED")
            assert same_answer(refused, request({}))


def _execute(app: Flask, statement: str) -> None:
    with app.app_context():
        db.session.execute(text(statement))
        db.session.commit()
