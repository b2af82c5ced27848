"""Nodes that wait for a change: each in its thread, asleep, with one lookout for all of them.

The lookout is a thread of its own while anybody waits. It asks the database whether something has
changed, some dozens of times a second, and wakes those who wait. None of them asks by itself: a
change costs each process two small queries, however many nodes wait in it. PostgreSQL tells of
changes (hearing.py), and for as long as that works it is asked once a second.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, current_app
from sqlalchemy.exc import SQLAlchemyError

from ..counters import waiting
from ..extensions import db
from ..heartbeats import beat, rest
from ..watch import Known, KnownKey, Watch, all_keys
from .hearing import Ear

log = logging.getLogger(__name__)

# On SQLite a look is a number read from shared memory, elsewhere it is a query; where the database
# tells of changes, the look is there for what it failed to tell.
TICK, TICK_ELSEWHERE, TICK_WHEN_TOLD = 0.015, 0.05, 1.0
# Seconds; how soon a key that was revoked ends the wait of who came with it. (PostgreSQL does not
# tell of keys: what another process revokes is seen at the next look.)
KEYS_EVERY = 0.25
PAUSE_AFTER_ERROR = 1.0
# Threads that all wake at once would keep those that serve pages from the processor.
WOKEN_TOGETHER, BETWEEN = 16, 0.004


@dataclass(frozen=True)
class News:
    """What the lookout saw, and the moment before it looked (of the monotonic clock)."""

    looked_at: float
    known: Known
    keys: dict[str, KnownKey]


class WaitingRoom:
    """Where requests wait. The seats leave threads free for everybody else.

    `seats` is how many may wait in this process, one node taking a quarter of them at most;
    `is_stopping` tells that the process is about to end, which ends every wait.
    """

    def __init__(self, watch: Watch) -> None:
        self.seats = 256
        self.is_stopping: Callable[[], bool] = lambda: False
        self._watch = watch
        self._changed = threading.Condition()
        self._bell = threading.Event()
        self._ear = Ear(heard=self.look)
        self._sitting: Counter[int] = Counter()
        self._news: News | None = None
        self._lookout: threading.Thread | None = None
        self._is_looking = False
        self._is_closed = False

    def wait(
        self, node_id: int, seconds: float, since: float, is_news: Callable[[News], bool]
    ) -> News | None:
        """Sleep until there is news; None when the time is over before, or no seat is free.

        `since` is when the caller last looked by itself: what was seen before that is no news.
        """
        app = current_app._get_current_object()  # type: ignore[attr-defined]  # a LocalProxy
        db.session.remove()  # who sleeps holds no connection
        deadline = time.monotonic() + seconds
        with self._changed:
            if not self._has_seat(node_id):
                return None
            self._sitting[node_id] += 1
            waiting.inc()
            self._see_to_a_lookout(app)
            try:
                return self._sleep(deadline, since, is_news)
            finally:
                self._sitting[node_id] -= 1
                waiting.dec()
                if not self._sitting[node_id]:
                    del self._sitting[node_id]

    def look(self) -> None:
        """Have the lookout look now: this process may just have changed something."""
        if self._sitting:
            self._bell.set()

    def close(self) -> None:
        """End every wait, for good, and see the lookout off."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            lookout = self._lookout
        self._bell.set()
        if lookout:
            lookout.join()
        self._ear.close()

    @property
    def is_told(self) -> bool:
        """Whether the database tells this process of changes, rather than being asked."""
        return self._ear.hears

    @property
    def waiting(self) -> int:
        """How many requests wait now."""
        return self._sitting.total()

    def _has_seat(self, node_id: int) -> bool:
        is_free = self.waiting < self.seats and self._sitting[node_id] < max(1, self.seats // 4)
        return is_free and not self._is_over()

    def _sleep(self, deadline: float, since: float, is_news: Callable[[News], bool]) -> News | None:
        while True:
            news = self._news
            if news and news.looked_at >= since and is_news(news):
                return news
            left = deadline - time.monotonic()
            if left <= 0 or self._is_over():
                return None
            self._changed.wait(left)

    def _is_over(self) -> bool:
        return self._is_closed or self.is_stopping()

    def _see_to_a_lookout(self, app: Flask) -> None:
        if self._lookout is None or not self._is_looking or not self._lookout.is_alive():
            self._news, self._is_looking = None, True
            self._lookout = threading.Thread(
                target=self._look_out, args=(app,), name="lookout", daemon=True
            )
            self._lookout.start()

    def _look_out(self, app: Flask) -> None:
        with app.app_context():
            is_sqlite, is_rung = db.engine.dialect.name == "sqlite", False
            if not is_sqlite:
                self._ear.listen(app)
            while self._is_needed():
                beat("lookout")
                if not self._see():
                    db.session.remove()
                    self._bell.wait(PAUSE_AFTER_ERROR)
                    continue
                is_rung = self._bell.wait(TICK if is_sqlite else self._tick(is_rung))
                self._bell.clear()

    def _see(self) -> bool:
        """Look, and tell what is new; whether that was possible. Who waits has no other lookout."""
        try:
            if news := self._fresh():
                self._tell(news)
        except (SQLAlchemyError, sqlite3.Error) as error:
            log.warning("cannot see whether anything changed: %s", type(error).__name__)
            return False
        except Exception:
            log.exception("cannot see whether anything changed")
            return False
        return True

    def _tick(self, is_rung: bool) -> float:
        """Until the next look, where it is a query; keys are looked at a little after the rest."""
        if not self.is_told:
            return TICK_ELSEWHERE
        return KEYS_EVERY if is_rung else TICK_WHEN_TOLD

    def _is_needed(self) -> bool:
        with self._changed:
            if self._sitting and not self._is_over():
                return True
            self._is_looking = False
            rest("lookout")  # before another can begin
            self._changed.notify_all()
            return False

    def _fresh(self) -> News | None:
        """What there is to tell; None when it is what was told last."""
        looked_at, last = time.monotonic(), self._news
        known = self._watch.now()
        if last:
            is_same = known.state == last.known.state
            if known is last.known or (is_same and looked_at < last.looked_at + KEYS_EVERY):
                return None
        keys = all_keys()
        news = News(looked_at, known, keys)
        if last and is_same and keys == last.keys:
            self._news = news  # nobody has to wake up for it
            return None
        return news

    def _tell(self, news: News) -> None:
        with self._changed:
            self._news = news
            left = self.waiting
        while left > 0:
            with self._changed:  # it wakes those who have waited longest
                self._changed.notify(WOKEN_TOGETHER)
            left -= WOKEN_TOGETHER
            if left > 0:
                time.sleep(BETWEEN)
