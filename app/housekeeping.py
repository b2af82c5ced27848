"""What a running panel does by itself: it tells of nodes every minute, looks at domains in the DNS
when they are due, and tidies up every hour.

Several processes at it do no harm."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from functools import partial

from flask import Flask

from . import domain_notices, places, sign_in_notices
from .alerts import send_what_is_new
from .authorization import forget_what_is_over
from .caller import Caller
from .calls import calls
from .errors import OperationError
from .export import forget_what_went
from .heartbeats import beat, keep_up
from .operations import provisioning, zone_checks
from .operations.approvals import forget_old_calls
from .operations.claims import forget_old_claims
from .operations.linking import link_what_is_proven
from .operations.links import forget_old_links
from .operations.panel import anything_to_purge, purge
from .outbox import send_what_waits
from .throttle import forget_full_buckets

log = logging.getLogger(__name__)

SOON, MINUTE, HOUR = 5.0, 60.0, 3600.0
# Nodes that could not reach a panel while it was down are no news: they return within a minute.
PATIENCE = 150.0


def start(app: Flask) -> None:
    """Tidy up in the background for as long as this process lives."""
    for name, work in (("housekeeping", _keep_house), ("zones", _keep_zones)):
        threading.Thread(
            target=keep_up, args=(name, partial(work, app)), name=name, daemon=True
        ).start()


def tidy_up() -> None:
    """Purge what is past its grace period, and forget what nobody will ask for."""
    if anything_to_purge():
        purge(Caller(actor="housekeeping", is_admin=True, projects=None))
    forget_full_buckets()
    forget_what_went()
    forget_old_links()
    forget_old_calls()
    forget_old_claims()
    forget_what_is_over()
    places.forget_old()


def each_minute(app: Flask) -> None:
    """Tell of what is new, and write what was called."""
    _do(app, "tell of nodes", send_what_is_new)
    _do(app, "write of sign-ins", sign_in_notices.write_what_is_new)
    _do(app, "send notices", send_what_waits)
    _do(app, "keep what was called", _write_calls)


def look_at_domains(app: Flask) -> None:
    """Look at the domains that are due, and tell of what changed."""
    _do(app, "follow changes of nodes", provisioning.rewrite_what_changed)
    _do(app, "link domains", link_what_is_proven)
    _do(app, "check domains", zone_checks.check_due)
    _do(app, "write of domains", domain_notices.write_what_is_new)


def _write_calls() -> None:
    calls.write()  # those of an application, so they cannot be named outside of one


def _keep_house(app: Flask) -> None:
    due = time.monotonic() + _about(HOUR)
    time.sleep(PATIENCE)
    while True:
        beat("housekeeping")
        each_minute(app)
        if time.monotonic() >= due:
            _do(app, "tidy up", tidy_up)
            due = time.monotonic() + _about(HOUR)
        time.sleep(_about(MINUTE))


def _keep_zones(app: Flask) -> None:
    """By itself, since name servers may take their time. What was asked for is written at once;
    the domains that are due can wait until a server that was just started has settled."""
    due = time.monotonic() + _about(MINUTE)
    while True:
        time.sleep(_about(SOON))
        beat("zones")
        _do(app, "write zones", provisioning.run_due)
        if time.monotonic() >= due:
            look_at_domains(app)
            due = time.monotonic() + _about(MINUTE)


def _about(seconds: float) -> float:
    return random.uniform(0.5, 1.0) * seconds  # noqa: S311 - only to spread the processes


def _do(app: Flask, name: str, work: Callable[[], object]) -> None:
    try:
        with app.app_context():
            work()
    except OperationError as error:
        log.warning("could not %s: %s", name, error)
    except Exception:
        log.exception("could not %s", name)
