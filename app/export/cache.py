"""What one process keeps of the exports it has made."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from .state import KEPT, Export, add_delta, build

DELTAS_AT_HAND = 32


@dataclass
class Digests:
    """Those of the views of one revision, and which nodes had one of their own."""

    homes: frozenset[int]
    by_view: dict[int | None, str] = field(default_factory=dict)


class ExportCache:
    """The newest exports of this process: one for each home node, and one for all other nodes,
    each built once however many ask for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: dict[int | None, Export] = {}
        self._digests: dict[tuple[str, int], Digests] = {}

    def at_least(self, epoch: str, revision: int, node_id: int) -> Export:
        """What the node is to see at this revision, or at a later one when there is one."""
        with self._lock:
            newest = self._at_hand(node_id)
            if newest is None or newest.epoch != epoch or newest.revision < revision:
                newest = self._keep(build(node_id, self._newest))
            return newest

    def with_delta(self, found: Export, since: int, node_id: int) -> Export:
        """This export or a later one, with what changed since then if that can be told."""
        with self._lock:
            if since in found.deltas or not found.can_tell_since(since):
                return found
            found = self._keep(add_delta(found, since, node_id))
            while len(found.deltas) > DELTAS_AT_HAND:
                del found.deltas[next(iter(found.deltas))]
            return found

    def digest_at(self, epoch: str, revision: int, node_id: int) -> str | None:
        """The digest of a node's state at a revision; None when this process has not made it."""
        with self._lock:
            digests = self._digests.get((epoch, revision))
        if digests is None:
            return None
        return digests.by_view.get(node_id if node_id in digests.homes else None)

    def forget(self) -> None:
        """Build everything anew when it is asked for again."""
        with self._lock:
            self._newest.clear()

    def _at_hand(self, node_id: int) -> Export | None:
        """The newest of those that are for the node: it may have been a home before, or become
        one."""
        views = (self._newest.get(view) for view in (node_id, None))
        fitting = [found for found in views if found and found.places.is_for(node_id)]
        return max(fitting, key=lambda found: found.revision, default=None)

    def _keep(self, made: Export) -> Export:
        for view in {*self._newest} - made.places.homes - {None}:
            del self._newest[view]  # it is no home any more
        self._newest[made.places.view] = made
        key = (made.epoch, made.revision)
        digests = self._digests.setdefault(key, Digests(made.places.homes))
        digests.by_view[made.places.view] = made.sha256
        while len(self._digests) > KEPT:
            del self._digests[next(iter(self._digests))]
        return made
