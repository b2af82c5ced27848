"""A node's key that waits to be seen, for the admin who opens its link."""

from __future__ import annotations

from flask import Blueprint, Response

from ..errors import NotFound
from ..operations import OPERATIONS, fleet
from .access import access
from .admin_nodes import key_page
from .pages import me, render

bp = Blueprint("admin_keys", __name__, url_prefix="/admin/nodes/<name>/key")


@bp.get("")
@access("admin")
def show(name: str) -> Response:
    """What is about to be shown; looking at this page makes no key yet."""
    return _offer_page(fleet.node(me(), name))


@bp.post("")
@access("admin", asks_for_proof=True)
def collect(name: str) -> Response:
    """Make the key and show it, this once."""
    row = fleet.node(me(), name)
    hours = row.offer.overlap_hours if row.offer and row.keys else None
    try:
        made = OPERATIONS["collect-node-key"](me(), name=name)
    except NotFound:
        return _offer_page(fleet.node(me(), name))
    return key_page(made, hours=hours)


def _offer_page(row: fleet.NodeRow) -> Response:
    return render("admin_nodes/offer.html", status=200 if row.offer else 404, row=row)
