"""`POST /sync/v1/report`: what a node says of itself."""

from __future__ import annotations

from flask import Response, request

from ..caller import Caller
from ..doors import opens_to
from ..operations import OPERATIONS, reports
from ..strict_json import read_object
from ..watch import Known
from .asking import Asker, asker
from .desk import NodeDesk, bp, desk

LARGEST, DEEPEST = 8 * 2**20, 6


@bp.post("/report", provide_automatic_options=False)
@opens_to("node key")
def report() -> Response:
    """Keep it, and answer nothing."""
    at_hand = desk()
    known = at_hand.watch.now()
    who = asker(known)
    request.max_content_length = LARGEST
    given = reports.read(read_object(request, depth=DEEPEST))
    has_drifted = _has_drifted(at_hand, known, given, who.key.node_id)
    reports.take(who.key.node_id, given, has_drifted=has_drifted)
    _acknowledge(at_hand, who, given.purged)
    return Response(status=204, headers={"Cache-Control": "no-store"})


def _has_drifted(
    at_hand: NodeDesk, known: Known, given: reports.Report, node_id: int
) -> bool | None:
    """Whether the node holds another state than the panel had at that revision; None: unknown."""
    if given.epoch != known.epoch or given.revision is None or given.sha256 is None:
        return None
    if given.revision > known.revision:
        return True  # it has not been
    if given.revision == known.revision:
        found = at_hand.exports.at_least(known.epoch, known.revision, node_id)
        if found.revision == given.revision:
            return found.sha256 != given.sha256
    digest = at_hand.exports.digest_at(known.epoch, given.revision, node_id)
    return None if digest is None else digest != given.sha256


def _acknowledge(at_hand: NodeDesk, who: Asker, purged: list[str]) -> None:
    """Pass on what the node was told to purge and says it has."""
    if not purged:
        return
    known = at_hand.watch.now()
    found = at_hand.exports.at_least(known.epoch, known.revision, who.key.node_id)
    told = set(found.purge(who.key.node_id))
    if done := sorted(told & set(purged)):
        caller = Caller(
            actor=f"node {who.key.node}", is_admin=True, projects=None, address=who.address or None
        )
        OPERATIONS["acknowledge-purge"](caller, name=who.key.node, mailboxes=done)
