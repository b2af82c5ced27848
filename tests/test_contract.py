"""The eleven operations as the contract has them, typed in: whoever changes one changes this."""

from __future__ import annotations

import inspect
from typing import Any, Literal, NamedTuple

import pytest

from app.operations import OPERATIONS

NEEDED: Any = object()  # a field without a default
LEFT_OUT = None  # a field that may be left out, and then says nothing


class Row(NamedTuple):
    """A row of the contract's table."""

    verb: Literal["GET", "POST"]
    who: Literal["project", "admin"]
    input: dict[str, Any]
    status: int = 200


THE_ELEVEN = {
    "enable-email": Row("POST", "project", {"domain": NEEDED}),
    "disable-email": Row("POST", "project", {"domain": NEEDED}),
    "list-domains": Row("GET", "project", {}),
    "add-user": Row(
        "POST", "project", {"email": NEEDED, "password": NEEDED, "quota_mb": 1024}, status=201
    ),
    "remove-user": Row("POST", "project", {"email": NEEDED, "hard_delete": False}),
    "list-users": Row(
        "GET", "project", {"domain": LEFT_OUT, "limit": LEFT_OUT, "cursor": LEFT_OUT}
    ),
    "update-password": Row("POST", "project", {"email": NEEDED, "password": NEEDED}),
    "add-domain": Row("POST", "admin", {"domain": NEEDED, "project_id": LEFT_OUT}, status=201),
    "remove-domain": Row("POST", "admin", {"domain": NEEDED}),
    "list-nodes": Row("GET", "admin", {}),
    "add-node": Row(
        "POST", "admin", {"name": NEEDED, "ip_address": LEFT_OUT, "key_as_link": False}, status=201
    ),
}

TOOLS = {
    "enable-email": "email_account_enable_email",
    "disable-email": "email_account_disable_email",
    "list-domains": "email_account_list_domains",
    "add-user": "email_account_add_user",
    "remove-user": "email_account_remove_user",
    "list-users": "email_account_list_users",
    "update-password": "email_account_update_password",
    "add-domain": "email_account_add_domain",
    "remove-domain": "email_account_remove_domain",
    "list-nodes": "email_account_list_nodes",
    "add-node": "email_account_add_node",
}

TYPES = {
    "domain": "string",
    "email": "string",
    "password": "string",
    "quota_mb": "integer",
    "hard_delete": "boolean",
    "limit": "integer",
    "cursor": "string",
    "project_id": "integer",
    "name": "string",
    "ip_address": "string",
    "key_as_link": "boolean",
}


@pytest.mark.parametrize("endpoint", THE_ELEVEN)
def test_an_operation_is_the_contract_s(endpoint: str) -> None:
    operation, row = OPERATIONS[endpoint], THE_ELEVEN[endpoint]
    assert operation.reads == (row.verb == "GET")
    assert (operation.who, operation.status) == (row.who, row.status)
    assert not operation.is_internal


@pytest.mark.parametrize("endpoint", THE_ELEVEN)
def test_its_fields_are_the_contract_s(endpoint: str) -> None:
    schema, row = OPERATIONS[endpoint].input_schema, THE_ELEVEN[endpoint]
    assert list(schema["properties"]) == list(row.input)
    assert schema.get("required", []) == [name for name in row.input if row.input[name] is NEEDED]
    assert schema["additionalProperties"] is False
    for name, default in row.input.items():
        field = schema["properties"][name]
        assert field["type"] == TYPES[name]
        assert field.get("default", LEFT_OUT) == (LEFT_OUT if default is NEEDED else default)


@pytest.mark.parametrize("endpoint", THE_ELEVEN)
def test_its_names_follow_from_each_other(endpoint: str) -> None:
    operation = OPERATIONS[endpoint]
    assert operation.tool == TOOLS[endpoint]
    assert operation.function.__name__ == endpoint.replace("-", "_")
    assert operation.name == endpoint


def test_the_limits_of_numbers_are_the_contract_s() -> None:
    quota = OPERATIONS["add-user"].properties["quota_mb"]
    limit = OPERATIONS["list-users"].properties["limit"]
    project = OPERATIONS["add-domain"].properties["project_id"]
    assert (quota["minimum"], quota["maximum"]) == (1, 1048576)
    assert (limit["minimum"], limit["maximum"]) == (1, 1000)
    assert (project["minimum"], project["maximum"]) == (1, 2147483647)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_follows_the_name_law(name: str) -> None:
    operation = OPERATIONS[name]
    assert operation.function.__name__ == name.replace("-", "_")
    assert operation.tool == "email_account_" + name.replace("-", "_")


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_says_what_it_does(name: str) -> None:
    operation = OPERATIONS[name]
    first, _, _ = operation.description.partition("\n")
    assert first.endswith(".")
    assert operation.description == inspect.cleandoc(str(operation.function.__doc__))
    if not operation.is_internal:
        assert operation.title
        assert operation.answers


def test_nothing_that_only_reads_is_said_to_destroy() -> None:
    destroying = {name for name, operation in OPERATIONS.items() if operation.destroys}
    assert {"disable-email", "remove-user", "remove-domain"} <= destroying
    assert not any(OPERATIONS[name].reads for name in destroying)


def test_what_is_reached_from_the_machine_itself_only() -> None:
    internal = {name for name, operation in OPERATIONS.items() if operation.is_internal}
    assert {"assign-domain", "add-project", "add-person", "add-token", "purge"} <= internal
    assert not internal & THE_ELEVEN.keys()
