"""Every row of the contract's table of refusals, each beside what the owner gets."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from app.caller import command_line
from app.operations import OPERATIONS
from tests.api.answers import assert_failure, assert_success, same_answer, unchanged
from tests.conftest import PASSWORD, Api

INFO = {"email": "info@example.nl"}
NEW = {**INFO, "password": PASSWORD}
# A stranger's requests about what is alice's; the code and field they are refused with.
ABOUT_ALICE: list[tuple[str, dict[str, Any], str, str]] = [
    ("enable-email", {"domain": "example.nl"}, "DOMAIN_NOT_FOUND", "domain"),
    ("disable-email", {"domain": "example.nl"}, "DOMAIN_NOT_FOUND", "domain"),
    ("list-users", {"domain": "example.nl"}, "DOMAIN_NOT_FOUND", "domain"),
    ("add-user", {**NEW, "email": "new@example.nl"}, "DOMAIN_NOT_FOUND", "email"),
    ("add-user", NEW, "DOMAIN_NOT_FOUND", "email"),
    ("remove-user", INFO, "MAILBOX_NOT_FOUND", "email"),
    ("remove-user", {**INFO, "hard_delete": True}, "MAILBOX_NOT_FOUND", "email"),
    ("restore-user", INFO, "MAILBOX_NOT_FOUND", "email"),
    ("update-password", NEW, "MAILBOX_NOT_FOUND", "email"),
    ("update-user", {**INFO, "quota_mb": 5}, "MAILBOX_NOT_FOUND", "email"),
]


@pytest.fixture
def info(api: Api) -> str:
    """A mailbox of alice's."""
    assert_success(api("add-user", **NEW), 201)
    return "info@example.nl"


def test_it_works(app: Flask, api: Api) -> None:
    with unchanged(app):
        error = assert_failure(api("update-password", **NEW), 404, "MAILBOX_NOT_FOUND", "email")
    assert error["recovery"]


@pytest.mark.parametrize(("endpoint", "body", "code", "field"), ABOUT_ALICE)
def test_it_hides_from_strangers(
    app: Flask, api: Api, endpoint: str, body: dict[str, Any], code: str, field: str
) -> None:
    """The same words for what is somebody else's as before it was there at all."""
    api("remove-domain", "root", domain="example.nl")
    absent = api(endpoint, "charlie", **body)
    assert_failure(absent, 404, code, field)
    api("add-domain", "root", domain="example.nl", project_id=1)
    api("enable-email", domain="example.nl")
    assert_success(api("add-user", **NEW), 201)
    with unchanged(app):
        assert same_answer(api(endpoint, "charlie", **body), absent)
    api("remove-user", **INFO)
    with unchanged(app):
        assert same_answer(api(endpoint, "charlie", **body), absent), "removed"


@pytest.mark.parametrize(("endpoint", "body", "code", "field"), ABOUT_ALICE)
def test_it_hides_domains_of_nobody_and_those_with_email_off(
    app: Flask, api: Api, endpoint: str, body: dict[str, Any], code: str, field: str
) -> None:
    api("disable-email", domain="example.nl")
    assert_failure(api(endpoint, "charlie", **body), 404, code, field)
    api("remove-domain", "root", domain="example.nl")
    api("add-domain", "root", domain="example.nl")
    assert_failure(api(endpoint, "charlie", **body), 404, code, field)
    assert_failure(api(endpoint, **body), 404, code, field)


def test_a_foreign_project_is_one_that_does_not_exist(app: Flask, api: Api, info: str) -> None:
    with unchanged(app):
        for endpoint, body, *_ in ABOUT_ALICE:
            foreign = api(endpoint, "charlie", project=1, **body)
            assert_failure(foreign, 404, "PROJECT_NOT_FOUND")
            assert same_answer(api(endpoint, "charlie", project=99, **body), foreign)
        for endpoint in ("list-domains", "list-users", "list-nodes", "add-node", "add-domain"):
            foreign = api(endpoint, "charlie", project=1)
            assert_failure(foreign, 404, "PROJECT_NOT_FOUND")
            assert same_answer(api(endpoint, "charlie", project=99), foreign)


def test_the_project_of_an_admins_call_must_exist(app: Flask, api: Api) -> None:
    with unchanged(app):
        for endpoint in ("list-nodes", "list-domains"):
            assert_failure(api(endpoint, "root", project=99), 404, "PROJECT_NOT_FOUND")
        answer = api("add-node", "root", project=99, name="mpi09")
        assert_failure(answer, 404, "PROJECT_NOT_FOUND")
    assert_success(api("list-nodes", "root", project=2))


def test_an_admin_acts_in_the_project_of_the_url_only(app: Flask, api: Api, info: str) -> None:
    with unchanged(app):
        refusal = api("update-password", "root", project=2, **NEW)
        assert_failure(refusal, 404, "MAILBOX_NOT_FOUND", "email")
    assert_success(api("update-password", "root", project=1, **NEW))


def test_a_domain_cannot_be_linked_to_an_absent_project(app: Flask, api: Api) -> None:
    with unchanged(app):
        refusal = api("add-domain", "root", domain="new.nl", project_id=99)
        assert refusal.status_code == 404
        assert refusal.get_json()["error"]["code"] == "PROJECT_NOT_FOUND"


