"""Asking the DNS about many domains, within a bounded time, whatever name servers do.

Plain threads and questions one after another: a domain takes about fifteen, most of them answered
within milliseconds, and what waits for a silent server waits in a thread of its own.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..addresses import is_ip_address

if TYPE_CHECKING:
    from ..config import Settings
    from .wire import Reply, Server

Status = Literal["found", "nothing", "nowhere", "failed"]

_RESOLVER_PATIENCE = 0.5  # seconds more: it may have to ask several servers itself
OWN_TRIES, RESOLVER_TRIES = 3, 2
MAX_HOPS = 3  # answers that only name another name to ask for
_SILENT_TWICE = 2
_ALL_SILENT = 64  # a resolver is silent for a domain whose name servers are, too: that says little
_MAX_KEPT = 20_000
# Octets of an answer that is kept, or a hostile one would fill the memory; a text takes 64 more.
_MAX_SIZE, _EACH = 8192, 64
_GIVEN_OUT = ipaddress.IPv6Network("2000::/3")
_RESOLV_CONF = Path("/etc/resolv.conf")


@dataclass(frozen=True)
class Asking:
    """How to ask.

    `resolvers` are addresses and ports, none for those of this machine. `private_port` is where
    name servers at addresses of private networks are asked; 0 for never, since whoever owns a
    domain could have the panel ask machines of its own network. `seconds` is the time for all
    about one domain, `patience` for one question to one of its name servers: packets across the
    world and back take 0.3.
    """

    resolvers: tuple[tuple[str, int], ...] = ()
    private_port: int = 0
    seconds: float = 6.0
    patience: float = 1.5

    @classmethod
    def of(cls, settings: Settings) -> Asking:
        """As the settings say."""
        return cls(settings.dns_resolvers, settings.dns_private_port)


@dataclass(frozen=True)
class Answer:
    """What is known of a name and type: values, that there are none, that the name does not exist.

    `aliases` are the names it led through, `zone` the zone that denied it. Of one that failed,
    `problem` is what went wrong, the end of a sentence that begins with who was asked, and
    `referred` are the name servers it was sent to.
    """

    status: Status
    values: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    zone: str | None = None
    problem: str = ""
    referred: tuple[str, ...] = ()


SILENT = Answer("failed", problem="did not answer")


class Run:
    """What is learned while several domains are checked: silent servers, and shared answers.

    Shared by threads.
    """

    def __init__(self, asking: Asking) -> None:
        self.asking = asking
        self.resolvers = asking.resolvers or resolvers_of_this_machine()
        self._silences: dict[Server, int] = {}
        self._kept: dict[tuple[str, str], Answer] = {}
        self._failed: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def is_given_up(self, server: Server) -> bool:
        """Whether a server kept silent so often that nobody waits for it again in this run."""
        limit = _ALL_SILENT if server in self.resolvers else _SILENT_TWICE
        return self._silences.get(server, 0) >= limit

    def note(self, server: Server, *, answered: bool) -> None:
        """Count silences in a row: among thousands of answers some packets are always lost."""
        with self._lock:
            self._silences[server] = 0 if answered else self._silences.get(server, 0) + 1

    def kept(self, name: str, kind: str) -> Answer | None:
        """What was answered before."""
        return self._kept.get((name, kind))

    def keep(self, name: str, kind: str, answer: Answer) -> None:
        """Keep an answer for the other domains, unless it is too much, or failed but once."""
        if sum(_EACH + len(one) for one in answer.values + answer.referred) > _MAX_SIZE:
            return
        with self._lock:
            if len(self._kept) + len(self._failed) >= _MAX_KEPT:
                self._kept.clear()
                self._failed.clear()
            if answer.status == "failed" and (name, kind) not in self._failed:
                self._failed.add((name, kind))
                return
            self._kept[name, kind] = answer


@dataclass
class Look:
    """The look at one domain: until when, and who answered. Of one thread."""

    run: Run
    end: float
    answered: set[Server] = field(default_factory=set)
    is_own_silent: bool = False

    @classmethod
    def at_one_domain(cls, run: Run) -> Look:
        """A look that begins now."""
        return cls(run, time.monotonic() + run.asking.seconds)

    def public(self, name: str, kind: str) -> Answer:
        """What the resolvers say, to the end of a chain of aliases."""
        answer = self._resolved(name, kind)
        hops = 1
        while answer.status == "nothing" and answer.aliases and hops < MAX_HOPS:
            more = self._resolved(answer.aliases[-1], kind)
            answer = replace(more, aliases=answer.aliases + more.aliases)
            hops += 1
        return answer

    def shared(self, name: str, kind: str) -> Answer:
        """What the resolvers say of a name that other domains ask for, too."""
        known = self.run.kept(name, kind)
        if known is None:
            known = self.public(name, kind)
            self.run.keep(name, kind, known)
        return known

    def own(self, servers: tuple[Server, ...], name: str, kind: str) -> Answer:
        """What the domain's own name servers say: the first of them that answers for it.

        A chain of aliases that leads out of their zone is followed by the resolvers.
        """
        if self.is_own_silent:
            return SILENT
        answer = self._asked(servers, name, kind, recursive=False, tries=OWN_TRIES)
        self.is_own_silent = answer == SILENT  # what time is left is for the resolvers
        return self._followed(answer, kind)

    def each(self, servers: tuple[Server, ...], name: str, kind: str) -> list[Answer]:
        """What each of the domain's own name servers says, of those that answer for it."""
        tries = 2 if len(servers) == 1 else 1
        asked = [
            self._asked((server,), name, kind, recursive=False, tries=tries) for server in servers
        ]
        return [self._followed(answer, kind) for answer in asked if answer.status != "failed"]

    def _followed(self, answer: Answer, kind: str) -> Answer:
        """The end of a chain of aliases that leads out of the zone."""
        if answer.status != "nothing" or not answer.aliases:
            return answer
        more = self.public(answer.aliases[-1], kind)
        return replace(more, aliases=answer.aliases + more.aliases)

    def _resolved(self, name: str, kind: str) -> Answer:
        return self._asked(self.run.resolvers, name, kind, recursive=True, tries=RESOLVER_TRIES)

    def _asked(
        self, servers: tuple[Server, ...], name: str, kind: str, *, recursive: bool, tries: int
    ) -> Answer:
        from . import wire

        answer = SILENT
        for server in (servers * tries)[:tries]:
            left = self.end - time.monotonic()
            if left <= 0:
                break
            if self.run.is_given_up(server):
                continue
            patience = self.run.asking.patience + (_RESOLVER_PATIENCE if recursive else 0)
            try:
                reply = wire.ask(server, name, kind, min(left, patience), recursive=recursive)
            except wire.Silent:
                self.run.note(server, answered=False)
                continue
            except wire.Unusable:
                answer = Answer("failed", problem="could not be asked")
                continue
            self.run.note(server, answered=True)
            answer = _answer(reply, recursive=recursive)
            if answer.status != "failed":
                self.answered.add(server)
                break
        return answer


