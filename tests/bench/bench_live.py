"""How soon a change in the panel holds on a node with a real Dovecot and Postfix, by long-poll.

It needs what `tests/node/test_live.py` needs; elsewhere it has no figures.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.measure import Figure, show
from tests.node import mail_server
from tests.node.stage import DOMAIN, OLD, Stage

TIMES, PATIENCE = 100, 30


def figures() -> Iterator[Figure]:
    """New mailboxes until they sign in, and removed ones until their mail is refused."""
    if mail_server.lacking() or os.geteuid() != 0:
        return
    with (
        tempfile.TemporaryDirectory(prefix="bench.") as folder,
        Stage.set_up(Path(folder)) as stage,
        closing(stage.panel.connection()) as programs,
    ):
        _measure(stage, programs, "warm", 3)  # the first time is about caches and imports
        signed_in, refused = _measure(stage, programs, "user", TIMES)
    yield Figure("change to IMAP login, median", median(signed_in), " s", goal=0.15,
                 details=f"{TIMES} new mailboxes, from before the call")  # fmt: skip
    yield Figure("change to IMAP login, maximum", max(signed_in), " s", goal=1,
                 details=f"p90 {sorted(signed_in)[TIMES * 9 // 10]:.3f} s")  # fmt: skip
    yield Figure("removal to RCPT refused, median", median(refused), " s", goal=0.2,
                 details=f"at most {max(refused):.3f} s")  # fmt: skip


def _measure(
    stage: Stage, programs: HTTPConnection, name: str, times: int
) -> tuple[list[float], list[float]]:
    """Seconds of so many additions, then of so many removals."""
    emails = [f"{name}{number}@{DOMAIN}" for number in range(times)]
    node = stage.node

    def is_settled() -> bool:
        [(is_told,)] = stage.panel.rows("SELECT applied_revision = revision FROM nodes, feed")
        return bool(is_told)

    def timed(endpoint: str, is_so: Callable[[], bool], **fields: Any) -> float:
        _until(is_settled, time.perf_counter())  # what follows a change may take its time
        begun = time.perf_counter()
        stage.panel.call_on(programs, endpoint, **fields)
        return _until(is_so, begun)

    signed_in, refused = [], []

    def is_in(email: str) -> bool:
        # Who tries too early waits half a second for Dovecot's refusal.
        return node.knows(email) and node.signs_in(email)

    def is_out(email: str) -> bool:
        return not node.knows(email) and node.rcpt(email) == 550

    for email in emails:
        signed_in.append(timed("add-user", partial(is_in, email), email=email, password=OLD))
    for email in emails:
        refused.append(timed("remove-user", partial(is_out, email), email=email))
    return signed_in, refused


def _until(is_so: Callable[[], bool], begun: float) -> float:
    while not is_so():
        if time.perf_counter() - begun > PATIENCE:
            raise RuntimeError("it never came to be")
        time.sleep(0.005)
    return time.perf_counter() - begun


if __name__ == "__main__":
    show(figures())
