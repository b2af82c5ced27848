"""Real name servers, shared by the tests of a process; each test has domains of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dns import world
from tests.dns.world import Dns


@pytest.fixture(scope="package")
def running() -> Iterator[Dns]:
    """The world, and the domains' own name servers; needs the marks `real` and `needs_knot`."""
    with world.serving() as found:
        yield found


@pytest.fixture
def servers(running: Dns) -> Iterator[Dns]:
    """The same, without domains."""
    yield running
    running.begin_anew()