@pytest.mark.parametrize(
    ("endpoint", "body", "field"),
    [
        ("add-user", {"email": "x@parked.nl", "password": PASSWORD}, "email"),
        ("remove-user", {"email": "x@parked.nl"}, "email"),
        ("remove-user", {"email": "x@parked.nl", "hard_delete": True}, "email"),
        ("restore-user", {"email": "x@parked.nl"}, "email"),
        ("update-password", {"email": "x@parked.nl", "password": PASSWORD}, "email"),
        ("update-user", {"email": "x@parked.nl", "quota_mb": 1}, "email"),
        ("list-users", {"domain": "parked.nl"}, "domain"),
    ],
)
def test_email_is_off(
    app: Flask, api: Api, endpoint: str, body: dict[str, Any], field: str
) -> None:
    with unchanged(app):
        error = assert_failure(api(endpoint, **body), 409, "EMAIL_NOT_ENABLED", field)
    assert "enable-email" in error["recovery"]


def test_an_address_is_taken(app: Flask, api: Api, info: str) -> None:
    with unchanged(app):
        for email in (info, "INFO@Example.NL", "info@example.nl."):
            refusal = api("add-user", email=email, password=PASSWORD)
            assert_failure(refusal, 409, "MAILBOX_EXISTS", "email")


def test_a_removed_mailbox_is_only_restored_or_removed(app: Flask, api: Api, info: str) -> None:
    api("remove-user", email=info)
    with unchanged(app):
        for endpoint, body in (
            ("add-user", NEW),
            ("update-password", NEW),
            ("update-user", {**INFO, "quota_mb": 7}),
        ):
            error = assert_failure(api(endpoint, **body), 409, "MAILBOX_REMOVED", "email")
            assert "restore-user" in error["recovery"]
            assert "hard_delete" in error["recovery"]


@pytest.mark.parametrize(
    ("endpoint", "who"), [("disable-email", "alice"), ("remove-domain", "root")]
)
def test_active_mailboxes_keep_a_domain(
    app: Flask, api: Api, info: str, endpoint: str, who: str
) -> None:
    api("add-user", email="sales@example.nl", password=PASSWORD)
    with unchanged(app):
        error = assert_failure(
            api(endpoint, who, domain="example.nl"), 409, "MAILBOXES_EXIST", "domain"
        )
    assert "2 active mailboxes" in error["message"]
    api("remove-user", email="sales@example.nl")
    error = assert_failure(
        api(endpoint, who, domain="example.nl"), 409, "MAILBOXES_EXIST", "domain"
    )
    assert "1 active mailbox." in error["message"]
    api("remove-user", email=info)
    assert_success(api(endpoint, who, domain="example.nl"))


def test_names_are_registered_once(app: Flask, api: Api) -> None:
    with unchanged(app):
        for name in ("example.nl", "EXAMPLE.nl.", "parked.nl", "charlie.nl"):
            refusal = api("add-domain", "root", domain=name)
            assert_failure(refusal, 409, "DOMAIN_EXISTS", "domain")
        assert_failure(api("add-node", "root", name="mpi01"), 409, "NODE_EXISTS", "name")


def test_an_absent_domain_cannot_be_removed(app: Flask, api: Api) -> None:
    with unchanged(app):
        refusal = api("remove-domain", "root", domain="absent.nl")
        assert_failure(refusal, 404, "DOMAIN_NOT_FOUND", "domain")


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("add-domain", {"domain": "new.nl"}),
        ("remove-domain", {"domain": "example.nl"}),
        ("list-nodes", {}),
        ("add-node", {"name": "mpi09"}),
        ("add-node", {"name": "NOT A NAME", "unknown": 1}),
    ],
)
@pytest.mark.parametrize("who", ["alice", "bob", "charlie"])
def test_customers_do_not_reach_what_admins_do(
    app: Flask, api: Api, who: str, endpoint: str, body: dict[str, Any]
) -> None:
    with unchanged(app):
        assert_failure(api(endpoint, who, **body), 403, "FORBIDDEN")


@pytest.mark.parametrize(
    "name", [name for name, one in OPERATIONS.items() if not one.reads and not one.is_internal]
)
def test_a_token_to_read_changes_nothing(app: Flask, api: Api, info: str, name: str) -> None:
    made = _admin_token_to_read(app, api)
    with unchanged(app):
        assert_failure(api(name, "bob", **INFO), 403, "FORBIDDEN")
        assert_failure(api(name, made, **INFO), 403, "FORBIDDEN")


def test_a_token_to_read_reads(app: Flask, api: Api, info: str) -> None:
    assert assert_success(api("list-users", "bob"))["total"] == 1
    assert assert_success(api("list-domains", "bob"))["total"] == 1
    assert assert_success(api("list-nodes", _admin_token_to_read(app, api)))["total"] == 1


def test_a_sub_domain_or_look_alike_of_a_linked_domain_is_not_linked(app: Flask, api: Api) -> None:
    with unchanged(app):
        for name in (
            "sub.example.nl",
            "xexample.nl",
            "example.nl.evil.nl",
            "nl.example",
            "\u0435xample.nl",  # the first letter is Cyrillic
        ):
            refusal = api("enable-email", domain=name)
            assert_failure(refusal, 404, "DOMAIN_NOT_FOUND", "domain")
            refusal = api("add-user", email=f"a@{name}", password=PASSWORD)
            assert_failure(refusal, 404, "DOMAIN_NOT_FOUND", "email")


def _admin_token_to_read(app: Flask, api: Api) -> str:
    with app.app_context():
        made = OPERATIONS["add-token"](command_line(), name="reader", scope="read")
    api.cast.tokens["reader"] = made.text
    return "reader"
