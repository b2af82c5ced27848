"""What a running panel does by itself: it tells of nodes every minute, and tidies up every hour.

Several processes at it do no harm."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable

from flask import Flask

from .alerts import send_what_is_new
from .authorization import forget_what_is_over
from .caller import Caller
from .calls import calls
from .errors import OperationError
from .export import forget_what_went
from .operations.approvals import forget_old_calls
from .operations.links import forget_old_links
from .operations.panel import anything_to_purge, purge
from .throttle import forget_full_buckets

log = logging.getLogger(__name__)

MINUTE, HOUR = 60.0, 3600.0
# Nodes that could not reach a panel while it was down are no news: they return within a minute.
PATIENCE = 150.0


def start(app: Flask) -> None:
    """Tidy up in the background for as long as this process lives."""
    threading.Thread(target=_keep_house, args=(app,), name="housekeeping", daemon=True).start()


def tidy_up() -> None:
    """Purge what is past its grace period, and forget what nobody will ask for."""
    if anything_to_purge():
        purge(Caller(actor="housekeeping", is_admin=True, projects=None))
    forget_full_buckets()
    forget_what_went()
    forget_old_links()
    forget_old_calls()
    forget_what_is_over()


def _keep_house(app: Flask) -> None:
    due = time.monotonic() + _about(HOUR)
    time.sleep(PATIENCE)
    while True:
        _do(app, "tell of nodes", send_what_is_new)
        _do(app, "keep what was called", calls.write)
        if time.monotonic() >= due:
            _do(app, "tidy up", tidy_up)
            due = time.monotonic() + _about(HOUR)
        time.sleep(_about(MINUTE))


def _about(seconds: float) -> float:
    return random.uniform(0.5, 1.0) * seconds  # noqa: S311 - only to spread the processes


def _do(app: Flask, name: str, work: Callable[[], None]) -> None:
    try:
        with app.app_context():
            work()
    except OperationError as error:
        log.warning("could not %s: %s", name, error)
    except Exception:
        log.exception("could not %s", name)
