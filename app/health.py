"""FACE: whether the panel lives and can work, and its figures, for what watches over it.

`/healthz` is public: this process answers, which says nothing of the database. `/readyz` asks
everything that work needs. `/metrics` are the figures. The latter two tell strangers nothing.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator

from flask import Blueprint, Response, request
from prometheus_client.core import Metric
from sqlalchemy.exc import SQLAlchemyError

from . import checks, counters, figures, heartbeats
from .config import is_loopback
from .doors import opens_to
from .envelope import answer_json, failure_of
from .errors import Unauthorized
from .extensions import db, settings
from .network import client_address, host_name
from .throttle import refuse_credential

bp = Blueprint("health", __name__)
bp.register_error_handler(Exception, failure_of)

_OF_PROXIES = (
    "Forwarded",
    "Via",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Real-IP",
)


class NotForStrangers(Unauthorized):
    """Neither the metrics token nor a request of this machine itself."""

    message = "This is for the machine itself, or for who has the metrics token."
    recovery = "Send the header 'Authorization: Bearer' with MAILCOTE_METRICS_TOKEN."


@bp.get("/healthz", provide_automatic_options=False)
@opens_to("nothing")
def healthz() -> Response:
    """That this process answers requests."""
    return _text(b"ok\n", "text/plain")


@bp.get("/readyz", provide_automatic_options=False)
@opens_to("operator")
def readyz() -> Response:
    """Whether everything is there that work needs, each thing by its name; 503 if not.

    `late` names threads that should have been heard of. Requests are answered without them, so
    that they are no reason to send nobody here.
    """
    if not _is_of_this_machine() and not _has_token():
        _refuse()
    found = checks.readiness()
    is_ready = all(found.values())
    told = {"ready": is_ready, "checks": found, "late": heartbeats.late()}
    return answer_json(told, 200 if is_ready else 503)


@bp.get("/metrics", provide_automatic_options=False)
@opens_to("operator")
def metrics() -> Response:
    """The figures of the panel and of its requests."""
    if not (_has_token() if settings.metrics_token else _is_of_this_machine()):
        _refuse()
    # https://prometheus.io/docs/instrumenting/exposition_formats/
    return _text(counters.text(_figures()), "text/plain; version=0.0.4")


def _figures() -> Iterator[Metric]:
    try:
        read = list(figures.read())
    except SQLAlchemyError:  # what was counted is wanted then more than ever
        db.session.rollback()
        yield figures.is_up(False)
    else:
        yield from (figures.is_up(True), *read)


def _is_of_this_machine() -> bool:
    """Whether a program on this machine asks the panel itself, rather than a proxy beside it."""
    is_passed_on = any(name in request.headers for name in _OF_PROXIES)
    is_local = is_loopback(client_address(request)) and is_loopback(host_name(request) or "")
    return is_local and not is_passed_on


def _has_token() -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    expected = settings.metrics_token
    is_same = hmac.compare_digest(token.strip().encode(), expected.encode())
    return bool(expected) and scheme.lower() == "bearer" and is_same


def _refuse() -> None:
    credential = request.headers.get("Authorization", "")
    refuse_credential(credential, client_address(request), NotForStrangers)


def _text(body: bytes, kind: str) -> Response:
    response = Response(body, content_type=f"{kind}; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    return response
