"""`GET /sync/v1/export`: the users of a node, at once or as soon as there is something new."""

from __future__ import annotations

import gzip
import re
import time
from contextlib import suppress
from dataclasses import dataclass

from flask import Response, g, request

from ..caller import Caller
from ..doors import opens_to
from ..errors import Busy, Invalid, UnknownKey, nameable
from ..export import Export
from ..operations import panel
from ..throttle import refuse_credential
from ..watch import Known
from .asking import Asker, asker, unfit
from .desk import NodeDesk, bp, desk
from .visits import Heard
from .waiting import News

MAX_WAIT = 55
_TAG = re.compile(r"([0-9a-f-]{36})-(0|[1-9][0-9]{0,8})-(.{1,63})")
_AGENT = re.compile(r"mailcote-agent/([0-9A-Za-z.+-]{1,32})")
_QUERY = {
    "wait": re.compile(r"(?:0|[1-9][0-9]?)(?:\.[0-9]{1,3})?"),
    "since": re.compile("0|[1-9][0-9]{0,8}"),
}


@dataclass(frozen=True)
class Wish:
    """How a node asks: how many seconds it would wait, and which revision it holds already."""

    wait: float
    since: int | None


_NO_WISH = Wish(0, None)


@bp.get("/export", provide_automatic_options=False)
@opens_to("node key")
def export() -> Response:
    """The users of this node, or 304 when it has them already."""
    at_hand, looked_at = desk(), time.monotonic()
    known = at_hand.watch.now()
    who = asker(known)
    wish = _wish()
    heard = _heard(known, who)
    at_hand.visits.note(who.key.node_id, heard)
    if heard.epoch == known.epoch and not known.shrink_is_meant:
        known = _settle(at_hand, known, who)
    if wish.wait and _has(known, who):
        known = _wait(at_hand, known, who, wish.wait, looked_at)
    if _has(known, who):
        return _answer(Response(status=304), known.epoch, known.revision, who)
    found = at_hand.exports.at_least(known.epoch, known.revision, who.key.node_id)
    is_of_this_epoch = heard.epoch in (None, found.epoch)
    if wish.since is not None and is_of_this_epoch:
        found = at_hand.exports.with_delta(found, wish.since, who.key.node_id)
        if delta := found.delta(wish.since, who.key.node_id):
            g.is_delta = True
            return _answer(_changes(delta), found.epoch, found.revision, who)
    return _answer(_body(found, who), found.epoch, found.revision, who)


def _wish() -> Wish:
    """The query. Raises Invalid for what is not in the contract."""
    if not request.query_string:  # a plain poll, which has to cost next to nothing
        return _NO_WISH
    for name, texts in request.args.lists():
        if name not in _QUERY:
            raise Invalid("There is no such parameter here; leave it out.", field=nameable(name))
        if len(texts) > 1:
            raise Invalid("This parameter is given more than once.", field=name)
        if not _QUERY[name].fullmatch(texts[0]):
            raise Invalid("This parameter takes a number.", field=name)
    wait = float(request.args.get("wait", "0"))
    if wait > MAX_WAIT:
        raise Invalid(f"Wait {MAX_WAIT} seconds at most.", field="wait")
    since = request.args.get("since")
    return Wish(wait, None if since is None else int(since))


def _wait(at_hand: NodeDesk, known: Known, who: Asker, seconds: float, looked_at: float) -> Known:
    """Wait for something new; what is known then. Raises Unauthorized if the key was revoked."""

    def is_news(news: News) -> bool:
        return news.known.state != known.state or news.keys.get(who.digest) != who.key

    patience = min(seconds, who.seconds_left)
    news = at_hand.room.wait(who.key.node_id, patience, looked_at, is_news)
    key = news.keys.get(who.digest) if news else who.key
    if reason := unfit(key, who.address) if key else "its key was revoked":
        g.refused_for = reason
        refuse_credential(request.headers.get("Authorization", ""), who.address, UnknownKey)
    return news.known if news else known


def _heard(known: Known, who: Asker) -> Heard:
    agent = _AGENT.match(request.headers.get("User-Agent", ""))
    version = agent[1] if agent else None
    if _names_the_present(known, who):
        return Heard(known.epoch, known.revision, version)
    for tag in request.if_none_match.as_set(include_weak=True):
        match = _TAG.fullmatch(tag or "")  # werkzeug reads a lone quote as None
        # A tag of another node, or of a revision that has not been, says nothing of this one.
        if match and match[3] == who.key.node and not _is_ahead(known, match[1], int(match[2])):
            return Heard(match[1], int(match[2]), version)
    return Heard(None, None, version)


def _is_ahead(known: Known, epoch: str, revision: int) -> bool:
    return epoch == known.epoch and revision > known.revision


def _has(known: Known, who: Asker) -> bool:
    """Whether the node names the present state as what it has."""
    return _names_the_present(known, who) or request.if_none_match.contains_weak(
        _tag(known.epoch, known.revision, who)
    )


def _names_the_present(known: Known, who: Asker) -> bool:
    """The same, where the tag is written as it was told: so nearly all ask, and nearly always."""
    header = request.headers.get("If-None-Match")
    return header == f'"{_tag(known.epoch, known.revision, who)}"'


def _settle(at_hand: NodeDesk, known: Known, who: Asker) -> Known:
    """A node holds this epoch: if all do, they may be told to shrink from now on."""
    with suppress(Busy):
        if panel.epoch_is_settled():
            actor = f"node {who.key.node}"
            panel.settle_epoch(Caller(actor=actor, is_admin=True, projects=None))
    fresh = at_hand.watch.now()
    return fresh if fresh.epoch == known.epoch else known


def _body(found: Export, who: Asker) -> Response:
    if request.accept_encodings["gzip"] > 0:
        return _in_gzip(found.compressed(who.key.node_id))
    return _of(found.chunks(who.key.node_id))


def _changes(delta: list[bytes]) -> Response:
    text = b"".join(delta)  # each piece would be a packet
    if request.accept_encodings["gzip"] > 0:
        return _in_gzip([gzip.compress(text, compresslevel=1, mtime=0)])
    return _of([text])


def _in_gzip(pieces: list[bytes]) -> Response:
    response = _of(pieces)
    response.headers["Content-Encoding"] = "gzip"
    return response


def _of(pieces: list[bytes]) -> Response:
    response = Response(pieces, mimetype="application/json")
    response.content_length = sum(map(len, pieces))
    return response


def _tag(epoch: str, revision: int, who: Asker) -> str:
    return f"{epoch}-{revision}-{who.key.node}"


def _answer(response: Response, epoch: str, revision: int, who: Asker) -> Response:
    response.set_etag(_tag(epoch, revision, who))
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["Vary"] = "Authorization"
    return response
