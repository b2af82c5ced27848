"""What anybody may fetch: the agent, and the script that installs it. They are no secrets."""

from __future__ import annotations

import importlib
import re
from functools import cache
from pathlib import Path
from typing import cast

from flask import Response, abort, request

from ..config import Settings
from ..extensions import settings
from .desk import bp

_APP = Path(__file__).resolve().parents[1]
# It stands in a shell script: nothing that could end a word there.
_ADDRESS = re.compile(r"https?://(?:[0-9A-Za-z.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


@bp.get("/agent.py", provide_automatic_options=False)
def agent() -> Response:
    """The program that runs on a node."""
    return _file(_agent(), "text/x-python")


@bp.get("/install.sh", provide_automatic_options=False)
def install() -> Response:
    """The script that makes a machine a node of this panel."""
    address = _own_address()
    if not _ADDRESS.fullmatch(address):
        abort(404)
    return _file(_script(address), "text/x-shellscript")


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


def _script(address: str) -> bytes:
    """The script, which the package of the node's configuration puts together if it is there."""
    try:
        node = importlib.import_module("app.node")
    except ModuleNotFoundError:
        abort(404)
    script: str = node.install_script(address)
    return script.encode()
