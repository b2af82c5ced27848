"""The records a domain needs in the DNS for its mail, computed from nothing but names.

MX names the nodes themselves: an MX must not point to an alias (RFC 2181, section 10.3). `mail`
is an alias for mail programs. SPF says `~all`: with `-all` some servers refuse before they look
at DKIM (RFC 7489, section 10.1). DMARC begins with `p=none`, which refuses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..models import Node

Purpose = Literal["receive", "send", "connect", "report"]
DEFAULT_PRIORITY = 10


@dataclass(frozen=True)
class Record:
    """A record as it has to be. `name` is relative to the domain, `@` the domain itself.

    Values that are names end with a dot, so that no zone appends the domain to them.
    """

    type: Literal["MX", "TXT", "CNAME"]
    name: str
    value: str
    purpose: Purpose
    priority: int | None = None

    def full_name(self, domain: str) -> str:
        """The name with the domain, as some registrars want it."""
        return domain if self.name == "@" else f"{self.name}.{domain}"


def expected_records(
    domain: str, mail_host: str, nodes: Sequence[Node], home: str | None = None
) -> list[Record]:
    """The records of a domain, those first without which no mail arrives.

    `mail_host` is the name mail programs use. Where it is the domain's own `mail.<domain>`, that
    becomes an alias of the first node; without a node with a public name there is none yet. `home`
    is the host that stores the domain's mail: it comes first, the others are backups that pass
    mail on to it.
    """
    servers = _servers(nodes, home)
    own = f"mail.{domain}"
    receiving = servers or [(DEFAULT_PRIORITY, mail_host)]
    target = mail_host if mail_host != own else servers[0][1] if servers else None
    records = [Record("MX", "@", f"{host}.", "receive", priority) for priority, host in receiving]
    records.append(Record("TXT", "@", _spf(own, mail_host, receiving), "send"))
    if target:
        records.append(Record("CNAME", "mail", f"{target}.", "connect"))
    records.append(Record("TXT", "_dmarc", "v=DMARC1; p=none", "report"))
    return records


def _servers(nodes: Sequence[Node], home: str | None) -> list[tuple[int, str]]:
    """Priorities and hosts, the lowest first (RFC 5321, section 5.1)."""
    found = {
        node.host: DEFAULT_PRIORITY if node.mx_priority is None else node.mx_priority
        for node in nodes
        if node.host
    }
    if home in found:
        after = found[home] + DEFAULT_PRIORITY
        found = {
            host: priority if host == home else max(priority, after)
            for host, priority in found.items()
        }
    return sorted((priority, host) for host, priority in found.items())


def _spf(own: str, mail_host: str, receiving: Sequence[tuple[int, str]]) -> str:
    """Mail is sent by the hosts of the MX, and by the mail host where it is another one."""
    is_another = mail_host != own and mail_host not in {host for _, host in receiving}
    return f"v=spf1 mx a:{mail_host} ~all" if is_another else "v=spf1 mx ~all"
