"""Which name servers are responsible for a domain, and whether the panel may ask them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .lookup import Answer, Look, is_public

if TYPE_CHECKING:
    from .wire import Server

MAX_SERVERS = 3
_MAX_LEVELS = 5  # a domain that has no name servers of its own is in the zone of a parent
_DNS_PORT = 53


@dataclass(frozen=True)
class Delegation:
    """The zone a domain is in, the names of its name servers, and the addresses to ask.

    `status` is `nowhere` when nobody registered the domain, `failed` when nobody could tell.
    `is_there` is False for a name that another zone could have, and has not.
    """

    status: Literal["found", "nowhere", "failed"]
    zone: str = ""
    hosts: tuple[str, ...] = ()
    servers: tuple[Server, ...] = ()
    is_there: bool = True


def find(look: Look, domain: str) -> Delegation:
    """Ask the resolvers who is responsible for a domain."""
    zone, exists = domain, True
    for _ in range(_MAX_LEVELS):
        answer = look.public(zone, "NS")
        if answer.aliases:  # who has what it leads to has no say in the zone it stands in
            answer = Answer("nothing")
        # A parent's servers, which some resolvers pass on, know no more than these names.
        if hosts := answer.values or answer.referred:
            named = tuple(sorted({host.removesuffix(".") for host in hosts} - {""}))
            return Delegation("found", zone, named, _servers(look, named), exists)
        if answer.status == "failed":
            return Delegation("failed")
        exists = exists and answer.status != "nowhere"
        above = _above(zone, answer.zone)
        if "." not in above:  # a top-level domain's servers say so: nothing is delegated below
            return Delegation("nowhere" if not exists else "failed")
        zone = above
    return Delegation("failed")


def _above(name: str, zone: str | None) -> str:
    """The zone that a name is in, as who denied it says, or else the name above it."""
    if zone is not None and (zone == "" or name.endswith(f".{zone}")):
        return zone
    return name.partition(".")[2]


def _servers(look: Look, hosts: tuple[str, ...]) -> tuple[Server, ...]:
    """An address of each of the first servers that may be asked."""
    found: list[Server] = []
    for host in hosts[: 2 * MAX_SERVERS]:
        for kind in ("A", "AAAA"):
            addresses = look.shared(host, kind).values
            port = look.run.asking.private_port
            usable = [server for each in sorted(addresses) if (server := reachable(each, port))]
            found += usable[:1]
            if usable:
                break
        if len(found) >= MAX_SERVERS:
            break
    return tuple(dict.fromkeys(found))


def reachable(address: str, private_port: int) -> Server | None:
    """Where a name server at this address is asked, None if it must not be (see Asking)."""
    if is_public(address):
        return address, _DNS_PORT
    return (address, private_port) if private_port else None
