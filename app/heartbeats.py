"""Whether the threads that nobody asks for anything are alive: each says so now and then.

What they do is missed by nobody at once: mailboxes that are not purged, alerts that are not sent.
A thread that ends by a fault says so in the log and begins anew; one that hangs is named by
`/readyz` and told of by the figures, of all processes of a server (counters.py).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from .counters import ages, beat, rest

__all__ = ["PATIENCE", "PAUSE_AFTER_FAULT", "beat", "keep_up", "late", "rest"]

log = logging.getLogger(__name__)

# Seconds after which something is wrong: several times as long as it takes from beat to beat, with
# the mail servers and name servers that may keep it waiting.
PATIENCE = {"housekeeping": 600.0, "zones": 900.0, "lookout": 60.0, "ear": 60.0}
PAUSE_AFTER_FAULT = 60.0


def late() -> list[str]:
    """The threads that should have been heard of, in whichever process."""
    return sorted(thread for thread, seconds in ages().items() if seconds > PATIENCE[thread])


def keep_up(thread: str, work: Callable[[], object]) -> None:
    """Do what goes on for ever; a fault is logged, and a minute later it begins anew."""
    while True:
        beat(thread)
        try:
            work()
        except Exception:
            log.exception("%s ended by a fault; it begins anew in a minute", thread)
        else:
            return rest(thread)
        time.sleep(PAUSE_AFTER_FAULT)
