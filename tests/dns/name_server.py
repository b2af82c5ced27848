"""Private name servers on this machine, for the tests that need the real thing: Knot DNS.

Two of them: one is the world, which the panel asks as its resolver, with a root, the addresses of
name servers, and domains as everybody sees them by now; the other holds the domains' own zones as
their owners have just changed them. https://www.knot-dns.cz/docs/3.2/html/reference.html
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dns.flags
import dns.message
import dns.query

PACKAGE = "knot"
HOST = "127.0.0.1"
KEY_NAME, KEY = "mailcote", "c2l4dGVlbiBieXRlcyBvZiBrZXkgYW5kIG1vcmU="
OWN_SERVERS = "@ NS ns.names.test.\n"
SECONDS = 10
OWN_BASE = {"names.test": f"ns A {HOST}\n"}
WORLD_BASE = {"": "", "test": "", **OWN_BASE}


def program() -> str | None:
    """The name server, None when there is none."""
    return shutil.which("knotd", path="/usr/sbin:/usr/bin")


def _free_port() -> int:
    with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        stream.bind((HOST, 0))
        port: int = stream.getsockname()[1]
        datagrams.bind((HOST, port))
        return port


@dataclass
class NameServer:
    """One server with its zones; `zones` are their records without SOA, in a zone file's form."""

    folder: Path
    port: int = field(default_factory=_free_port)
    zones: dict[str, str] = field(default_factory=dict)
    serials: dict[str, int] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it can be asked."""
        return HOST, self.port

    def start(self) -> None:
        """Start it with the zones it has, those changed by updates as they were left."""
        self._configure()
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(program()), "-c", str(self.folder / "knot.conf")], stdout=log, stderr=log
            )
        self._await_serials()

    def stop(self) -> None:
        """End it; what updates changed is kept."""
        if self._process:
            self._process.terminate()
            self._process.wait(SECONDS)
            self._process = None

    def put(self, zones: dict[str, str | None]) -> None:
        """Replace zones, or remove those that are None, and wait until that is served."""
        for name, records in zones.items():
            if records is None:
                self.zones.pop(name, None)
            else:
                self.zones[name] = records
                self._write(name)
        if self._process:
            self._configure()
            self._process.send_signal(signal.SIGHUP)
            self._await_serials([name for name, records in zones.items() if records is not None])

    def values(self, name: str, kind: str) -> list[str]:
        """What it answers, as in a zone file, sorted."""
        query = dns.message.make_query(name, kind)
        answer = dns.query.tcp(query, HOST, SECONDS, self.port)
        return sorted(rdata.to_text() for rrset in answer.answer for rdata in rrset)

    def _write(self, name: str) -> None:
        # Each dynamic update raises it by one, and an older zone would not be loaded.
        self.serials[name] = self.serials.get(name, 0) + 1000
        shown = name or "."
        origin = f"{name}." if name else "."
        soa = f"@ SOA ns.names.test. root.names.test. {self.serials[name]} 3600 600 86400 5"
        text = f"$ORIGIN {origin}\n$TTL 5\n{soa}\n{OWN_SERVERS}{self.zones[name]}\n"
        (self.folder / f"{shown}zone").write_text(text, encoding="utf-8")

    def _configure(self) -> None:
        zones = "".join(
            f'  - domain: "{name or "."}"\n    file: "{name or "."}zone"\n' for name in self.zones
        )
        for name in self.zones:
            if not (self.folder / f"{name or '.'}zone").exists():
                self._write(name)
        (self.folder / "knot.conf").write_text(
            f"""
server:
    rundir: "{self.folder}"
    listen: {HOST}@{self.port}
    udp-workers: 1
    tcp-workers: 2
    background-workers: 1
log:
  - target: stdout
    any: info
database:
    storage: "{self.folder}"
    journal-db-max-size: 64M
    kasp-db-max-size: 16M
    timer-db-max-size: 16M
key:
  - id: {KEY_NAME}
    algorithm: hmac-sha256
    secret: {KEY}
acl:
  - id: updates
    key: {KEY_NAME}
    action: [update]
template:
  - id: default
    storage: "{self.folder}"
    acl: updates
    semantic-checks: off
    journal-content: none
    zonefile-sync: 0
    zonefile-load: whole
zone:
{zones}""",
            encoding="utf-8",
        )

    def _await_serials(self, names: list[str] | None = None) -> None:
        end = time.monotonic() + SECONDS
        for name in self.zones if names is None else names:
            while not self._serves(name):
                assert time.monotonic() < end, (self.folder / "log").read_text()
                time.sleep(0.01)

    def _serves(self, name: str) -> bool:
        query = dns.message.make_query(name or ".", "SOA")
        try:
            answer = dns.query.udp(query, HOST, 0.2, self.port)
        except (dns.exception.Timeout, OSError):
            return False
        found = answer.answer[0][0].to_text() if answer.answer else ""
        is_new = bool(found) and int(found.split()[2]) >= self.serials[name]
        return bool(answer.flags & dns.flags.AA) and is_new


@dataclass
class Dns:
    """The world and the domains' own zones."""

    world: NameServer
    own: NameServer

    def publish(self, domain: str, records: str, *, is_seen: bool = True) -> None:
        """Have a domain's own zone say this, and the world see it by now or still not."""
        self.own.put({domain: records})
        if is_seen or domain not in self.world.zones:
            self.world.put({domain: records if is_seen else ""})

    def reset(self) -> None:
        """Forget all domains."""
        for server, keeps in ((self.own, OWN_BASE), (self.world, WORLD_BASE)):
            gone: dict[str, str | None] = {name: None for name in server.zones if name not in keeps}
            changed = {name: text for name, text in keeps.items() if server.zones[name] != text}
            if gone or changed:
                server.put({**gone, **changed})

    def forget(self, domain: str) -> None:
        """Let a domain be registered by nobody."""
        self.own.put({domain: None})
        self.world.put({domain: None})


@contextmanager
def serving(folder: Path) -> Iterator[Dns]:
    """Both servers, with a root and the one name that all name servers of domains go by."""
    servers = []
    for name in ("world", "own"):
        (folder / name).mkdir()
        servers.append(NameServer(folder / name))
    world, own = servers
    world.zones, own.zones = dict(WORLD_BASE), dict(OWN_BASE)
    try:
        for server in servers:
            server.start()
        yield Dns(world, own)
    finally:
        for server in servers:
            server.stop()
