"""The envelope of every JSON answer, for success and failure alike."""

from __future__ import annotations

import logging
import secrets
import traceback
from typing import Any

import orjson
from flask import Response
from werkzeug.exceptions import HTTPException

from .database import is_unavailable
from .errors import Busy, OperationError
from .log_lines import without_rows

log = logging.getLogger(__name__)

_HTTP_CODES = {
    400: ("BAD_REQUEST", "validation", "The request cannot be understood."),
    404: ("NOT_FOUND", "not_found", "There is nothing at this address."),
    405: ("METHOD_NOT_ALLOWED", "validation", "This address does not answer that method."),
    406: ("NOT_ACCEPTABLE", "validation", "The answer is JSON: Accept: application/json."),
    413: ("BODY_TOO_LARGE", "validation", "The request body is too large."),
    414: ("URL_TOO_LONG", "validation", "The address is too long."),
    415: ("UNSUPPORTED_MEDIA_TYPE", "validation", "Send JSON: Content-Type: application/json."),
}


def success(data: Any, status: int = 200) -> Response:
    """`{"success": true, "data": …}`."""
    return answer_json({"success": True, "data": data}, status)


def failure(error: OperationError) -> Response:
    """`{"success": false, "error": …, "error_object": …}` with the error's status."""
    long = error_object(error)
    short = {name: long[name] for name in ("code", "message", "field") if name in long}
    response = answer_json({"success": False, "error": short, "error_object": long}, error.status)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def failure_of(error: Exception) -> Response:
    """The answer for any exception."""
    return _failure_of_http(error) if isinstance(error, HTTPException) else failure(told(error))


def told(error: Exception) -> OperationError:
    """What to tell of any exception; what nobody foresaw is logged, and a reference is told."""
    if isinstance(error, OperationError):
        return error
    if is_unavailable(error):
        return Busy("The panel's database cannot be reached at this moment; try again.")
    reference = log_unforeseen(error)
    return OperationError("SERVER_ERROR", f"Something went wrong; reference {reference}.")


def log_unforeseen(error: Exception) -> str:
    """Log what nobody foresaw, without values; the reference under which it stands there."""
    reference = secrets.token_hex(6)
    log.error("unforeseen error, reference %s\n%s", reference, _trace_without_values(error))
    return reference


def allowed_methods(error: HTTPException) -> str:
    """What the Allow header of a 405 says; "" for any other error (RFC 9110, section 15.5.6)."""
    return ", ".join(sorted(getattr(error, "valid_methods", None) or ()))


def error_object(error: OperationError) -> dict[str, str]:
    """A refusal at length: `{"type", "code", "message", "field"?, "recovery"?}`."""
    long = {"type": error.type, "code": error.code, "message": error.message}
    if error.field is not None:
        long["field"] = error.field
    if error.recovery:
        long["recovery"] = error.recovery
    return long


def answer_json(value: Any, status: int = 200) -> Response:
    """A value as the answer, which no cache may keep."""
    response = Response(orjson.dumps(value), status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def _trace_without_values(error: Exception) -> str:
    """The traceback, without the lines in which PostgreSQL shows the whole row it refused."""
    trace = "".join(traceback.format_exception(error))
    return without_rows(trace)


def _failure_of_http(error: HTTPException) -> Response:
    status = error.code or 500
    code, kind, message = _HTTP_CODES.get(status, ("HTTP_ERROR", "validation", str(error.name)))
    refusal = OperationError(code, message)
    refusal.status, refusal.type = status, kind
    response = failure(refusal)
    if allowed := allowed_methods(error):
        response.headers["Allow"] = allowed
    return response
