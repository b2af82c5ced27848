"""What all processes of a server have done since it started, in Prometheus' text format.

A scrape reaches one worker and has to tell of all of them, also of those that a reload or a crash
has ended; otherwise every scrape would give other, smaller numbers. prometheus_client keeps the
numbers of each process in a file and adds them up (app/server.py names the folder, before anything
of this is loaded). It needs nothing else, 20 ms to be loaded, and 5 µs a request.
https://prometheus.github.io/client_python/multiprocess/
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import product

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

disable_created_metrics()  # type: ignore[no-untyped-call]
_own = CollectorRegistry()
_requests = Counter(
    "mailcote_requests",
    "Requests that were answered, by the face that answered and the status of the answer.",
    ("face", "status"),
    registry=_own,
)
_seconds = Histogram(
    "mailcote_request_seconds",
    "Time from a request's arrival in the application to its answer.",
    ("face",),
    registry=_own,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0),
)
# Of processes that are there: the server removes the file of one that ended.
waiting = Gauge(
    "mailcote_nodes_waiting",
    "Requests of nodes that wait for a change now.",
    registry=_own,
    multiprocess_mode="livesum",
)
# Of the monotonic clock, which all processes of a machine share and nobody sets; told as an age.
_BEATS = "mailcote_thread_seconds_since_beat"
_beats = Gauge(
    _BEATS,
    "Seconds since a thread that works by itself said that it is alive, in the process where that "
    "is the longest ago; 0 where none has to.",
    ("thread",),
    registry=_own,
    multiprocess_mode="livemin",
)
# Told from the first scrape on, as 0: Prometheus sees no increase in what begins with 1.
_WATCHED = tuple(product(("pages", "api", "mcp", "oauth", "sync", "waiting"), (500, 503, 429)))


def count(face: str, status: int, seconds: float) -> None:
    """Count an answer."""
    _answers(face, status).inc()
    _times(face).observe(seconds)


def beat(thread: str) -> None:
    """Note that a thread is alive now."""
    _beats_of(thread).set(time.monotonic())


def rest(thread: str) -> None:
    """Note that a thread has ended as it should."""
    _beats_of(thread).set(float("inf"))


def ages() -> dict[str, float]:
    """For how many seconds each thread was not heard of, in the process where that is longest."""
    found = (family for family in _counted() if family.name == _BEATS)
    return {sample.labels["thread"]: sample.value for family in found for sample in family.samples}


def text(figures: Iterable[Metric]) -> bytes:
    """These figures and what was counted, as Prometheus reads it (text format 0.0.4)."""
    for face, status in _WATCHED:
        _answers(face, status)
    told = CollectorRegistry()
    told.register(_Told([*figures, *_counted()]))
    return generate_latest(told)


def _counted() -> Iterator[Metric]:
    """What all processes have counted."""
    counted = _own
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        counted = CollectorRegistry()
        MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
    now = time.monotonic()
    for family in counted.collect():
        if family.name == _BEATS:
            aged = [each._replace(value=max(0.0, now - each.value)) for each in family.samples]
            family.samples = aged
        yield family


class _Told(Collector):
    def __init__(self, figures: Iterable[Metric]) -> None:
        self._figures = list(figures)

    def collect(self) -> Iterable[Metric]:
        return self._figures


@cache  # finding them takes as long as counting
def _answers(face: str, status: int) -> Counter:
    return _requests.labels(face, str(status))


@cache
def _beats_of(thread: str) -> Gauge:
    return _beats.labels(thread)


@cache
def _times(face: str) -> Histogram:
    return _seconds.labels(face)
