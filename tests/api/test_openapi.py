"""The description of the API: valid, public, complete, and true of every answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.operations import OFFERED
from tests.api.answers import TYPES
from tests.conftest import Api

ALWAYS = {"401", "403", "404", "409", "422", "429", "500", "503"}
OF_BODIES = {"400", "413", "415"}


def test_it_works(app: Flask) -> None:
    answer = app.test_client().get("/iapi/openapi.json")
    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    document = answer.get_json()
    assert document["openapi"].startswith("3.1.")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_it_is_the_same_for_everybody(api: Api) -> None:
    answers = [
        api.client.get("/iapi/openapi.json", headers=headers)
        for headers in ({}, api.as_("alice"), api.as_("root"), {"Authorization": "Bearer nonsense"})
    ]
    assert len({answer.data for answer in answers}) == 1


def test_every_operation_is_there_with_all_its_answers(app: Flask) -> None:
    paths = _document(app)["paths"]
    assert paths.keys() == {
        f"/iapi/project/{{project_id}}/email_account/{one.name}" for one in OFFERED
    }
    for one in OFFERED:
        path = paths[f"/iapi/project/{{project_id}}/email_account/{one.name}"]
        assert path.keys() - {"parameters"} == ({"get", "post"} if one.reads else {"post"})
        assert path["parameters"][0]["name"] == "project_id"
        success = str(one.status)
        assert path["post"]["responses"].keys() == {success, *ALWAYS, *OF_BODIES}
        assert one.status == (201 if one.name.startswith("add-") else 200)
        if one.reads:
            assert path["get"]["responses"].keys() == {success, *ALWAYS}
            names = [parameter["name"] for parameter in path["get"]["parameters"]]
            assert names == list(one.properties)


def test_every_operation_is_described(app: Flask) -> None:
    ids = []
    for path in _document(app)["paths"].values():
        for verb in path.keys() - {"parameters"}:
            operation = path[verb]
            ids.append(operation["operationId"])
            assert len(operation["summary"]) > 8
            assert operation["description"].endswith(".")
            assert operation["description"] != operation["summary"]
            for parameter in operation.get("parameters", []) + path["parameters"]:
                assert parameter["description"].strip()
            for answer in operation["responses"].values():
                assert answer["description"].strip()
    assert len(ids) == len(set(ids))


def test_every_property_has_a_description(app: Flask) -> None:
    count = 0
    for name, schema in _properties(_document(app)):
        assert schema.get("description", "").strip(), name
        count += 1
    assert count > 80


def test_no_input_is_open_to_unknown_fields(app: Flask) -> None:
    for name, schema in _document(app)["components"]["schemas"].items():
        if name.endswith("Input"):
            assert schema["additionalProperties"] is False, name


def test_passwords_are_only_written(app: Flask) -> None:
    for name, schema in _properties(_document(app)):
        if name == "password":
            assert schema["writeOnly"] is True
            assert schema["format"] == "password"


def test_no_answer_has_room_for_a_password_or_hash(app: Flask) -> None:
    document = _document(app)
    inputs = {one.input.__name__ for one in OFFERED}
    answers = {
        name: schema
        for name, schema in document["components"]["schemas"].items()
        if name not in inputs
    }
    names = {name for name, _schema in _properties(answers)}
    assert not {name for name in names if "password" in name or "hash" in name}


def test_refusals_are_described_with_their_types_and_headers(app: Flask) -> None:
    document = _document(app)
    error = document["components"]["schemas"]["Failure"]["properties"]["error_object"]
    assert set(error["properties"]["type"]["enum"]) == set(TYPES.values())
    answers = document["paths"]["/iapi/project/{project_id}/email_account/add-user"]["post"]
    with_headers = {
        status: list(answer["headers"])
        for status, answer in answers["responses"].items()
        if "headers" in answer
    }
    assert with_headers == {
        "401": ["WWW-Authenticate"],
        "429": ["Retry-After"],
        "503": ["Retry-After"],
    }


def _document(app: Flask) -> dict[str, Any]:
    document: dict[str, Any] = app.test_client().get("/iapi/openapi.json").get_json()
    return document


def _properties(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property of every schema, however deep."""
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            yield from schema["properties"].items()
        for member in schema.values():
            yield from _properties(member)
    elif isinstance(schema, list):
        for member in schema:
            yield from _properties(member)
