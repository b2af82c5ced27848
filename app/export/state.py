"""The state at one revision, and what changed since an older one, as JSON."""

from __future__ import annotations

import hashlib
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from ..database import snapshot, write_transaction
from ..extensions import db
from ..models import Feed, Gone
from . import rows

MANY_CHANGES = 64  # buckets above which, or revisions, everything is read again
KEPT = 5000  # revisions for which is known what went; who is further behind is told everything


class Packing:
    """The text in gzip, made once; what differs from node to node is its end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: bytes | None = None
        self._packer: Any = None

    def packed(self, shared: Callable[[], Iterator[bytes]], tail: bytes) -> list[bytes]:
        """The text of these pieces and their end. Without a time: it always is the same bytes."""
        with self._lock:
            if self._begun is None:
                # Level 1: hashes hardly compress, and higher ones take four times as long.
                self._packer = zlib.compressobj(1, wbits=31)
                self._begun = b"".join(map(self._packer.compress, shared()))
            packer = self._packer.copy()
        return [self._begun, packer.compress(tail) + packer.flush()]


@dataclass(frozen=True)
class Export:
    """The state at one revision: users in buckets, and for each purge the nodes that are done.

    `head` is the JSON text of what comes before the users, without its last bracket; `deltas` are
    those of `delta` that were asked for, by the revision they begin at.
    """

    epoch: str
    revision: int
    users: int
    sha256: str
    allow_shrink: bool
    deltas_from: int
    head: bytes = field(repr=False)
    domains: tuple[str, ...] = field(repr=False)
    buckets: dict[str, rows.Bucket] = field(repr=False)
    purges: dict[str, frozenset[int]] = field(repr=False)
    packing: Packing = field(default_factory=Packing, repr=False)
    deltas: dict[int, bytes] = field(default_factory=dict, repr=False)

    def chunks(self, node_id: int) -> list[bytes]:
        """The JSON text of the whole state for a node, in pieces."""
        return [*self._shared(), self._tail(node_id)]

    def compressed(self, node_id: int) -> list[bytes]:
        """The same text in gzip, in pieces."""
        return self.packing.packed(self._shared, self._tail(node_id))

    def delta(self, since: int, node_id: int) -> list[bytes] | None:
        """The JSON text of what changed since then, in pieces; None if all has to be told."""
        return [self.deltas[since], self._tail(node_id)] if since in self.deltas else None

    def can_tell_since(self, revision: int) -> bool:
        """Whether it is known what has changed since a revision, and what went."""
        return max(self.deltas_from, self.revision - KEPT) <= revision <= self.revision

    def purge(self, node_id: int) -> list[str]:
        """Whose stored mail this node is to remove."""
        return [key for key, done_by in self.purges.items() if node_id not in done_by]

    def _shared(self) -> Iterator[bytes]:
        yield self.head + b',"users":['
        yield from rows.in_pieces(self.buckets)
        yield b'],"aliases":[]'

    def _tail(self, node_id: int) -> bytes:
        return b',"purge":' + orjson.dumps(self.purge(node_id)) + b"}"


def build(before: Export | None = None) -> Export:
    """Read the present state in one snapshot: the revision first, then the rows.

    With an earlier export only what has changed since is read.
    """
    with snapshot():
        return _read(before)


def add_delta(found: Export, since: int) -> Export:
    """Read what has changed since a revision into the export's deltas, if that can be told.

    What the delta leads to: this export, or a later one when that is what there is by now.
    """
    with snapshot() as session:
        epoch, revision = session.execute(db.select(Feed.epoch, Feed.revision)).one()
        if (epoch, revision) != (found.epoch, found.revision):
            found = _read(found)
        if found.can_tell_since(since):
            found.deltas[since] = _delta(found, since)
        return found


def forget_what_went() -> None:
    """Forget the names of what went so long ago that nobody is told of it any more."""
    with write_transaction() as session:
        revision = session.scalars(db.select(Feed.revision)).one()
        session.execute(db.delete(Gone).where(Gone.revision <= revision - KEPT))


def _read(before: Export | None) -> Export:
    feed = db.session.scalars(db.select(Feed)).one()
    domains = rows.domains()
    buckets = _buckets(feed, domains, before)
    users = sum(count for _, count in buckets.values())
    digest = hashlib.sha256(b"[" + orjson.dumps(domains) + b",[")
    for piece in rows.in_pieces(buckets):
        digest.update(piece)
    digest.update(b"],[]]")
    sha256, allow_shrink = digest.hexdigest(), feed.shrink_is_meant and feed.users == users
    facts = _facts(feed.epoch, feed.revision, len(domains), users, sha256, allow_shrink)
    head = {**facts, "full": True, "domains": domains}
    return Export(
        epoch=feed.epoch,
        revision=feed.revision,
        users=users,
        sha256=sha256,
        allow_shrink=allow_shrink,
        deltas_from=feed.deltas_from,
        head=orjson.dumps(head)[:-1],
        domains=tuple(domains),
        buckets=buckets,
        purges=rows.purges(),
    )


def _buckets(feed: Feed, domains: list[str], before: Export | None) -> dict[str, rows.Bucket]:
    """All users: those of an earlier export with what has changed since, or all of them anew."""
    known = frozenset(domains)
    if before and (before.epoch, before.domains) == (feed.epoch, tuple(domains)):
        steps = feed.revision - before.revision
        if 0 < steps <= MANY_CHANGES:
            changed = rows.beginnings_changed(before.revision, feed.revision)
            if changed is not None and len(changed) <= MANY_CHANGES:
                return rows.patched(before.buckets, changed, known)
    return rows.buckets(known)


def _delta(found: Export, since: int) -> bytes:
    """The JSON text of what changed, without the end that differs from node to node."""
    known = frozenset(found.domains)
    users, without_users = rows.changed_users(since, known)
    turned_on, turned_off = rows.changed_domains(since)
    gone = rows.gone(since)
    facts = _facts(
        found.epoch,
        found.revision,
        len(found.domains),
        found.users,
        found.sha256,
        found.allow_shrink,
    )
    delta = {
        **facts,
        "full": False,
        "domains": sorted(turned_on & known),
        "users": users,
        "aliases": [],
        "gone": {
            "domains": sorted((turned_off | gone["domain"]) - known),
            "users": sorted((without_users | gone["user"]) - {user["id"] for user in users}),
            "aliases": [],
        },
    }
    return orjson.dumps(delta)[:-1]


def _facts(
    epoch: str, revision: int, domains: int, users: int, sha256: str, allow_shrink: bool
) -> dict[str, Any]:
    """What whole states and deltas tell alike."""
    return {
        "format": 1,
        "epoch": epoch,
        "revision": revision,
        "counts": {"domains": domains, "users": users, "aliases": 0},
        "sha256": sha256,
        "allow_shrink": allow_shrink,
    }
