"""Asking the DNS while somebody waits for the answer: so many at once, and no longer than so."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ..database import is_writing
from ..dns.lookup import Asking
from ..errors import Busy
from ..extensions import db, settings

# Threads of one process that may wait for name servers, which can be slow on purpose: the others
# are for everybody else.
AT_ONCE = 16
_room = threading.BoundedSemaphore(AT_ONCE)


@contextmanager
def asking() -> Iterator[Asking]:
    """How to ask, while there is room. No transaction is open meanwhile. Raises Busy."""
    if is_writing():
        raise RuntimeError("name servers are not waited for inside a write transaction")
    if not _room.acquire(timeout=1):
        raise Busy("Too many domains are being looked at just now; try again in a moment.")
    try:
        db.session.rollback()
        yield Asking.of(settings)
    finally:
        _room.release()
