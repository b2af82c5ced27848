"""How long `mailcote serve` takes from its start to its first answer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.bench.measure import Figure, in_turns, medians, ratio, show
from tests.bench.panel import panel, served, served_bare

# The server's settings without its file, whose last lines would load the panel into the worker.
OPTIONS = ("--worker-class", "gthread", "--threads", "128", "--no-control-socket", "--workers")


def figures() -> Iterator[Figure]:
    """The start with a database that is up to date, in seconds and beside a bare application."""
    with panel(1000) as made:
        rounds = in_turns(partial(_ours, made.folder), partial(_bare, made.folder))
    seconds, bare = medians(rounds)
    yield Figure("start of mailcote serve", seconds, " s", goal=0.8, details="to the first answer")
    yield Figure(
        "start of mailcote serve, beside a bare one",
        ratio(rounds),
        "x",
        goal=1.4,
        details=f"{seconds:.2f} s, Flask with SQLAlchemy alone {bare:.2f} s",
    )


def _ours(folder: Path) -> float:
    with served(folder) as server:
        return server.seconds


def _bare(folder: Path) -> float:
    workers = str(os.cpu_count() or 1)
    with served_bare("tests.bench.bare:with_database()", folder, *OPTIONS, workers) as server:
        return server.seconds


if __name__ == "__main__":
    show(figures())
