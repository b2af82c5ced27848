"""What existing n8n clients send: always POST, the body wrapped under an empty name, and a
credential test at an address of the platform they were made for.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask

from tests.api.answers import assert_failure, assert_success, same_answer, unchanged
from tests.conftest import PASSWORD, Api

NEW = {"email": "info@example.nl", "password": PASSWORD, "quota_mb": 5}


@pytest.mark.parametrize(
    "body",
    [{"": json.dumps(NEW)}, {"": NEW}, {"": json.dumps(NEW, indent=2)}],
    ids=["text", "object", "lines"],
)
def test_it_works(api: Api, body: dict[str, Any]) -> None:
    user = assert_success(_post(api, "add-user", body), 201)["user"]
    assert (user["email"], user["quota_mb"]) == ("info@example.nl", 5)


@pytest.mark.parametrize("endpoint", ["list-users", "list-domains"])
@pytest.mark.parametrize("body", [{"": "{}"}, {"": {}}, {"": ""}, {}])
def test_empty_input_is_an_empty_object(api: Api, endpoint: str, body: dict[str, Any]) -> None:
    assert_success(_post(api, endpoint, body))


def test_it_is_unwrapped_whoever_sends_it(api: Api) -> None:
    for agent in ("n8n", "curl/8", ""):
        body = {"": '{"limit": 1}'}
        assert_success(_post(api, "list-users", body, {"User-Agent": agent}))


def test_what_is_wrapped_is_read_as_strictly(app: Flask, api: Api) -> None:
    with unchanged(app):
        for inner in ({**NEW, "unknown": 1}, {"unknown": 1}):
            for wrapped in (inner, json.dumps(inner)):
                refusal = _post(api, "add-user", {"": wrapped})
                assert_failure(refusal, 422, "INVALID_INPUT", "unknown")
        wrong = {**NEW, "quota_mb": "5"}
        for wrapped in (wrong, json.dumps(wrong)):
            refusal = _post(api, "add-user", {"": wrapped})
            assert_failure(refusal, 422, "INVALID_INPUT", "quota_mb")


@pytest.mark.parametrize(
    "inner",
    [
        "nonsense",
        "{",
        "[]",
        '"text"',
        "1",
        "null",
        "{}{}",
        "NaN",
        '{"limit": NaN}',
        '{"limit": 1, "limit": 1}',
        "\ufeff{}",
        "{}\0",
        "\ud800",
        "[" * 20_000,
        '{"a": [[[[1]]]]}',
    ],
    ids=ascii,
)
def test_nonsense_inside_is_malformed(app: Flask, api: Api, inner: str) -> None:
    with unchanged(app):
        assert_failure(_post(api, "list-users", {"": inner}), 400, "MALFORMED_JSON")


@pytest.mark.parametrize("inner", [1, 1.5, True, None, [], [{}]])
def test_anything_else_under_an_empty_name_is_an_unknown_field(
    app: Flask, api: Api, inner: object
) -> None:
    with unchanged(app):
        assert_failure(_post(api, "list-users", {"": inner}), 422, "INVALID_INPUT", "")


def test_it_is_unwrapped_once(app: Flask, api: Api) -> None:
    with unchanged(app):
        for body in ('{"": {"": {}}}', '{"": "{\\"\\": {}}"}'):
            refusal = _post(api, "list-users", json.loads(body))
            assert_failure(refusal, 422, "INVALID_INPUT", "")


def test_an_empty_name_beside_others_is_an_unknown_field(app: Flask, api: Api) -> None:
    with unchanged(app):
        refusal = _post(api, "list-users", {"": "{}", "limit": 1})
        assert_failure(refusal, 422, "INVALID_INPUT", "")


def test_a_password_in_nonsense_is_not_repeated(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    refusal = _post(api, "add-user", {"": f'{{"password": "{PASSWORD}"'})
    assert_failure(refusal, 400, "MALFORMED_JSON")
    assert PASSWORD not in refusal.text
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize("who", ["alice", "bob", "root"])
def test_the_credential_test_accepts_a_good_token(api: Api, who: str) -> None:
    answer = api.client.get("/papi/project/1/pages", headers=api.as_(who))
    assert assert_success(answer) == []


def test_the_credential_test_refuses_every_other_token_alike(app: Flask, api: Api) -> None:
    refused = api.client.get("/papi/project/1/pages")
    assert_failure(refused, 401, "UNAUTHORIZED")
    with unchanged(app):
        for project in ("1", "99", "0", "x"):
            answer = api.client.get(f"/papi/project/{project}/pages", headers=api.as_("charlie"))
            assert same_answer(answer, refused)
        answer = api.client.get("/papi/project/99/pages", headers=api.as_("root"))
        assert same_answer(answer, refused)


def test_integrations_is_for_those_with_a_token_of_the_project(api: Api) -> None:
    url = "/iapi/project/1/integrations"
    assert_success(api.client.get(url, headers=api.as_("bob")))
    assert_failure(api.client.get(url), 401, "UNAUTHORIZED")
    foreign = api.client.get(url, headers=api.as_("charlie"))
    assert_failure(foreign, 404, "PROJECT_NOT_FOUND")
    absent = api.client.get("/iapi/project/99/integrations", headers=api.as_("charlie"))
    assert same_answer(foreign, absent)


def _post(api: Api, endpoint: str, body: object, headers: dict[str, str] | None = None) -> Any:
    return api.client.post(
        f"/iapi/project/1/email_account/{endpoint}",
        data=json.dumps(body),
        content_type="application/json",
        headers={**api.as_("alice"), **(headers or {})},
    )
