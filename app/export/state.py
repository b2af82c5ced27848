"""The state at one revision, and what changed since an older one, as JSON.

A node that is a backup for some domains is told of them in format 2, which has two arrays more:
    "relays":     [{"domain": "example.nl", "host": "mpi01.example.net"}]   by domain
    "recipients": [{"email": "info@example.nl", "id": "<32 hex>"}]          by id
Mail for a recipient is accepted and passed on to port 25 of the domain's host; where that is null
the home is lost, and mail waits in the queue. Neither `domains` nor `users` has anything of such a
domain, and there is no hash of it anywhere in the answer. `counts` have both arrays, the digest is
over [domains, users, aliases, relays, recipients], a delta's `gone` has "relays" (domains) and
"recipients" (ids). In format 1 there are none, which a delta in format 1 implies as well: who held
some drops them.

An agent that knows format 1 only refuses an answer in format 2 and keeps what it has: it never
takes a mailbox without a hash for one of its own, nor a domain that is not there for one to refuse
mail for. It is behind from then on, and says why in its reports.

A home that moves changes no mailbox: they are `users` here and `recipients` there, and named in
the other's `gone`. Nothing of that removes stored mail: only `purge` does, which is for mailboxes
that are gone from the panel, and for every node, since any may have been their home.
"""

from __future__ import annotations

import hashlib
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
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
    """The state at one revision as some nodes see it: which domains are theirs, users in buckets,
    and for each purge the nodes that are done.

    `users` are those it has, `elsewhere` those whose home is another node. `head` is the JSON text
    of what comes before the users, without its last bracket; `deltas` are those of `delta` that
    were asked for, by the revision they begin at.
    """

    epoch: str
    revision: int
    users: int
    elsewhere: int
    sha256: str
    facts: dict[str, Any]
    deltas_from: int
    head: bytes = field(repr=False)
    places: rows.Places = field(repr=False)
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
        yield from rows.in_pieces(bucket.users for bucket in self.buckets.values())
        yield b'],"aliases":[]'
        if self.places.relayed:
            yield b',"recipients":['
            yield from rows.in_pieces(bucket.recipients for bucket in self.buckets.values())
            yield b"]"

    def _tail(self, node_id: int) -> bytes:
        return b',"purge":' + orjson.dumps(self.purge(node_id)) + b"}"


def build(node_id: int = 0, earlier: Mapping[int | None, Export] | None = None) -> Export:
    """Read the present state for a node in one snapshot: the revision first, then the rows.

    With earlier exports, by their views, only what has changed since is read. No node has id 0,
    which stands for one that is nobody's home.
    """
    with snapshot():
        return _read(node_id, earlier or {})


def add_delta(found: Export, since: int, node_id: int) -> Export:
    """Read what has changed since a revision into the export's deltas, if that can be told.

    What the delta leads to: this export, or a later one when that is what there is by now.
    """
    with snapshot() as session:
        epoch, revision = session.execute(db.select(Feed.epoch, Feed.revision)).one()
        if (epoch, revision) != (found.epoch, found.revision):
            found = _read(node_id, {found.places.view: found})
        if found.can_tell_since(since):
            found.deltas[since] = _delta(found, since)
        return found


def forget_what_went() -> None:
    """Forget the names of what went so long ago that nobody is told of it any more."""
    with write_transaction() as session:
        revision = session.scalars(db.select(Feed.revision)).one()
        session.execute(db.delete(Gone).where(Gone.revision <= revision - KEPT))


def _read(node_id: int, earlier: Mapping[int | None, Export]) -> Export:
    feed = db.session.scalars(db.select(Feed)).one()
    places = rows.places(node_id)
    buckets = _buckets(feed, places, earlier.get(places.view))
    users = sum(bucket.user_count for bucket in buckets.values())
    elsewhere = sum(bucket.elsewhere for bucket in buckets.values())
    facts = {
        "format": 2 if places.relayed else 1,
        "epoch": feed.epoch,
        "revision": feed.revision,
        "counts": _counts(places, users, buckets),
        "sha256": (sha256 := _digest(places, buckets)),
        # The operations account for all mailboxes: also when another home made some of them go.
        "allow_shrink": feed.shrink_is_meant and feed.users == users + elsewhere,
    }
    head = {**facts, "full": True, "domains": places.own}
    if places.relayed:
        head["relays"] = _relays(places, places.relayed)
    return Export(
        epoch=feed.epoch,
        revision=feed.revision,
        users=users,
        elsewhere=elsewhere,
        sha256=sha256,
        facts=facts,
        deltas_from=feed.deltas_from,
        head=orjson.dumps(head)[:-1],
        places=places,
        buckets=buckets,
        purges=rows.purges(),
    )


def _buckets(feed: Feed, places: rows.Places, before: Export | None) -> dict[str, rows.Bucket]:
    """All users: those of an earlier export with what has changed since, or all of them anew."""
    if before and before.epoch == feed.epoch and before.places.are_those_of(places):
        steps = feed.revision - before.revision
        if 0 < steps <= MANY_CHANGES:
            changed = rows.beginnings_changed(before.revision, feed.revision)
            if changed is not None and len(changed) <= MANY_CHANGES:
                return rows.patched(before.buckets, changed, places)
    return rows.buckets(places)


def _counts(places: rows.Places, users: int, buckets: dict[str, rows.Bucket]) -> dict[str, int]:
    counts = {"domains": len(places.own), "users": users, "aliases": 0}
    if places.relayed:
        counts["relays"] = len(places.relayed)
        counts["recipients"] = sum(bucket.recipient_count for bucket in buckets.values())
    return counts


def _digest(places: rows.Places, buckets: dict[str, rows.Bucket]) -> str:
    digest = hashlib.sha256(b"[" + orjson.dumps(places.own) + b",[")
    for piece in rows.in_pieces(bucket.users for bucket in buckets.values()):
        digest.update(piece)
    digest.update(b"],[]")
    if places.relayed:
        digest.update(b"," + orjson.dumps(_relays(places, places.relayed)) + b",[")
        for piece in rows.in_pieces(bucket.recipients for bucket in buckets.values()):
            digest.update(piece)
        digest.update(b"]")
    digest.update(b"]")
    return digest.hexdigest()


def _relays(places: rows.Places, names: Iterable[str]) -> list[dict[str, str | None]]:
    return [{"domain": name, "host": places.relayed[name]} for name in names]


def _delta(found: Export, since: int) -> bytes:
    """The JSON text of what changed, without the end that differs from node to node."""
    places = found.places
    changed, without_row = rows.changed_users(since, places)
    users, recipients = rows.divided(changed, places)
    names, gone = rows.changed_domains(since), rows.gone(since)
    ids = without_row | gone["user"] | {user["id"] for user in changed}
    names_gone = names | gone["domain"]
    delta = {
        **found.facts,
        "full": False,
        "domains": sorted(names & set(places.own)),
        "users": users,
        "aliases": [],
        "gone": {
            "domains": sorted(names_gone - set(places.own)),
            "users": sorted(ids - {user["id"] for user in users}),
            "aliases": [],
        },
    }
    if places.relayed:
        delta["relays"] = _relays(places, sorted(names & places.relayed.keys()))
        delta["recipients"] = recipients
        delta["gone"]["relays"] = sorted(names_gone - places.relayed.keys())
        delta["gone"]["recipients"] = sorted(ids - {one["id"] for one in recipients})
    return orjson.dumps(delta)[:-1]
