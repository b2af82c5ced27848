"""Looking at the zones of ten thousand domains, all well and with some at a silent name server.

One Knot on loopback plays the resolver and everybody's name server, so the time is the panel's own
computing; from name servers across the world answers take longer, and waiting is shared by threads.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from itertools import count

from app.dns import wire
from app.dns.check import check_many
from app.dns.lookup import Asking
from tests.bench.measure import Figure, peak_megabytes, show
from tests.dns.name_server import NameServer
from tests.dns.zones import GOOD, HOST, expected, silent

DOMAINS = 10_000
DEAD = DOMAINS // 20
SILENT = "127.0.0.9"


def figures() -> Iterator[Figure]:
    """The time of a run, what is asked in it, and the memory of the process that asks."""
    with NameServer() as server:
        for dead in (0, DEAD):
            _serve(server, dead)
            with silent(SILENT, server.port):
                took = _measured(server.port, dead)
            which = f"{DOMAINS} domains" + (f", {dead} at a silent name server" if dead else "")
            details = f"{took.questions:.0f} questions, {took.computed:.0f} s of CPU"
            assert not took.wrong, f"{took.wrong} domains are not what they are"
            yield Figure(
                f"look at {which}", took.seconds, " s", goal=300, stricter=120, details=details
            )
            yield Figure(f"memory of it, {which}", took.megabytes, " MB", goal=150, stricter=100)


def _serve(server: NameServer, dead: int) -> None:
    """Zones of their own for those that are well, a delegation for those that are not."""
    server.begin_anew()
    delegations = "\n".join(f"d{number} NS dead.test." for number in range(dead))
    zones = {f"d{number}.many.nl": "\n".join(GOOD.values()) for number in range(dead, DOMAINS)}
    server.many_zones(
        {
            "test": f"ns A 127.0.0.1\ndead A {SILENT}",
            "host.test": HOST,
            "many.nl": delegations,
            **zones,
        }
    )


@dataclass(frozen=True)
class Took:
    """What a run took: seconds, of those computed, peak memory, questions; how many are wrong."""

    seconds: float
    computed: float
    megabytes: float
    questions: float
    wrong: float


def _measured(port: int, dead: int) -> Took:
    """A run in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.bench_dns", str(port), str(dead)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return Took(*map(float, done.stdout.split()))


def _run(port: int, dead: int) -> Took:
    """Look at all of them."""
    questions = count()
    ask = wire.ask

    def counted(
        server: wire.Server, name: str, kind: str, seconds: float, *, recursive: bool
    ) -> wire.Reply:
        next(questions)
        return ask(server, name, kind, seconds, recursive=recursive)

    wire.ask = counted
    names = [f"d{number}.many.nl" for number in range(DOMAINS)]
    wanted = ((name, expected(name)) for name in names)
    dying = set(names[:dead])
    wrong = 0
    begun = time.perf_counter()
    for name, report in check_many(wanted, Asking((("127.0.0.1", port),), port)):
        right = "unknown" if name in dying else "ok"
        wrong += any(verdict.state != right for verdict in report.verdicts)
    seconds = time.perf_counter() - begun
    peak = peak_megabytes(os.getpid())
    return Took(seconds, time.process_time(), peak, next(questions), wrong)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        print(*astuple(_run(int(sys.argv[1]), int(sys.argv[2]))))
    else:
        show(figures())
