"""What anybody may fetch: the agent. It is no secret, so it needs no key."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import cast

from flask import Response, request

from .desk import bp

_APP = Path(__file__).resolve().parents[1]


@bp.get("/agent.py", provide_automatic_options=False)
def agent() -> Response:
    """The program that runs on a node."""
    response = Response(_agent(), mimetype="text/x-python")
    response.add_etag()
    return cast(Response, response.make_conditional(request))


@cache
def _agent() -> bytes:
    return (_APP / "agent.py").read_bytes()
