"""How long `mailcote serve` takes from its start to its first answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median

from tests.bench.measure import ROUNDS, Figure, show
from tests.bench.panel import panel, served


def figures() -> Iterator[Figure]:
    """The start with a database that is up to date."""
    with panel(1000) as made:
        seconds = [_seconds(made.folder) for _ in range(ROUNDS)]
    yield Figure(
        "start of mailcote serve",
        median(seconds),
        " s",
        goal=0.8,
        details=f"to its first answer; {min(seconds):.2f} to {max(seconds):.2f} s",
    )


def _seconds(folder: Path) -> float:
    with served(folder) as server:
        return server.seconds


if __name__ == "__main__":
    show(figures())
