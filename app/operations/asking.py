"""Asking the DNS while somebody waits for the answer: so many at once, and no longer than so."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from ..database import is_writing
from ..dns.lookup import Asking
from ..errors import Busy
from ..extensions import db, settings

# Threads of one process that may wait for name servers, which can be slow on purpose: the others
# are for everybody else. One project has no more than its part of them, or who has a slow name
# server could keep all others from asking theirs.
AT_ONCE, OF_ONE_PROJECT = 16, 4
PATIENCE = 1.0  # seconds to wait for a place
_taken: Counter[int] = Counter()  # by project
_change = threading.Condition()


@contextmanager
def asking(project_id: int) -> Iterator[Asking]:
    """How to ask, while there is room for the project. No transaction is open meanwhile.

    Raises Busy.
    """
    if is_writing():
        raise RuntimeError("name servers are not waited for inside a write transaction")
    db.session.rollback()
    with _change:
        if not _change.wait_for(lambda: _has_room(project_id), PATIENCE):
            raise Busy("Too many domains are being looked at just now; try again in a moment.")
        _taken[project_id] += 1
    try:
        yield Asking.of(settings)
    finally:
        with _change:
            _taken[project_id] -= 1
            if not _taken[project_id]:
                del _taken[project_id]
            _change.notify_all()


def _has_room(project_id: int) -> bool:
    return _taken.total() < AT_ONCE and _taken[project_id] < OF_ONE_PROJECT
