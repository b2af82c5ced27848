"""What each request leaves behind: its id, its count, and a line in the log.

The line has the route and never the address itself, which may hold a one-time link, an e-mail
address or a query. Polls that tell a node that nothing has changed, which are nearly all requests,
and probes that find all well are counted only; the panel keeps a journal of nodes besides.
"""

from __future__ import annotations

import logging
import re
import secrets
import time

from flask import Flask, Response, g, request

from . import counters
from .extensions import settings
from .log_lines import request_id
from .network import client_address

log = logging.getLogger(__name__)

# No underscore: nothing of this form is a credential.
_ID = re.compile("[0-9A-Za-z-]{8,64}")
# Who asks all the time, and what they are answered nearly always.
_NO_NEWS = {"sync": (304,), "waiting": (304,), "health": (200,)}
_FACES = {"api", "mcp", "oauth", "sync", "health"}


def keep(app: Flask) -> None:
    """Do so for every request of this application. Before anything else that looks at them."""
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_forget)


def _begin() -> None:
    g.began = time.perf_counter()
    request_id.set(_named_by_proxy() or secrets.token_hex(8))


def _named_by_proxy() -> str | None:
    """The id that a proxy of our own gave; anybody else could choose one that misleads."""
    named = request.headers.get("X-Request-Id")
    if not named or not settings.trusted_proxies or "X-Forwarded-For" not in request.headers:
        return None
    return named if _ID.fullmatch(named) else None


def _end(response: Response) -> Response:
    seconds = time.perf_counter() - g.began
    if named := request_id.get():
        response.headers.add("X-Request-Id", named)  # nobody else sets it
    face = _face()
    counters.count(face, response.status_code, seconds)
    is_news = response.status_code not in _NO_NEWS.get(face, ())
    if is_news and log.isEnabledFor(logging.INFO):
        _write(response.status_code, seconds)
    return response


def _face() -> str:
    name = request.blueprint
    if name == "sync" and b"wait=" in request.query_string:
        return "waiting"  # its time is that of the wait
    if name in _FACES:
        return str(name)
    if name is None:
        return "static" if request.endpoint == "static" else "none"
    return "pages"


def _write(status: int, seconds: float) -> None:
    route = request.url_rule.rule if request.url_rule else None
    fields = {
        "method": request.method if route else None,
        "route": route,
        "status": status,
        "ms": round(seconds * 1000, 1),
        "client": client_address(request),
    }
    log.info("answered", extra={"fields": fields})


def _forget(_error: BaseException | None) -> None:
    request_id.set(None)
