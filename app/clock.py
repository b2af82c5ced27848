"""The time, in the one form in which it is stored and answered: UTC, ISO 8601 with Z (RFC 3339).

Text of this form sorts as time does, is the same on both databases, and needs no zone handling.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

SKEW = 60.0  # seconds
_FORM = "%Y-%m-%dT%H:%M:%SZ"


def now() -> str:
    """The present second, such as 2026-11-22T15:51:52Z."""
    return _text(int(time.time()))


@lru_cache(maxsize=1)  # many ask within the same second
def _text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime(_FORM)


def from_now(*, days: int = 0, seconds: int = 0) -> str:
    """The second that lies so many days and seconds ahead (behind, if negative)."""
    return (datetime.now(UTC) + timedelta(days=days, seconds=seconds)).strftime(_FORM)


def seconds_since(moment: str) -> float:
    """Seconds that have passed since a stored moment; negative when it lies ahead."""
    return time.time() - datetime.fromisoformat(moment).timestamp()


def is_over(moment: str, seconds: float) -> bool:
    """Whether more than so many seconds have passed since a stored moment.

    So it also is when that lies ahead by more than the clocks of two hosts differ: the clock was
    set back, and what should last for minutes would last until it gets there again.
    """
    return not -SKEW <= seconds_since(moment) <= seconds


def second_after(moment: str) -> str:
    """The second that follows a stored moment."""
    return (datetime.fromisoformat(moment) + timedelta(seconds=1)).strftime(_FORM)


def epoch_of(moment: str) -> int:
    """A stored moment in seconds since 1970, as some protocols want it."""
    return int(datetime.fromisoformat(moment).timestamp())
