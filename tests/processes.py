"""Real processes in tests: started, waited for with patience, and always ended."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO

PATIENCE = 60  # seconds; only what never happens takes so long


def eventually(is_so: Callable[[], bool]) -> None:
    """Wait until something is so; what takes long is asked seldom, since asking costs as well."""
    begun = time.monotonic()
    while not is_so():
        waited = time.monotonic() - begun
        assert waited < PATIENCE, "it never came to be"
        time.sleep(min(max(waited / 10, 0.02), 0.25))


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_listening(port: int) -> bool:
    """Whether somebody answers there."""
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return True
    return False


@contextmanager
def process(
    command: list[str], environment: Mapping[str, str], stderr: IO[bytes] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended in the end, whatever happened."""
    running = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stderr=stderr)
    try:
        yield running
    finally:
        running.terminate()
        with suppress(subprocess.TimeoutExpired):
            running.wait(PATIENCE)
        running.kill()
        running.wait()
