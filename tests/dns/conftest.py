"""Real name servers, shared by the tests of a process; each test has domains of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.dns.lookup import Asking
from tests.dns import name_server
from tests.dns.name_server import Dns


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dns]:
    """The world, and the domains' own name servers."""
    if name_server.program() is None:
        pytest.skip(f"NOT TESTED with a name server: apt-get install {name_server.PACKAGE}")
    with name_server.serving(tmp_path_factory.mktemp("dns")) as found:
        yield found


@pytest.fixture
def servers(running: Dns) -> Iterator[Dns]:
    """The same, without domains."""
    yield running
    running.reset()


@pytest.fixture
def asking(servers: Dns) -> Asking:
    """How to ask them."""
    return Asking((servers.world.address,), servers.own.port)
