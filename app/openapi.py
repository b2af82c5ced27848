"""The JSON API as OpenAPI 3.1, generated from the operations (https://spec.openapis.org/oas/)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import orjson
from pydantic import TypeAdapter

from .fields import MAX_ID
from .operations import Operation

Schema = dict[str, Any]

_SCHEMAS = "#/components/schemas/"
_REFUSALS = {
    "400": "The body is not valid JSON.",
    "401": "No token, or one that is not valid.",
    "403": "The token's scope or role does not reach this operation.",
    "404": "A domain, mailbox or project that is absent or not yours.",
    "409": "The present state does not allow it.",
    "413": "The body is too large.",
    "415": "The body is not JSON.",
    "422": "A value cannot be used; `field` names it.",
    "429": "Too many requests; `Retry-After` says for how many seconds to wait.",
    "500": "A fault of the panel; the message has a reference to it, and nothing else.",
    "503": "The panel cannot do it now; `Retry-After` says when to try again.",
}
_OF_BODIES = ("400", "413", "415")
_HEADERS: dict[str, tuple[str, Schema]] = {
    "401": ("WWW-Authenticate", {"const": "Bearer"}),
    "429": ("Retry-After", {"type": "integer", "minimum": 0}),
    "503": ("Retry-After", {"type": "integer", "minimum": 0}),
}


def document(operations: Iterable[Operation[Any]], version: str) -> Schema:
    """The whole description."""
    schemas: Schema = {"Failure": _failure()}
    paths = {
        f"/iapi/project/{{project_id}}/email_account/{operation.name}": _path(operation, schemas)
        for operation in operations
    }
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Mailcote",
            "version": version,
            "description": "Mailboxes on your own domains, live on every mail node.",
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A project's or admin's token: wpa_…",
                }
            },
        },
    }


@cache
def encoded(operations: tuple[Operation[Any], ...], version: str) -> bytes:
    """The description as JSON text; it is the same for the life of the process."""
    return orjson.dumps(document(operations, version))


def _path(operation: Operation[Any], schemas: Schema) -> Schema:
    path: Schema = {"parameters": [_project_id()], "post": _post(operation, schemas)}
    if operation.reads:
        path["get"] = _get(operation, schemas)
    return path


def _post(operation: Operation[Any], schemas: Schema) -> Schema:
    name = operation.input.__name__
    schemas[name] = operation.input_schema
    return {
        **_described(operation, schemas, _REFUSALS),
        "operationId": operation.function.__name__,
        "requestBody": {
            "required": bool(operation.input_schema.get("required")),
            "content": {"application/json": {"schema": {"$ref": _SCHEMAS + name}}},
        },
    }


def _get(operation: Operation[Any], schemas: Schema) -> Schema:
    required = operation.input_schema.get("required", [])
    refusals = {status: text for status, text in _REFUSALS.items() if status not in _OF_BODIES}
    return {
        **_described(operation, schemas, refusals),
        "operationId": f"get_{operation.function.__name__}",
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": name in required,
                "description": schema["description"],
                "schema": schema,
            }
            for name, schema in operation.properties.items()
        ],
    }


def _described(operation: Operation[Any], schemas: Schema, refusals: dict[str, str]) -> Schema:
    success = {
        "description": "Done.",
        "content": {"application/json": {"schema": _success(operation, schemas)}},
    }
    return {
        "summary": operation.title,
        "description": operation.description,
        "tags": ["admin" if operation.who == "admin" else "project"],
        "x-mcp-tool": operation.tool,
        "responses": {
            str(operation.status): success,
            **{status: _refusal(status, text) for status, text in refusals.items()},
        },
    }


def _refusal(status: str, description: str) -> Schema:
    refusal: Schema = {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": _SCHEMAS + "Failure"}}},
    }
    if status in _HEADERS:
        name, schema = _HEADERS[status]
        refusal["headers"] = {name: {"required": True, "schema": schema}}
    return refusal


def _success(operation: Operation[Any], schemas: Schema) -> Schema:
    """The envelope around an answer; the answer's own schemas become shared components."""
    schema = TypeAdapter(operation.answers).json_schema(
        mode="serialization", ref_template=_SCHEMAS + "{model}"
    )
    schemas.update(schema.pop("$defs", {}))
    schemas[operation.answers.__name__] = schema
    return {
        "type": "object",
        "required": ["success", "data"],
        "properties": {
            "success": {"const": True, "description": "Whether it was done."},
            "data": {
                "$ref": _SCHEMAS + operation.answers.__name__,
                "description": "What was asked for, or what is now so.",
            },
        },
    }


def _failure() -> Schema:
    short = {
        "code": _text("What is wrong, in a word that does not change."),
        "message": _text("What is wrong, in a sentence for people."),
        "field": _text("The input that is wrong, where it is one."),
    }
    kinds = ["validation", "not_found", "conflict", "forbidden", "unauthorized", "rate_limit"]
    return {
        "type": "object",
        "required": ["success", "error", "error_object"],
        "properties": {
            "success": {"const": False, "description": "Whether it was done."},
            "error": {
                "type": "object",
                "description": "Why not.",
                "required": ["code", "message"],
                "properties": short,
            },
            "error_object": {
                "type": "object",
                "description": "Why not, at length.",
                "required": ["type", "code", "message"],
                "properties": {
                    "type": {
                        **_text("The kind of refusal."),
                        "enum": [*kinds, "server"],
                    },
                    **short,
                    "recovery": _text("What to do next, where that is not plain."),
                },
            },
        },
    }


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _project_id() -> Schema:
    return {
        "name": "project_id",
        "in": "path",
        "required": True,
        "description": "The project to act in.",
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_ID, "examples": [1]},
    }
