"""Operations as tools: what an assistant is told of them, and how it calls one.

What an operation refuses is the tool's result, with the codes and sentences of the JSON API, so
that an assistant can read what to do about it; errors of the protocol are for its client.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from ..caller import Caller
from ..calls import DONE, calls
from ..envelope import error_object, told
from ..errors import Invalid, OperationError
from ..fields import ProjectId
from ..operations import OFFERED, Operation
from ..operations.answers import HeldAnswer
from ..strict_json import refuse_unusable_texts
from ..throttle import take_write, take_write_of_assistant

Values = dict[str, Any]

TOOLS: dict[str, Operation[Any]] = {operation.tool: operation for operation in OFFERED}

_ENDPOINTS = {operation.name: operation.tool for operation in OFFERED}
_ENDPOINT = re.compile(rf"\b(?:{'|'.join(_ENDPOINTS)})\b")
_PROJECT_ID: TypeAdapter[int] = TypeAdapter(ProjectId)


class _WithoutTitles(GenerateJsonSchema):
    """Schemas whose fields have no titles: they are only the names again."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def offered_to(caller: Caller) -> list[Values]:
    """The tools this caller is told of, in the order of the operations; admins see theirs, too."""
    return _described(
        is_for_admins=caller.is_admin, has_one_project=_only_project(caller) is not None
    )


def call(caller: Caller, operation: Operation[Any], arguments: Values) -> Values:
    """The result of a tool, done or refused."""
    try:
        refuse_unusable_texts(arguments)
        if not operation.reads:
            _count(caller)
        caller = replace(caller, is_assistant=True)
        if operation.who == "project":
            caller, arguments = _in_project(caller, arguments)
        answer = operation(caller, **arguments).to_answer()
    except Exception as error:  # noqa: BLE001 - whatever it is, the assistant is told of it
        refusal = told(error)
        calls.note(caller, operation.name, refusal.code)
        return _refused(refusal)
    calls.note(caller, operation.name, DONE)
    return {"content": [_text(answer)], "structuredContent": answer, "isError": False}


def _count(caller: Caller) -> None:
    if caller.token_id:
        take_write(caller.token_id)
    elif caller.assistant_id:
        take_write_of_assistant(caller.assistant_id)


def _refused(error: OperationError) -> Values:
    told_of = error_object(error)
    if error.recovery:
        told_of["recovery"] = _in_names_of_tools(error.recovery)
    elif error.retry_after is not None:
        told_of["recovery"] = f"Try again in {error.retry_after} seconds."
    return {"content": [_text({"success": False, "error": told_of})], "isError": True}


def _text(value: Any) -> Values:
    return {"type": "text", "text": orjson.dumps(value).decode()}


def _in_project(caller: Caller, arguments: Values) -> tuple[Caller, Values]:
    """The caller in the project that was meant, and the operation's own arguments."""
    rest = {name: value for name, value in arguments.items() if name != "project_id"}
    if "project_id" in arguments:
        return caller.in_project(_project_id(arguments["project_id"]), field="project_id"), rest
    only = _only_project(caller)
    if only is None:
        raise Invalid("Say in which project; you can reach several.", field="project_id")
    return caller.in_project(only), rest


def _project_id(value: object) -> int:
    try:
        return _PROJECT_ID.validate_python(value)
    except ValidationError as error:
        raise Invalid(error.errors(include_input=False)[0]["msg"], field="project_id") from None


def _only_project(caller: Caller) -> int | None:
    projects = caller.projects or ()
    return next(iter(projects)) if len(projects) == 1 else None


@cache
def _described(*, is_for_admins: bool, has_one_project: bool) -> list[Values]:
    return [
        _tool(operation, has_one_project=has_one_project)
        for operation in OFFERED
        if is_for_admins or operation.who != "admin"
    ]


def _tool(operation: Operation[Any], *, has_one_project: bool) -> Values:
    title = f"Email accounts: {operation.title[0].lower()}{operation.title[1:]}"
    return {
        "name": operation.tool,
        "title": title,
        "description": _in_names_of_tools(operation.description),
        "inputSchema": _input_schema(operation, has_one_project=has_one_project),
        "outputSchema": _output_schema(operation),
        "annotations": {
            "title": title,
            "readOnlyHint": operation.reads,
            "destructiveHint": operation.destroys,
            "idempotentHint": not operation.adds_up,
            "openWorldHint": False,
        },
    }


def _input_schema(operation: Operation[Any], *, has_one_project: bool) -> Values:
    schema = {name: part for name, part in operation.input_schema.items() if name != "title"}
    if operation.who != "project":
        return schema
    meant = "Only needed by who can reach several." if has_one_project else "You can reach several."
    field = _PROJECT_ID.json_schema() | {"description": f"The project to act in. {meant}"}
    schema["properties"] = {**schema["properties"], "project_id": field}
    if not has_one_project:
        schema["required"] = [*schema.get("required", []), "project_id"]
    return schema


def _output_schema(operation: Operation[Any]) -> Values:
    """What it answers; where a person may have to be asked first, that is an answer as well."""
    answers = operation.answers | HeldAnswer if operation.may_be_held else operation.answers
    schema = TypeAdapter(answers).json_schema(mode="serialization", schema_generator=_WithoutTitles)
    return {**schema, "type": "object"}


def _in_names_of_tools(text: str) -> str:
    """A text about endpoints, with the names that their tools have."""
    return _ENDPOINT.sub(lambda found: _ENDPOINTS[found[0]], text)
