"""Every endpoint with its verbs, its fields and the shape of its answer."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask

from app.extensions import db
from app.models import Mailbox, PurgeOrder
from app.operations import OFFERED
from tests.api.answers import assert_failure, assert_success, state, unchanged
from tests.conftest import PASSWORD, Api

# The contract, typed in: endpoint, whether it reads, who may call it, its fields.
ELEVEN = {
    "enable-email": (False, "project", {"domain"}),
    "disable-email": (False, "project", {"domain"}),
    "list-domains": (True, "project", set()),
    "add-user": (False, "project", {"email", "password", "quota_mb"}),
    "remove-user": (False, "project", {"email", "hard_delete"}),
    "list-users": (True, "project", {"domain", "limit", "cursor"}),
    "update-password": (False, "project", {"email", "password"}),
    "add-domain": (False, "admin", {"domain", "project_id"}),
    "remove-domain": (False, "admin", {"domain"}),
    "list-nodes": (True, "admin", set()),
    "add-node": (False, "admin", {"name", "ip_address", "key_as_link"}),
}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
USER = {
    "email",
    "domain",
    "quota_mb",
    "active",
    "can_login",
    "can_receive",
    "created_at",
    "updated_at",
}
DOMAIN = {
    "domain",
    "domain_unicode",
    "email_enabled",
    "mailboxes",
    "active_mailboxes",
    "created_at",
}
NODE = {
    "name",
    "ip_address",
    "host",
    "mx_priority",
    "state",
    "last_sync_at",
    "applied_revision",
    "agent_version",
    "created_at",
}
NEW = {"email": "info@example.nl", "password": PASSWORD}


def test_it_works(api: Api) -> None:
    user = assert_success(api("add-user", **NEW), 201)["user"]
    assert user.keys() == {*USER, "sync"}
    assert (user["email"], user["domain"], user["quota_mb"]) == (
        "info@example.nl",
        "example.nl",
        1024,
    )
    assert (user["active"], user["can_login"], user["can_receive"]) == (True, True, True)
    assert MOMENT.fullmatch(user["created_at"])
    assert user["updated_at"] == user["created_at"]
    assert user["sync"].keys() == {"revision", "nodes", "nodes_applied"}
    assert (user["sync"]["nodes"], user["sync"]["nodes_applied"]) == (1, 0)


def test_the_eleven_are_what_the_contract_says() -> None:
    offered = {
        operation.name: (operation.reads, operation.who, set(operation.properties))
        for operation in OFFERED
    }
    assert {name: offered[name] for name in ELEVEN} == ELEVEN


@pytest.mark.parametrize("service", ["email_account", "email-account"])
@pytest.mark.parametrize("endpoint", ["list-domains", "list-users", "list-nodes"])
def test_reads_answer_get_and_post_under_both_spellings(
    api: Api, service: str, endpoint: str
) -> None:
    url = f"/iapi/project/1/{service}/{endpoint}"
    by_get = api.client.get(url, headers=api.as_("root"))
    by_post = api.client.post(url, json={}, headers=api.as_("root"))
    without_body = api.client.post(url, headers=api.as_("root"))
    assert assert_success(by_get) == assert_success(by_post) == assert_success(without_body)
    assert api.client.head(url, headers=api.as_("root")).status_code == 200


@pytest.mark.parametrize("endpoint", [name for name, (reads, *_) in ELEVEN.items() if not reads])
def test_changes_refuse_get(app: Flask, api: Api, endpoint: str) -> None:
    with unchanged(app):
        answer = api.client.get(
            f"/iapi/project/1/email_account/{endpoint}", headers=api.as_("root"), query_string=NEW
        )
    assert_failure(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["Allow"] == "POST"


def test_domains_are_shown_with_their_counts(api: Api) -> None:
    api("add-user", **NEW)
    api("add-user", email="sales@example.nl", password=PASSWORD)
    api("remove-user", email="sales@example.nl")
    data = assert_success(api("list-domains"))
    assert data.keys() == {"domains", "total"}
    assert data["total"] == 1, "parked.nl has its e-mail off"
    (domain,) = data["domains"]
    assert domain.keys() == DOMAIN
    assert (domain["domain"], domain["domain_unicode"]) == ("example.nl", "example.nl")
    assert (domain["mailboxes"], domain["active_mailboxes"]) == (2, 1)
    assert domain["email_enabled"] is True
    assert MOMENT.fullmatch(domain["created_at"])


def test_domains_are_sorted_and_tell_admins_their_project(api: Api) -> None:
    for name in ("zebra.nl", "bücher.nl", "aap.nl"):
        api("add-domain", "root", domain=name, project_id=1)
        api("enable-email", domain=name)
    names = [domain["domain"] for domain in assert_success(api("list-domains"))["domains"]]
    assert names == sorted(names) == ["aap.nl", "example.nl", "xn--bcher-kva.nl", "zebra.nl"]
    for domain in assert_success(api("list-domains", "root"))["domains"]:
        assert domain.keys() == {*DOMAIN, "project_id"}
        assert domain["project_id"] == 1


def test_email_is_turned_on_and_off_and_doing_it_again_changes_nothing(
    app: Flask, api: Api
) -> None:
    for endpoint, enabled in (("enable-email", True), ("disable-email", False)):
        domain = assert_success(api(endpoint, domain="parked.nl"))["domain"]
        assert domain.keys() == DOMAIN
        assert (domain["domain"], domain["email_enabled"]) == ("parked.nl", enabled)
        revision = state(app)["feed"]
        assert assert_success(api(endpoint, domain="Parked.NL."))["domain"] == domain
        assert state(app)["feed"] == revision, "nodes are not bothered"


def test_users_are_shown_sorted_with_removed_ones(api: Api) -> None:
    for name in ("b", "a.b", "a-b", "a", "a_b", "a1"):
        assert_success(api("add-user", email=f"{name}@example.nl", password=PASSWORD), 201)
    assert_success(api("remove-user", email="b@example.nl"))
    data = assert_success(api("list-users"))
    assert data.keys() == {"users", "total", "next_cursor"}
    assert (data["total"], data["next_cursor"]) == (6, None)
    emails = [user["email"] for user in data["users"]]
    assert emails == sorted(emails, key=str.encode)
    *live, removed = data["users"]
    assert all(user.keys() == USER and user["active"] is True for user in live)
    assert removed.keys() == {*USER, "purge_at"}
    assert removed["active"] is False
    assert MOMENT.fullmatch(removed["purge_at"])


@pytest.mark.parametrize("by", ["get", "post"])
def test_users_come_in_pages(api: Api, by: str) -> None:
    emails = [f"user{number:02}@example.nl" for number in range(7)]
    for email in emails:
        api("add-user", email=email, password=PASSWORD)
    found: list[str] = []
    page: dict[str, Any] = {"limit": 3, "domain": "EXAMPLE.nl"}
    while True:
        if by == "post":
            answer = api("list-users", **page)
        else:
            answer = api.client.get(
                "/iapi/project/1/email_account/list-users",
                query_string=page,
                headers=api.as_("alice"),
            )
        data = assert_success(answer)
        assert data["total"] == 7
        assert len(data["users"]) <= 3
        found += [user["email"] for user in data["users"]]
        if data["next_cursor"] is None:
            break
        page["cursor"] = data["next_cursor"]
    assert found == emails


def test_a_page_that_ends_with_the_list_is_the_last(api: Api) -> None:
    for name in ("a", "b"):
        api("add-user", email=f"{name}@example.nl", password=PASSWORD)
    assert assert_success(api("list-users", limit=2))["next_cursor"] is None
    assert assert_success(api("list-users", limit=1000))["next_cursor"] is None
    data = assert_success(api("list-users", limit=1))
    assert [user["email"] for user in data["users"]] == ["a@example.nl"]
    rest = assert_success(api("list-users", cursor=data["next_cursor"]))
    assert [user["email"] for user in rest["users"]] == ["b@example.nl"]
    assert (rest["total"], rest["next_cursor"]) == (2, None)


def test_a_password_is_changed_and_never_shown(app: Flask, api: Api) -> None:
    api("add-user", **NEW)
    before = state(app)["mailboxes"]
    answer = api("update-password", email="INFO@example.nl", password="another battery")
    assert assert_success(answer)["user"].keys() == {*USER, "sync"}
    assert "battery" not in answer.text
    assert "$2y$" not in answer.text
    assert state(app)["mailboxes"] != before


def test_a_mailbox_is_removed_and_restored(api: Api) -> None:
    api("add-user", **NEW)
    removed = assert_success(api("remove-user", email="info@example.nl"))["user"]
    assert removed.keys() == {*USER, "purge_at", "sync"}
    assert removed["active"] is False
    again = assert_success(api("remove-user", email="info@example.nl"))["user"]
    assert again == removed, "idempotent, with the same purge date and revision"
    restored = assert_success(api("restore-user", email="info@example.nl"))["user"]
    assert restored.keys() == {*USER, "sync"}
    assert restored["active"] is True
    assert restored["sync"]["revision"] == removed["sync"]["revision"] + 1
    assert assert_success(api("restore-user", email="info@example.nl"))["user"] == restored


@pytest.mark.parametrize("is_removed_before", [False, True])
def test_a_mailbox_is_removed_for_good(app: Flask, api: Api, is_removed_before: bool) -> None:
    api("add-user", **NEW)
    with app.app_context():
        key = db.session.scalars(db.select(Mailbox.id)).one()
    if is_removed_before:
        api("remove-user", email="info@example.nl")
    answer = api("remove-user", email="INFO@example.nl", hard_delete=True)
    assert assert_success(answer) == {"user": {"email": "info@example.nl", "removed": True}}
    with app.app_context():
        assert db.session.scalars(db.select(Mailbox)).all() == []
        order = db.session.scalars(db.select(PurgeOrder)).one()
        assert (order.mailbox_id, order.is_released) == (key, True)
    assert_failure(
        api("remove-user", email="info@example.nl", hard_delete=True),
        404,
        "MAILBOX_NOT_FOUND",
        "email",
    )
    assert_success(api("add-user", **NEW), 201)
    with app.app_context():
        assert db.session.scalars(db.select(Mailbox.id)).one() != key


def test_a_mailbox_gets_other_settings(api: Api) -> None:
    api("add-user", **NEW)
    changes: dict[str, Any] = {"quota_mb": 2048, "can_login": False, "can_receive": False}
    user = assert_success(api("update-user", email="info@example.nl", **changes))["user"]
    assert {name: user[name] for name in changes} == changes
    assert user["active"] is True, "active says whether it is removed, and nothing else"


def test_a_domain_is_registered_and_removed(api: Api) -> None:
    answer = api("add-domain", "root", domain="Bücher.NL.")
    domain = assert_success(answer, 201)["domain"]
    assert domain.keys() == {*DOMAIN, "project_id"}
    assert (domain["domain"], domain["domain_unicode"]) == ("xn--bcher-kva.nl", "bücher.nl")
    assert domain["project_id"] is None, "the project of the URL does not fill it in"
    assert domain["email_enabled"] is False
    gone = assert_success(api("remove-domain", "root", domain="BÜCHER.nl"))
    assert gone == {"domain": {"domain": "xn--bcher-kva.nl", "removed": True}}


def test_a_node_is_added_and_its_key_shown_once(api: Api) -> None:
    answer = api("add-node", "root", name="mpi02", ip_address="192.0.2.0/24")
    node = assert_success(answer, 201)["node"]
    assert node.keys() == {*NODE, "sync_key"}
    assert re.fullmatch(r"mck_[0-9A-Za-z]{38}", node["sync_key"])
    listed = api("list-nodes", "root")
    data = assert_success(listed)
    assert data.keys() == {"nodes", "total"}
    assert [one["name"] for one in data["nodes"]] == ["mpi01", "mpi02"]
    assert data["total"] == 2
    assert all(one.keys() == NODE for one in data["nodes"])
    assert data["nodes"][1] == {name: node[name] for name in NODE}
    assert (node["ip_address"], node["state"], node["last_sync_at"]) == (
        "192.0.2.0/24",
        "waiting",
        None,
    )
    assert "mck_" not in listed.text


def test_an_unknown_endpoint_is_a_404_in_the_envelope(api: Api) -> None:
    for url in (
        "/iapi/project/1/email_account/add_user",
        "/iapi/project/1/email_account/assign-domain",  # the operator's, not a program's
        "/iapi/project/1/email_account/",
        "/iapi/project/1/email_account",
        "/iapi/project/1/e-mail/add-user",
        "/iapi",
    ):
        for client_method in (api.client.get, api.client.post):
            assert_failure(client_method(url, headers=api.as_("root")), 404, "NOT_FOUND")


def test_integrations_lists_the_service_and_its_endpoints(api: Api) -> None:
    data = assert_success(api.client.get("/iapi/project/1/integrations", headers=api.as_("alice")))
    (service,) = data["integrations"]
    assert service.keys() == {"slug", "name", "description", "endpoints"}
    assert service["slug"] == "email_account"
    methods = {}
    for endpoint in service["endpoints"]:
        assert endpoint.keys() == {"name", "method", "description"}
        assert endpoint["description"].strip()
        methods[endpoint["name"]] = endpoint["method"]
    assert methods.keys() >= ELEVEN.keys()
    for name, (reads, *_) in ELEVEN.items():
        assert methods[name] == ("GET" if reads else "POST")
