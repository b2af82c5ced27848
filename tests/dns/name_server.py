"""A private Knot name server on loopback, for the tests that need the real thing.

It plays every part: the server of the tests' zones, the one their updates are sent to, and the
resolver. It has the root, so that it says of names in no other zone that they are not there; the
names `ns.test`, `ns2.test` … are those of its addresses.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import dns.exception
import dns.message
import dns.query
import pytest

from tests.processes import eventually, process

PACKAGE = "knot"
KEY = "hmac-sha256:mailcote:b3VyIG93biBrZXksIGZvciB0ZXN0cyBvbmx5ISE="
STRANGERS_KEY = "hmac-sha256:stranger:c29tZWJvZHkgZWxzZSdzIGtleSwgZm9yIHRlc3Q="  # may do nothing

SERVER = """
server:
    listen: [{listen}]
    rundir: {folder}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {folder}
    journal-db-max-size: 8M
    timer-db-max-size: 8M
    kasp-db-max-size: 8M
log:
  - target: {folder}/log
    any: info
key:
{keys}
acl:
  - id: updates
    key: mailcote
    action: update
template:
  - id: default
    storage: {folder}
    journal-content: none
    zonefile-load: whole
zone:
{zones}
"""
ZONE = """$ORIGIN {origin}
$TTL 60
@ SOA ns.test. hostmaster.test. {serial} 3600 600 86400 60
{records}
"""


def programs() -> tuple[str, str] | None:
    """The server and what controls it, None where they are not installed."""
    where = "/usr/sbin:/usr/bin:/usr/local/sbin"
    found = [shutil.which(name) or shutil.which(name, path=where) for name in ("knotd", "knotc")]
    return (found[0], found[1]) if found[0] and found[1] else None


needs_knot = pytest.mark.skipif(
    programs() is None, reason=f"NOT TESTED with a name server: apt-get install {PACKAGE}"
)


class NameServer:
    """A server with zones that come and go; used with `with`.

    It listens on one port of all `addresses`. Another that is to answer differently is given the
    same `port` and addresses of its own, such as 127.0.0.3.
    """

    def __init__(self, *addresses: str, port: int = 0) -> None:
        found = programs()
        assert found, f"install {PACKAGE}"
        self._knotd, self._knotc = found
        self.addresses = addresses or ("127.0.0.1",)
        self.port = port or _free_port(self.addresses)
        self._zones: dict[str, bool] = {}  # by name, whether updates are taken
        self._serials = count(10_000, 10_000)  # updates count up in between

    @property
    def as_resolver(self) -> tuple[str, int]:
        """Address and port, as settings name a resolver and a server that takes updates."""
        return self.addresses[0], self.port

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="knot.", dir="/tmp"))
        self._running = ExitStack()
        try:
            self.begin_anew()
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def down(self) -> Iterator[None]:
        """Nobody listens meanwhile."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def start(self) -> None:
        """Listen, with the zones as they were; returns when it answers."""
        self._configure()
        self._running.enter_context(process([self._knotd, "-c", str(self._configuration)], {}))
        eventually(self._answers)

    def stop(self) -> None:
        """Listen no more; `start` goes on where it was."""
        self._running.close()

    def zone(
        self,
        name: str,
        records: str = "",
        *,
        ns: Sequence[str] = ("ns.test.",),
        takes_updates: bool = False,
    ) -> None:
        """Serve a zone from now on, in place of the one of this name.

        `records` are lines of a zone file, relative to the zone; its SOA and the records of its
        name servers `ns` are made. Only KEY may update it, and only where it `takes_updates`.
        """
        self._write(name, records, ns)
        if self._zones.get(name) is not takes_updates:
            self._zones[name] = takes_updates
            self._reload()
        self._control("-b", "zone-reload", _origin(name))

    def many_zones(self, zones: Mapping[str, str]) -> None:
        """Serve many zones from now on, records by name, in about the time of one."""
        for name, records in zones.items():
            self._write(name, records, ("ns.test.",))
            self._zones[name] = False
        self._reload()
        self._control("-b", "zone-reload")

    def remove_zone(self, name: str) -> None:
        """Serve this zone no more."""
        del self._zones[name]
        self._reload()

    def begin_anew(self) -> None:
        """Serve nothing but the root and the server's own names."""
        self._zones = {}
        names = [f"ns{number or ''}" for number in (0, *range(2, len(self.addresses) + 1))]
        hosts = [
            f"{name} {'AAAA' if ':' in address else 'A'} {address}"
            for name, address in zip(names, self.addresses, strict=True)
        ]
        for name, records in ((".", ""), ("test", "\n".join(hosts))):
            self._zones[name] = False
            self._write(name, records, ("ns.test.",))
        if self.is_running:
            self._reload()
            self._control("-b", "zone-reload")

    def records(self, name: str) -> list[str]:
        """What is in a zone but its SOA, each as `owner. TTL TYPE data`, in order."""
        told = self._control("zone-read", _origin(name)).splitlines()
        lines = [line.partition("] ")[2] for line in told]
        return sorted(line for line in lines if line and line.split()[2] != "SOA")

    @property
    def is_running(self) -> bool:
        """Whether it was started."""
        return (self._folder / "knot.sock").exists()

    @property
    def log(self) -> str:
        """What the server says of itself."""
        return (self._folder / "log").read_text(encoding="utf-8")

    @property
    def _configuration(self) -> Path:
        return self._folder / "knot.conf"

    def _write(self, name: str, records: str, ns: Sequence[str]) -> None:
        lines = "\n".join([*(f"@ NS {host}" for host in ns), records])
        text = ZONE.format(origin=_origin(name), serial=next(self._serials), records=lines)
        (self._folder / f"{_origin(name)}zone").write_text(text, encoding="utf-8")

    def _configure(self) -> None:
        keys = "".join(
            f"  - id: {name}\n    algorithm: {algorithm}\n    secret: {secret}\n"
            for algorithm, name, secret in (key.split(":") for key in (KEY, STRANGERS_KEY))
        )
        zones = "".join(
            f'  - domain: {_origin(name)}\n    file: "{self._folder}/{_origin(name)}zone"\n'
            + ("    acl: updates\n" if takes_updates else "")
            for name, takes_updates in self._zones.items()
        )
        listen = ", ".join(f"{address}@{self.port}" for address in self.addresses)
        text = SERVER.format(listen=listen, folder=self._folder, keys=keys, zones=zones)
        self._configuration.write_text(text, encoding="utf-8")

    def _reload(self) -> None:
        self._configure()
        self._control("reload")

    def _control(self, *command: str) -> str:
        done = subprocess.run(
            [self._knotc, "-s", str(self._folder / "knot.sock"), *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{done.stdout}{done.stderr}{self.log}"
        return done.stdout

    def _answers(self) -> bool:
        question = dns.message.make_query(".", "SOA")
        with suppress(OSError, dns.exception.DNSException):
            answer = dns.query.tcp(question, self.addresses[0], timeout=5, port=self.port)
            return bool(answer.answer) and (self._folder / "knot.sock").exists()
        return False


def _origin(name: str) -> str:
    return name if name.endswith(".") else f"{name}."


def _free_port(addresses: Sequence[str]) -> int:
    """A port that nobody listens on at any of these addresses, by UDP or TCP."""
    while True:
        with ExitStack() as probes, suppress(OSError):
            port = 0
            for address in addresses:
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    probe = probes.enter_context(socket.socket(family, kind))
                    probe.bind((address, port))
                    port = probe.getsockname()[1]
            return port
