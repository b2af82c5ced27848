"""What the zones of the tests' domains say, and servers that do what no real one should."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from app.dns.lookup import Asking
from app.dns.records import Platform, Record, expected_records
from app.models import Node
from tests.dns.name_server import NameServer

PLATFORM = Platform("mail.host.test", "_spf.host.test", "keys.host.test", "panel.host.test")
NODES = [
    Node(name="a", host="mx1.host.test", mx_priority=10),
    Node(name="b", host="mx2.host.test", mx_priority=20),
]
# The platform's own zone.
HOST = """
mx1 A 192.0.2.1
mx2 A 192.0.2.2
mail A 192.0.2.1
mail AAAA 2001:db8::1
panel A 192.0.2.9
_spf TXT "v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 -all"
mc1._domainkey.keys TXT "v=DKIM1; k=rsa; p=AAAA"
mc2._domainkey.keys TXT "v=DKIM1; k=rsa; p=BBBB"
"""
# A customer's zone with everything in it, a line for each expected record.
GOOD = {
    "mx1": "@ MX 10 mx1.host.test.",
    "mx2": "@ MX 20 mx2.host.test.",
    "spf": '@ TXT "v=spf1 include:_spf.host.test ~all"',
    "mc1": "mc1._domainkey CNAME mc1._domainkey.keys.host.test.",
    "mc2": "mc2._domainkey CNAME mc2._domainkey.keys.host.test.",
    "dmarc": '_dmarc TXT "v=DMARC1; p=none"',
    "mail": "mail CNAME mail.host.test.",
    "imaps": "_imaps._tcp SRV 0 1 993 mail.host.test.",
    "submissions": "_submissions._tcp SRV 0 1 465 mail.host.test.",
    "autoconfig": "autoconfig CNAME panel.host.test.",
}


def expected(domain: str) -> list[Record]:
    """The records of a domain, in the order of GOOD."""
    return expected_records(domain, PLATFORM, NODES)


def lines(**changed: str) -> str:
    """A zone with everything in it but for these lines."""
    assert changed.keys() <= GOOD.keys()
    return "\n".join({**GOOD, **changed}.values())


def asking(server: NameServer, patience: float = 1.5) -> Asking:
    """How to ask it, in every part, with time enough for all on a machine that is busy."""
    return Asking((server.as_resolver,), server.port, 20.0, patience)


@contextmanager
def answering(address: str, port: int, answer: Callable[[bytes], bytes | None]) -> Iterator[None]:
    """A server at this address that answers each packet so; None for silence."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, port))
        end = threading.Event()

        def serve() -> None:
            while True:
                packet, sender = server.recvfrom(65535)
                if end.is_set():
                    return
                if (said := answer(packet)) is not None:
                    server.sendto(said, sender)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            end.set()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waking:
                waking.sendto(b"", (address, port))
            thread.join()


def silent(address: str, port: int) -> AbstractContextManager[None]:
    """A server that never answers."""
    return answering(address, port, lambda _: None)
