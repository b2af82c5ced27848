"""How to connect assistants and programs to a project, and what they last called."""

from __future__ import annotations

from flask import Blueprint, Response

from ..calls import calls
from ..extensions import settings
from ..operations.assistants import last_calls
from .access import access
from .pages import my_project, render

PROGRAMS = ("claude", "chatgpt", "cursor", "vscode", "n8n", "curl")

bp = Blueprint("connect", __name__, url_prefix="/connect")


@bp.get("")
@access("person")
def index() -> Response:
    """What to paste where, for each of them."""
    caller = my_project()
    calls.write()
    public_url = settings.public_url
    return render(
        "connect/index.html",
        programs=PROGRAMS,
        seen=last_calls(caller),
        mcp=f"{public_url}/mcp",
        mcp_token=f"{public_url}/mcp-token",
        api=f"{public_url}/iapi/project/{caller.project_id}/email_account",
        is_on_the_web=settings.is_public_over_https,
    )
