"""Two name servers: one is the world, which the panel asks as its resolver, the other has the
domains' own zones, as their owners have just changed them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import dns.message
import dns.query

from tests.dns.name_server import NameServer


@dataclass
class Dns:
    """What the world sees, and what the domains' own name servers say."""

    world: NameServer
    own: NameServer

    def publish(self, domain: str, records: str, *, is_seen: bool = True) -> None:
        """Have a domain's own zone say this, and the world see it by now or still not."""
        self.own.zone(domain, records, takes_updates=True)
        self.world.zone(domain, records if is_seen else "")

    def forget(self, domain: str) -> None:
        """Let a domain be registered by nobody."""
        self.own.remove_zone(domain)
        self.world.remove_zone(domain)

    def begin_anew(self) -> None:
        """Forget all domains."""
        self.own.begin_anew()
        self.world.begin_anew()

    @contextmanager
    def down(self) -> Iterator[None]:
        """Nobody answers meanwhile."""
        with self.own.down(), self.world.down():
            yield

    def values(self, name: str, kind: str) -> list[str]:
        """What the own name servers answer, as in a zone file, sorted."""
        host, port = self.own.as_resolver
        answer = dns.query.tcp(dns.message.make_query(name, kind), host, 5, port)
        return sorted(rdata.to_text() for rrset in answer.answer for rdata in rrset)


@contextmanager
def serving() -> Iterator[Dns]:
    """Both, with nothing but the root and the name servers' own names."""
    with ExitStack() as servers:
        yield Dns(servers.enter_context(NameServer()), servers.enter_context(NameServer()))
