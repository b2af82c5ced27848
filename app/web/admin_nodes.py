"""Nodes, for admins: how they are doing, a new one, keys, pausing and removing."""

from __future__ import annotations

from flask import Blueprint, Response

from ..errors import Invalid, OperationError
from ..extensions import settings
from ..operations import OPERATIONS, fleet
from ..operations.results import OneNode
from ..operations.seen import digest_of, of_node
from .access import access
from .forms import ConfirmNodeForm, NodeForm, PublicNameForm, RotateForm
from .pages import go, me, never_stored, render
from .searches import number_of

bp = Blueprint("admin_nodes", __name__, url_prefix="/admin/nodes")

OVERLAPS = {"0": "now", "1": "in 1 hour", "24": "in 24 hours", "168": "in 7 days"}


@bp.get("")
@access("admin")
def index() -> Response:
    """All nodes, with the form for another one; the table asks again by itself."""
    return _list_page(NodeForm())


@bp.post("")
@access("admin", asks_for_proof=True)
def add() -> Response:
    """Make it, and show its key once."""
    form = NodeForm()
    allowed = {"ip_address": form.ip_address.data} if form.ip_address.data else {}
    try:
        made = OPERATIONS["add-node"](me(), name=form.name.data or "", **allowed)
    except OperationError as error:
        form.refuse(error)
        return _list_page(form, status=error.status)
    return key_page(made)


@bp.get("/<name>")
@access("admin")
def show(name: str) -> Response:
    """One node: facts, keys, and what can be done."""
    return _page(name, RotateForm())


@bp.get("/<name>/first-sync")
@access("admin")
def first_sync(name: str) -> Response:
    """Whether a new node has been heard of; asked again until it has."""
    return render("admin_nodes/_first_sync.html", node=fleet.one(me(), name))


@bp.post("/<name>/rotate")
@access("admin", asks_for_proof=True)
def rotate(name: str) -> Response:
    """Make a new key, and show it once."""
    form = RotateForm()
    typed = form.overlap_hours.data or ""
    hours = int(typed) if typed in OVERLAPS else typed
    try:
        made = OPERATIONS["rotate-node-key"](me(), name=name, overlap_hours=hours)
    except OperationError as error:
        form.refuse(error)
        return _page(name, form, status=error.status)
    return key_page(made, hours=hours)


@bp.post("/<name>/public-name")
@access("admin")
def rename(name: str) -> Response:
    """Set what it is called in public."""
    form = PublicNameForm()
    typed = form.mx_priority.data
    priority = {"mx_priority": number_of(typed)} if typed else {}
    try:
        OPERATIONS["update-node"](
            me(), form.seen.data, name=name, host=form.host.data or "", **priority
        )
    except OperationError as error:
        form.refuse(error)
        return _page(name, RotateForm(formdata=None), form, status=error.status)
    return go("admin_nodes.show", name=name, said="Saved.")


@bp.post("/<name>/pause")
@access("admin")
def pause(name: str) -> Response:
    """Expect it to be away."""
    OPERATIONS["pause-node"](me(), name=name)
    return go("admin_nodes.show", name=name, said=f"{name} is paused: no change waits for it.")


@bp.post("/<name>/resume")
@access("admin")
def resume(name: str) -> Response:
    """Expect it to be there again."""
    OPERATIONS["resume-node"](me(), name=name)
    return go("admin_nodes.show", name=name, said=f"{name} counts again.")


@bp.get("/<name>/remove")
@access("admin")
def confirm_remove(name: str) -> Response:
    """Ask for the name before it goes."""
    return _confirm_page(name, ConfirmNodeForm())


@bp.post("/<name>/remove")
@access("admin", asks_for_proof=True)
def remove(name: str) -> Response:
    """Let it go, if the name was typed."""
    form = ConfirmNodeForm()
    if form.typed.data != name:
        form.refuse(Invalid(f"Type {name} to confirm.", field="typed"))
        return _confirm_page(name, form, status=422)
    try:
        OPERATIONS["remove-node"](me(), name=name)
    except OperationError as error:
        error.field = None if error.field == "name" else error.field
        form.refuse(error)
        return _confirm_page(name, form, status=error.status)
    return go("admin_nodes.index", said=f"{name} is removed; its keys work no longer.")


def _list_page(form: NodeForm, status: int = 200) -> Response:
    return render(
        "admin_nodes/index.html",
        part="admin_nodes/_polled.html",
        status=status,
        rows=fleet.nodes(me()),
        form=form,
    )


def _page(
    name: str, form: RotateForm, public: PublicNameForm | None = None, status: int = 200
) -> Response:
    row = fleet.node(me(), name)
    priority = row.node.mx_priority
    told = {
        "seen": digest_of(of_node(row.node)),
        "host": row.node.host,
        "mx_priority": "" if priority is None else str(priority),
    }
    return render(
        "admin_nodes/show.html",
        part="admin_nodes/_facts.html" if status == 200 else None,
        status=status,
        row=row,
        form=form,
        public=public or PublicNameForm(formdata=None, data=told),
        overlaps=OVERLAPS,
        has_error=status != 200,
    )


def key_page(made: OneNode, hours: object = None) -> Response:
    """A key, shown this once; `hours` is for how long the one before goes on working."""
    return never_stored(
        render(
            "admin_nodes/key.html",
            node=made.node,
            key=made.sync_key,
            public_url=settings.public_url,
            hours=hours,
        )
    )


def _confirm_page(name: str, form: ConfirmNodeForm, status: int = 200) -> Response:
    return render(
        "admin_nodes/remove.html",
        part="admin_nodes/_remove.html",
        status=status,
        node=fleet.one(me(), name),
        form=form,
    )
