"""The home node of a domain, for admins: which it is, and what another one means."""

from __future__ import annotations

from flask import Blueprint, Response, request

from ..errors import OperationError
from ..operations import OPERATIONS, oversight
from ..operations.seen import digest_of, of_home
from .access import access
from .forms import HomeForm
from .pages import go, me, render

bp = Blueprint("admin_homes", __name__, url_prefix="/admin/domains/<name>/home")


@bp.get("")
@access("admin")
def confirm(name: str) -> Response:
    """Choose a node, and then be told what it means before it is done."""
    return _page(name, HomeForm(data={"node": request.args.get("node", "")}))


@bp.post("")
@access("admin")
def place(name: str) -> Response:
    """Set it, or with no node let every node have the domain."""
    form = HomeForm()
    try:
        placed = OPERATIONS["set-home-node"](
            me(), form.seen.data, domain=name, node=form.node.data or ""
        )
    except OperationError as error:
        form.refuse(error)
        return _page(name, form, status=error.status)
    name, home = placed.domain.name, placed.home
    said = (
        f"{home} is the home of {name} now." if home else f"{name} has no home: it is everywhere."
    )
    return go("admin_domains.show", name=name, said=said)


def _page(name: str, form: HomeForm, status: int = 200) -> Response:
    found = oversight.placement(me(), name, form.node.data or "")
    nodes = [(node.name, node.name) for node in found.nodes]
    form.node.choices = [("", "No home: on every node"), *nodes]
    form.seen.data = form.seen.data or digest_of(of_home(found.row.home))
    is_chosen = "node" in request.values
    return render(
        "admin_homes/show.html",
        status=status,
        row=found.row,
        placement=found,
        form=form,
        is_chosen=is_chosen,
    )
