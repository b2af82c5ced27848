"""How each node's last requests were answered, for who looks after it.

A node asks all day, and nearly always there is nothing new. So the same answer again is one row
with a count, rows are written together, once a second at most, and only the last are kept. A
refusal is written at once. What a process has not written when it ends is lost, which harms nobody.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from flask import Response, g
from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from .. import clock
from ..database import write_transaction
from ..errors import Busy
from ..models import Node, NodeRequest
from ..models.nodes import REQUESTS_KEPT

PAUSE = 1.0  # seconds
_OTHERS = {204: "report taken", 304: "nothing new"}
_AGAIN = (
    update(NodeRequest.__table__)  # type: ignore[arg-type]  # the table of a model is one
    .where(NodeRequest.id == bindparam("row"))
    .values(count=NodeRequest.count + bindparam("more"), last_at=bindparam("at"))
)


@dataclass
class Run:
    """The same answer `count` times in a row; `row` is its id once it is written."""

    outcome: str
    address: str
    first_at: str
    last_at: str
    count: int = 1
    row: int | None = None

    def goes_on(self, outcome: str, address: str) -> bool:
        """Whether this answer is the same again."""
        return (self.outcome, self.address) == (outcome, address)


class Journal:
    """What one process has answered to nodes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._last: dict[int, Run] = {}
        self._pending: dict[int, list[Run]] = {}
        self._written_at = float("-inf")

    def note(self, node_id: int, outcome: str, address: str, *, at_once: bool = False) -> None:
        """Keep an answer, and write what has come together if it is time for that."""
        now = clock.now()
        with self._lock:
            self._add(node_id, outcome, address, now)
            if not at_once and time.monotonic() < self._written_at + PAUSE:
                return
            pending, self._pending = self._pending, {}
            self._written_at = time.monotonic()
        with self._writing:
            _write(pending)

    def _add(self, node_id: int, outcome: str, address: str, now: str) -> None:
        runs = self._pending.setdefault(node_id, [])
        last = self._last.get(node_id)
        if last and last.goes_on(outcome, address):
            if not runs:  # it has been written: from now on its row counts on
                last = Run(outcome, address, now, now, count=0, row=last.row)
                runs.append(last)
            last.last_at = now
            last.count += 1
        else:
            last = Run(outcome, address, now, now)
            runs.append(last)
            del runs[:-REQUESTS_KEPT]
        self._last[node_id] = last


def keep(journal: Journal, response: Response) -> Response:
    """Note how the request at hand was answered, if it came with the key of a node."""
    asked = g.get("asked_by")
    if asked:
        node_id, address = asked
        is_refused = response.status_code >= 400
        journal.note(node_id, _outcome(response), address, at_once=is_refused)
    return response


def _outcome(response: Response) -> str:
    status = response.status_code
    if status >= 400:
        return f"refused: {g.get('refused_for') or f'status {status}'}"
    return _OTHERS.get(status) or ("changes sent" if g.get("is_delta") else "all users sent")


def _write(pending: dict[int, list[Run]]) -> None:
    """A database that cannot be written now is no reason to keep nodes waiting."""
    with suppress(Busy, IntegrityError), write_transaction(is_lasting=False) as session:
        there = set(session.scalars(select(Node.id).where(Node.id.in_(pending))))
        runs = [(node_id, run) for node_id in sorted(there) for run in pending[node_id]]
        if again := [_counted_on(run) for _, run in runs if run.row is not None]:
            session.connection().execute(_AGAIN, again)
        if new := [(node_id, run) for node_id, run in runs if run.row is None]:
            rows = [_row(node_id, run) for node_id, run in new]
            made = session.scalars(
                insert(NodeRequest).returning(NodeRequest.id, sort_by_parameter_order=True), rows
            )
            for (_, run), row in zip(new, made.all(), strict=True):
                run.row = row
            session.execute(delete(NodeRequest).where(NodeRequest.id.in_(_too_old(there))))


def _counted_on(run: Run) -> dict[str, Any]:
    return {"row": run.row, "more": run.count, "at": run.last_at}


def _row(node_id: int, run: Run) -> dict[str, Any]:
    return {
        "node_id": node_id,
        "outcome": run.outcome,
        "address": run.address,
        "first_at": run.first_at,
        "last_at": run.last_at,
        "count": run.count,
    }


def _too_old(nodes: set[int]) -> Any:
    place = func.row_number().over(partition_by=NodeRequest.node_id, order_by=NodeRequest.id.desc())
    ranked = select(NodeRequest.id, place.label("place")).where(NodeRequest.node_id.in_(nodes))
    ranked_rows = ranked.subquery()
    return select(ranked_rows.c.id).where(ranked_rows.c.place > REQUESTS_KEPT)
