"""API tokens of the project: the list, a new one shown once, and revoking."""

from __future__ import annotations

from flask import Blueprint, Response, abort

from ..errors import OperationError
from ..extensions import settings
from ..fields import MAX_ID
from ..models import Token
from ..operations import OPERATIONS, browse
from .access import access
from .forms import TokenForm
from .pages import go, my_project, never_stored, render
from .searches import number_of

bp = Blueprint("tokens", __name__, url_prefix="/tokens")


@bp.get("")
@access("person")
def index() -> Response:
    """All tokens of the project, the revoked ones last."""
    return render("tokens/index.html", tokens=browse.tokens(my_project()))


@bp.get("/new")
@access("person")
def new() -> Response:
    """The form for a new token."""
    my_project()
    return render("tokens/new.html", form=TokenForm())


@bp.post("/new")
@access("person", asks_for_proof=True)
def add() -> Response:
    """Make it, and show it once."""
    form, caller = TokenForm(), my_project()
    days = {"days": number_of(form.days.data)} if form.days.data else {}
    try:
        made = OPERATIONS["add-token"](
            caller,
            name=form.name.data or "",
            scope=form.scope.data or "",
            project_id=caller.project_id,
            **days,
        )
    except OperationError as error:
        form.refuse(error)
        return render("tokens/new.html", status=error.status, form=form)
    page = render(
        "tokens/added.html",
        token=made.token,
        text=made.text,
        public_url=settings.public_url.rstrip("/"),
    )
    return never_stored(page)


@bp.get("/<int:token_id>/revoke")
@access("person")
def confirm_revoke(token_id: int) -> Response:
    """Ask before it stops working."""
    return render("tokens/revoke.html", part="tokens/_revoke.html", token=_find(token_id))


@bp.post("/<int:token_id>/revoke")
@access("person")
def revoke(token_id: int) -> Response:
    """End it for good."""
    name = _find(token_id).name
    OPERATIONS["revoke-token"](my_project(), token_id=token_id)
    return go("tokens.index", said=f"The token {name} is revoked.")


def _find(token_id: int) -> Token:
    token = browse.token(my_project(), token_id) if token_id <= MAX_ID else None
    return token or abort(404)
