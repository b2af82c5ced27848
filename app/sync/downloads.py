"""What anybody may fetch: the agent, and the script that installs it. They are no secrets."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import cast

from flask import Response, abort, request

from ..config import Settings
from ..doors import opens_to
from ..extensions import settings
from ..node import install_script
from .desk import bp

_APP = Path(__file__).resolve().parents[1]


@bp.get("/agent.py", provide_automatic_options=False)
@opens_to("nothing")
def agent() -> Response:
    """The program that runs on a node."""
    return _file(_agent(), "text/x-python")


@bp.get("/install.sh", provide_automatic_options=False)
@opens_to("nothing")
def install() -> Response:
    """The script that makes a machine a node of this panel."""
    try:
        script = install_script(_own_address())
    except ValueError:  # an address that no shell script should hold
        abort(404)
    return _file(script.encode(), "text/x-shellscript")


def _own_address() -> str:
    """Where nodes reach the panel: as it was set, or else as this request has done it."""
    is_set = settings.public_url != Settings.public_url
    return settings.public_url if is_set else request.host_url.removesuffix("/")


def _file(content: bytes, mimetype: str) -> Response:
    response = Response(content, mimetype=mimetype)
    response.add_etag()
    return cast(Response, response.make_conditional(request))


@cache
def _agent() -> bytes:
    return (_APP / "agent.py").read_bytes()
