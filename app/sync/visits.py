"""What nodes' requests tell of them, written to the database by whoever comes first.

A thousand nodes that were just told of a change ask again within the same second. Each of them
brings a note, and those that come while others are being written are written together.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import bindparam, update

from .. import clock
from ..database import write_transaction
from ..errors import Busy
from ..models import Node

_SEEN = (
    update(Node.__table__)  # type: ignore[arg-type]  # the table of a model is one
    .where(Node.id == bindparam("node_id"))
    .values(
        last_sync_at=bindparam("at"),
        applied_epoch=bindparam("epoch"),
        applied_revision=bindparam("revision"),
        agent_version=bindparam("version"),
    )
)


@dataclass(frozen=True)
class Heard:
    """What a node's request tells of it: what it has applied, and its agent's version."""

    epoch: str | None
    revision: int | None
    agent_version: str | None


class Visits:
    """The notes of one process: at most one a second of each node, if it says the same again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._noted: dict[int, tuple[str, Heard]] = {}
        self._pending: dict[int, tuple[str, Heard]] = {}

    def note(self, node_id: int, heard: Heard) -> None:
        """Record that the node was here, and what it has applied."""
        visit = (clock.now(), heard)
        with self._lock:
            if self._noted.get(node_id) == visit:
                return
            self._noted[node_id] = self._pending[node_id] = visit
        with self._writing:  # who had to wait here finds its note written
            with self._lock:
                pending, self._pending = self._pending, {}
            if pending:
                _write(pending)

    def forget(self) -> None:
        """Note everybody anew, as if a second had passed."""
        with self._lock:
            self._noted.clear()


def _write(visits: dict[int, tuple[str, Heard]]) -> None:
    rows = [
        {
            "node_id": node_id,
            "at": at,
            "epoch": heard.epoch,
            "revision": heard.revision,
            "version": heard.agent_version,
        }
        for node_id, (at, heard) in sorted(visits.items())
    ]
    # A database that cannot be written now is no reason to keep nodes waiting.
    with suppress(Busy), write_transaction(is_lasting=False) as session:
        session.connection().execute(_SEEN, rows)