def _answer(reply: Reply, *, recursive: bool) -> Answer:
    if reply.rcode == "NXDOMAIN" and not reply.aliases:
        return Answer("nowhere", zone=reply.zone)
    if reply.rcode not in ("NOERROR", "NXDOMAIN"):
        return Answer("failed", problem=f"answered {reply.rcode}")
    if not recursive and not reply.is_authoritative:
        return Answer("failed", problem="answered that others are responsible")
    if recursive and reply.referred:
        return Answer("failed", problem="answered that others know", referred=reply.referred)
    status: Status = "found" if reply.values else "nothing"
    aliases = reply.aliases if reply.rcode == "NOERROR" else ()
    return Answer(status, reply.values, aliases, reply.zone)


def is_public(address: str) -> bool:
    """Whether a name server at this address is on the internet, not on somebody's own network.

    Of IPv6 that is what registries give out (RFC 4291, section 2.4), but for what stands in it for
    an address of IPv4 (RFC 3056 and 4380).
    """
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address) and (
        parsed not in _GIVEN_OUT or parsed.sixtofour or parsed.teredo
    ):
        return False
    return parsed.is_global and not parsed.is_multicast


def resolvers_of_this_machine(path: Path = _RESOLV_CONF) -> tuple[Server, ...]:
    """The name servers of resolv.conf(5), at most three; the own machine's where it names none."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    words = [line.split() for line in lines]
    named = [pair[1] for pair in words if len(pair) > 1 and pair[0] == "nameserver"]
    return tuple((address, 53) for address in named if is_ip_address(address))[:3] or (
        ("127.0.0.1", 53),
    )
