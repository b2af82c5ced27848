"""A node that was lost or stolen, for admins: its keys end, and whose passwords it held."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Blueprint, Response, abort, request

from ..errors import Invalid
from ..models import Node
from ..operations import OPERATIONS, fleet
from ..operations.links import ExposedLink
from .access import access
from .csv_files import csv_file
from .forms import ConfirmNodeForm
from .pages import go, me, never_stored, render
from .searches import whole

bp = Blueprint("admin_losses", __name__, url_prefix="/admin/nodes/<name>")

LINK_COLUMNS = ("email", "project", "link", "expires_at")
COLUMNS = ("email", "project_id", "project", "created_at", "updated_at")


@bp.get("/lose")
@access("admin")
def confirm(name: str) -> Response:
    """Ask for the name before its keys end."""
    return _confirm_page(name, ConfirmNodeForm())


@bp.post("/lose")
@access("admin", asks_for_proof=True)
def lose(name: str) -> Response:
    """End its keys, if the name was typed."""
    form = ConfirmNodeForm()
    if form.typed.data != name:
        form.refuse(Invalid(f"Type {name} to confirm.", field="typed"))
        return _confirm_page(name, form, status=422)
    OPERATIONS["lose-node"](me(), name=name)
    return go("admin_losses.index", name=name, said=f"The keys of {name} work no longer.")


@bp.get("/exposed")
@access("admin")
def index(name: str) -> Response:
    """The mailboxes whose passwords have to be renewed."""
    node = _lost(name)
    number = whole(request.args.get("page", ""), 1)
    return render("admin_losses/index.html", node=node, page=fleet.exposed(me(), node, number))


@bp.get("/exposed.csv")
@access("admin")
def download(name: str) -> Response:
    """All of them, as a file."""
    node = _lost(name)
    rows = fleet.all_exposed(me(), node)
    return csv_file(f"mailcote-{node.name}-exposed.csv", COLUMNS, rows)


@bp.post("/password-links")
@access("admin", asks_for_proof=True)
def send_links(name: str) -> Response:
    """Make a link for each of them, as a file that is shown once.

    The first ones are made before anything is answered: what is refused then is a page.
    """
    node, caller, send = _lost(name), me(), OPERATIONS["send-exposed-links"]
    first = send(caller, name=node.name)

    def following() -> Iterator[ExposedLink]:
        some = first
        while some.last:
            yield from some.links
            some = send(caller, name=name, after=some.last)

    return never_stored(csv_file(f"mailcote-{node.name}-links.csv", LINK_COLUMNS, following()))


def _lost(name: str) -> Node:
    """A node that is lost; of others there is no such page."""
    node = fleet.one(me(), name)
    return node if node.lost_at else abort(404)


def _confirm_page(name: str, form: ConfirmNodeForm, status: int = 200) -> Response:
    return render(
        "admin_losses/lose.html",
        part="admin_losses/_lose.html",
        status=status,
        node=fleet.one(me(), name),
        form=form,
    )
