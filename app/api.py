"""FACE: the JSON API under /iapi, one route an operation, all generated from OPERATIONS."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import Any

from flask import Blueprint, Response, request

from . import openapi
from .caller import Caller, caller_with_token
from .calls import DONE, calls
from .doors import opens_to
from .envelope import failure_of, success
from .errors import Invalid, NotFound, OperationError, Unauthorized, nameable
from .network import client_address
from .operations import OFFERED, Operation
from .strict_json import read_object
from .throttle import take_write

bp = Blueprint("api", __name__)
bp.register_error_handler(Exception, failure_of)

_PROJECT_ID = re.compile("[1-9][0-9]{0,9}")


def _route(operation: Operation[Any]) -> None:
    """Answer POST, and GET where the operation only reads; existing clients POST everything."""

    @opens_to("token")
    def run(project: str, service: str) -> Response:  # noqa: ARG001 - either spelling is served
        caller = _caller_in(project)
        try:
            answer = _do(operation, caller)
        except OperationError as error:
            calls.note(caller, operation.name, error.code)
            raise
        calls.note(caller, operation.name, DONE)
        return answer

    bp.add_url_rule(
        f"/iapi/project/<project>/<any('email_account', 'email-account'):service>/{operation.name}",
        endpoint=operation.name,
        view_func=run,
        methods=["GET", "POST"] if operation.reads else ["POST"],
        provide_automatic_options=False,
    )


def _do(operation: Operation[Any], caller: Caller) -> Response:
    values = _body() if request.method == "POST" else _query(operation)
    if not operation.reads and caller.token_id:
        take_write(caller.token_id)
    return success(operation(caller, **values).to_answer(), operation.status)


for _operation in OFFERED:
    _route(_operation)


@bp.get("/iapi/project/<project>/integrations", provide_automatic_options=False)
@opens_to("token")
def integrations(project: str) -> Response:
    """The service, and its endpoints with what they do."""
    _caller_in(project)
    endpoints = [
        {
            "name": operation.name,
            "method": "GET" if operation.reads else "POST",
            "description": operation.description,
        }
        for operation in OFFERED
    ]
    service = {
        "slug": "email_account",
        "name": "Email accounts",
        "description": "Mailboxes on the project's own domains.",
        "endpoints": endpoints,
    }
    return success({"integrations": [service]})


@bp.get("/iapi/openapi.json", provide_automatic_options=False)
@opens_to("nothing")
def describe() -> Response:
    """This API as OpenAPI 3.1."""
    return Response(openapi.encoded(OFFERED, version("mailcote")), mimetype="application/json")


@bp.get("/papi/project/<project>/pages", provide_automatic_options=False)
@opens_to("token")
def credential_test(project: str) -> Response:
    """What existing n8n clients ask to find out whether their token is good."""
    try:
        _caller_in(project)
    except NotFound:
        raise Unauthorized from None
    return success([])


def _caller_in(project: str) -> Caller:
    header = request.headers.get("Authorization", "")
    caller = caller_with_token(header, client_address(request))
    if not _PROJECT_ID.fullmatch(project):
        raise NotFound("PROJECT_NOT_FOUND", "There is no such project.")
    return caller.in_project(int(project))


def _body() -> dict[str, Any]:
    """The fields of a POST. What stands in the URL would go unheeded, so it is refused."""
    for name in request.args:
        raise Invalid("Send this in the body of the request, not in its URL.", field=nameable(name))
    return read_object(request)


def _query(operation: Operation[Any]) -> dict[str, Any]:
    """The query parameters, as the values JSON would have: numbers and booleans are not text."""
    values: dict[str, Any] = {}
    for name, texts in request.args.lists():
        if len(texts) > 1:
            raise Invalid("This parameter is given more than once.", field=nameable(name))
        values[name] = operation.value_of_text(name, texts[0])
    return values
