"""The blueprint of the nodes' routes, and what one process keeps at hand for those who ask."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from flask import Blueprint, Response, current_app, request
from flask.blueprints import BlueprintSetupState

from ..envelope import failure_of
from ..export import ExportCache
from ..watch import Watch
from .journal import Journal, keep
from .visits import Visits
from .waiting import WaitingRoom

bp = Blueprint("sync", __name__, url_prefix="/sync/v1")
bp.register_error_handler(Exception, failure_of)


@dataclass
class NodeDesk:
    """What is known, what is told, who was here, and who waits."""

    watch: Watch = field(default_factory=Watch)
    exports: ExportCache = field(default_factory=ExportCache)
    visits: Visits = field(default_factory=Visits)
    journal: Journal = field(default_factory=Journal)
    room: WaitingRoom = field(init=False)

    def __post_init__(self) -> None:
        self.room = WaitingRoom(self.watch)

    def close(self) -> None:
        """Let go of everybody who waits, and of the database."""
        self.room.close()
        self.watch.close()


def desk() -> NodeDesk:
    """The desk of the running application."""
    return cast(NodeDesk, current_app.extensions["node_desk"])


@bp.record_once
def _open_desk(state: BlueprintSetupState) -> None:
    state.app.extensions["node_desk"] = NodeDesk()


@bp.after_request
def _keep_in_journal(response: Response) -> Response:
    return keep(desk().journal, response)


@bp.after_app_request
def _tell_those_who_wait(response: Response) -> Response:
    """What this request has changed is looked for at once, rather than at the next tick."""
    if request.method == "POST":
        desk().room.look()
    return response
