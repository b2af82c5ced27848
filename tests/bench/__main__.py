"""Measure everything; with --write, keep it in RESULTS.md."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import (
    bench_add_user,
    bench_agent,
    bench_dns,
    bench_export,
    bench_list,
    bench_live,
    bench_mailbox_list,
    bench_mcp,
    bench_poll,
    bench_start,
    bench_told,
    bench_trust,
    bench_waiting,
)
from tests.bench.measure import HEAD, Figure, show

RESULTS = Path(__file__).with_name("RESULTS.md")
NOTES = "\n## Notes\n"  # what follows was written by hand, and stays


def main() -> None:
    """Measure, print, and write if that is asked for."""
    load = os.getloadavg()[0]
    benches = (
        *(bench_add_user, bench_poll, bench_export, bench_list, bench_mailbox_list, bench_start),
        *(bench_agent, bench_waiting, bench_told, bench_live, bench_mcp, bench_dns),
        bench_trust,
    )
    figures = [figure for bench in benches for figure in bench.figures()]
    show(figures)
    if "--write" in sys.argv[1:]:
        notes = RESULTS.read_text().partition(NOTES)[2] if RESULTS.exists() else ""
        RESULTS.write_text(_report(figures, load) + NOTES + notes)


def _report(figures: list[Figure], load: float) -> str:
    table = [HEAD, tuple("---" for _ in HEAD), *(figure.row() for figure in figures)]
    rows = "\n".join("| " + " | ".join(row) + " |" for row in table)
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    return (
        "# How fast the panel is\n\n"
        f"Measured on {datetime.now(UTC):%Y-%m-%d} by `python -m tests.bench --write`: "
        f"{machine}, SQLite {sqlite3.sqlite_version}; "
        f"{load:.1f} other processes were computing when it began.\n\n"
        f"{rows}\n"
    )


if __name__ == "__main__":
    main()
