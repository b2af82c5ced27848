"""What one process keeps of the exports it has made."""

from __future__ import annotations

import threading

from .state import KEPT, Export, add_delta, build

DELTAS_AT_HAND = 32


class ExportCache:
    """The newest export of this process, built once however many nodes ask for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: Export | None = None
        self._digests: dict[tuple[str, int], str] = {}

    def at_least(self, epoch: str, revision: int) -> Export:
        """The export at this revision, or at a later one when that is what there is."""
        with self._lock:
            newest = self._newest
            if newest is None or newest.epoch != epoch or newest.revision < revision:
                newest = self._keep(build(newest))
            return newest

    def with_delta(self, found: Export, since: int) -> Export:
        """This export or a later one, with what changed since then if that can be told."""
        with self._lock:
            if since in found.deltas or not found.can_tell_since(since):
                return found
            found = self._keep(add_delta(found, since))
            while len(found.deltas) > DELTAS_AT_HAND:
                del found.deltas[next(iter(found.deltas))]
            return found

    def digest_at(self, epoch: str, revision: int) -> str | None:
        """The digest of the state at a revision; None when this process has not made it."""
        with self._lock:
            return self._digests.get((epoch, revision))

    def _keep(self, made: Export) -> Export:
        self._newest = made
        self._digests[made.epoch, made.revision] = made.sha256
        while len(self._digests) > KEPT:
            del self._digests[next(iter(self._digests))]
        return made
