"""FACE: what nodes fetch under /sync/v1, in ordinary HTTP: a key, an ETag, gzip.

`ETag: "<epoch>-<revision>-<node>"`. The tag a node names in If-None-Match is what it has applied
(RFC 9110, section 13.1.2), so asking is reporting.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import cast

from flask import Blueprint, Response, current_app, request
from flask.blueprints import BlueprintSetupState

from . import clock
from .caller import Caller
from .credentials import SYNC_KEY, digest, is_well_formed
from .database import write_transaction
from .envelope import failure_of
from .errors import Busy
from .export import Export, ExportCache
from .extensions import db
from .models import Node
from .network import client_address, is_within
from .operations import panel
from .throttle import refuse_credential
from .watch import Known, KnownKey, Watch

bp = Blueprint("sync", __name__, url_prefix="/sync/v1")
bp.register_error_handler(Exception, failure_of)

_TAG = re.compile(r"([0-9a-f-]{36})-(0|[1-9][0-9]{0,8})-(.{1,63})")
_AGENT = re.compile(r"mailcote-agent/([0-9A-Za-z.+-]{1,32})")


@dataclass(frozen=True)
class Heard:
    """What a node's request tells of it: what it has applied, and its agent's version."""

    epoch: str | None
    revision: int | None
    agent_version: str | None


@dataclass
class NodeDesk:
    """What one process keeps at hand for the nodes that ask it."""

    watch: Watch = field(default_factory=Watch)
    exports: ExportCache = field(default_factory=ExportCache)
    noted: dict[int, tuple[str, Heard]] = field(default_factory=dict)


@bp.record_once
def _open_desk(state: BlueprintSetupState) -> None:
    state.app.extensions["node_desk"] = NodeDesk()


@bp.get("/export", provide_automatic_options=False)
def export() -> Response:
    """The users of this node, or 304 when it has them already."""
    desk = cast(NodeDesk, current_app.extensions["node_desk"])
    known = desk.watch.now()
    key = _key(known)
    heard = _heard(known, key)
    _note(desk, key, heard)
    if heard.epoch == known.epoch and not known.shrink_is_meant:
        known = _settle(desk, known, key)
    if request.if_none_match.contains_weak(_tag(known.epoch, known.revision, key)):
        return _answer(Response(status=304), known.epoch, known.revision, key)
    found = desk.exports.at_least(known.epoch, known.revision)
    return _answer(_body(found), found.epoch, found.revision, key)


@bp.get("/agent.py", provide_automatic_options=False)
def agent() -> Response:
    """The program that runs on a node. It is no secret, so it needs no key."""
    response = Response(_agent(), mimetype="text/x-python")
    response.add_etag()
    return cast(Response, response.make_conditional(request))


def _key(known: Known) -> KnownKey:
    """The key the request comes with. Every refusal is the same: nobody learns what was wrong."""
    header, address = request.headers.get("Authorization", ""), client_address(request)
    credential = header.removeprefix("Bearer ")
    if credential == header or not is_well_formed(credential, SYNC_KEY):
        refuse_credential(header, address)
    key = known.key(digest(credential))
    has_ended = key is not None and key.expires_at is not None and key.expires_at <= clock.now()
    if key is None or has_ended or not is_within(address, key.network):
        refuse_credential(header, address)
    return key


def _heard(known: Known, key: KnownKey) -> Heard:
    agent = _AGENT.match(request.headers.get("User-Agent", ""))
    version = agent[1] if agent else None
    for tag in request.if_none_match.as_set(include_weak=True):
        match = _TAG.fullmatch(tag or "")  # werkzeug reads a lone quote as None
        # A tag of another node, or of a revision that has not been, says nothing of this one.
        if match and match[3] == key.node and not _is_ahead(known, match[1], int(match[2])):
            return Heard(match[1], int(match[2]), version)
    return Heard(None, None, version)


def _is_ahead(known: Known, epoch: str, revision: int) -> bool:
    return epoch == known.epoch and revision > known.revision


def _note(desk: NodeDesk, key: KnownKey, heard: Heard) -> None:
    """Record that the node was here, at most once a second if it says the same again."""
    now = clock.now()
    if desk.noted.get(key.node_id) == (now, heard):
        return
    seen = db.update(Node).where(Node.id == key.node_id)
    # A database that cannot be written now is no reason to keep a node waiting.
    with suppress(Busy), write_transaction(is_lasting=False) as session:
        session.execute(
            seen.values(
                last_sync_at=now,
                applied_epoch=heard.epoch,
                applied_revision=heard.revision,
                agent_version=heard.agent_version,
            )
        )
    desk.noted[key.node_id] = (now, heard)


def _settle(desk: NodeDesk, known: Known, key: KnownKey) -> Known:
    """A node holds this epoch: if all do, they may be told to shrink from now on."""
    with suppress(Busy):
        if panel.epoch_is_settled():
            panel.settle_epoch(Caller(actor=f"node {key.node}", is_admin=True, projects=None))
    fresh = desk.watch.now()
    return fresh if fresh.epoch == known.epoch else known


def _body(found: Export) -> Response:
    if request.accept_encodings["gzip"] > 0:
        response = Response(found.compressed, mimetype="application/json")
        response.headers["Content-Encoding"] = "gzip"
        return response
    response = Response(found.chunks, mimetype="application/json")
    response.content_length = found.size
    return response


def _tag(epoch: str, revision: int, key: KnownKey) -> str:
    return f"{epoch}-{revision}-{key.node}"


def _answer(response: Response, epoch: str, revision: int, key: KnownKey) -> Response:
    response.set_etag(_tag(epoch, revision, key))
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["Vary"] = "Authorization"
    return response


@cache
def _agent() -> bytes:
    return Path(__file__).with_name("agent.py").read_bytes()
