"""What a running panel does by itself, once an hour; several processes at it do no harm."""

from __future__ import annotations

import logging
import random
import threading
import time

from flask import Flask

from .caller import Caller
from .errors import OperationError
from .export import forget_what_went
from .operations.panel import anything_to_purge, purge
from .throttle import forget_full_buckets

log = logging.getLogger(__name__)

HOUR = 3600.0


def start(app: Flask) -> None:
    """Tidy up in the background for as long as this process lives."""
    threading.Thread(target=_hourly, args=(app,), name="housekeeping", daemon=True).start()


def tidy_up() -> None:
    """Purge what is past its grace period, and forget what nobody will ask for."""
    if anything_to_purge():
        purge(Caller(actor="housekeeping", is_admin=True, projects=None))
    forget_full_buckets()
    forget_what_went()


def _hourly(app: Flask) -> None:
    while True:
        time.sleep(random.uniform(0.5, 1.0) * HOUR)  # noqa: S311 - only to spread the processes
        try:
            with app.app_context():
                tidy_up()
        except OperationError as error:
            log.warning("could not tidy up: %s", error)
        except Exception:
            log.exception("could not tidy up")
