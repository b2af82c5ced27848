"""Measuring two things side by side, and saying in a row what came out.

Times on a shared machine drift by a quarter within a minute. So what is compared runs in turns, and
a figure is the median of what the turns gave.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROUNDS = 7


@dataclass(frozen=True)
class Figure:
    """What was measured, and what was hoped for: at most `goal`, at best `stricter`."""

    name: str
    measured: float
    unit: str
    goal: float
    stricter: float | None = None
    details: str = ""

    @property
    def verdict(self) -> str:
        """Whether it is reached."""
        if self.goal == math.inf:
            return ""
        if self.measured > self.goal:
            return "missed"
        if self.stricter is not None and self.measured > self.stricter:
            return "reached"
        return "reached, the stricter too" if self.stricter is not None else "reached"

    def row(self) -> tuple[str, ...]:
        """The figure as the cells of a table."""
        goal = _amount(self.goal, self.unit)
        if self.stricter is not None:
            goal += f" ({_amount(self.stricter, self.unit)})"
        return self.name, _amount(self.measured, self.unit), goal, self.verdict, self.details


HEAD = ("figure", "measured", "goal (stricter)", "verdict", "what was compared")


def in_turns(*works: Callable[[], float], rounds: int = ROUNDS) -> list[tuple[float, ...]]:
    """What each work measured, round by round; every other round runs them in reverse order."""
    for work in works:
        work()  # the first time is about caches and imports
    measured = []
    for number in range(rounds):
        order = [*enumerate(works)][:: -1 if number % 2 else 1]
        result = {index: work() for index, work in order}
        measured.append(tuple(result[index] for index in range(len(works))))
    return measured


def ratio(rounds: Iterable[tuple[float, ...]]) -> float:
    """How much more the first took than the second, in the median round."""
    return median(first / second for first, second, *_ in rounds)


def medians(rounds: Iterable[tuple[float, ...]]) -> list[float]:
    """The median of each column."""
    return [median(column) for column in zip(*rounds, strict=True)]


def elapsed(work: Callable[[], object]) -> float:
    """Milliseconds that pass while it works."""
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def computed(work: Callable[[], object]) -> float:
    """Milliseconds that this process computes; what others do meanwhile hardly counts."""
    begun = time.process_time()
    work()
    return (time.process_time() - begun) * 1000


def p50(work: Callable[[], object], times: int) -> float:
    """Milliseconds of the median of so many times."""
    return median(elapsed(work) for _ in range(times))


def peak_megabytes(process: int) -> float:
    """The most memory a process has used since its program began; what rusage tells is inherited
    from whoever started it (getrusage(2), ru_maxrss)."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def show(figures: Iterable[Figure]) -> None:
    """Print the figures as a table."""
    rows = [HEAD, *(figure.row() for figure in figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def _amount(value: float, unit: str) -> str:
    if value == math.inf:
        return "none"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f}{unit}"
