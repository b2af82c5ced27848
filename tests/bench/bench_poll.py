"""What it costs to tell a node that nothing has changed, beside an answer with nothing in it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.bench.measure import Figure, in_turns, medians, p50, ratio, show
from tests.bench.panel import Server, get, panel, served, served_bare

PATH = "/sync/v1/export"
TIMES = 2000


def figures() -> Iterator[Figure]:
    """The 304 beside the bare answer: in time at one connection, and in the workers' CPU."""
    with (
        panel(1000) as made,
        served(made.folder) as ours,
        served_bare("tests.bench.bare:hello()", made.folder) as other,
        ours.connection() as asking,
        other.connection() as greeting,
    ):
        key = f"Bearer {made.sync_key}"
        first = made.app.test_client().get(PATH, headers={"Authorization": key})
        poll = get(
            PATH,
            Authorization=key,
            Accept_Encoding="gzip",
            User_Agent="mailcote-agent/1.0",
            If_None_Match=first.headers["ETag"],
        )
        hello = get("/", Accept_Encoding="gzip", User_Agent="mailcote-agent/1.0")
        works = partial(asking.ask, poll, 304), partial(greeting.ask, hello, 200)
        waited = in_turns(*(partial(p50, work, TIMES) for work in works))
        computed = in_turns(partial(_computed, ours, works[0]), partial(_computed, other, works[1]))
    for name, unit, rounds in (("p50", "ms", waited), ("CPU", "ms", computed)):
        poll_took, hello_took = medians(rounds)
        yield Figure(
            f"304 poll, {name}",
            ratio(rounds),
            "x",
            goal=1.5,
            stricter=1.3,
            details=f"{poll_took:.3f} {unit}, a bare Flask route {hello_took:.3f} {unit}",
        )


def _computed(server: Server, work: partial[bytes]) -> float:
    """Milliseconds the workers compute for one request."""
    before = server.computed()
    for _ in range(TIMES):
        work()
    return (server.computed() - before) / TIMES


if __name__ == "__main__":
    show(figures())
