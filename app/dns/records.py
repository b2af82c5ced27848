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

Severity = Literal["ownership", "receiving", "sending", "reputation", "convenience"]
DEFAULT_PRIORITY = 10
DKIM_SELECTORS = ("mc1", "mc2")  # two, so that one is renewed while the other is in use

_RECEIVING = "Required: without it no mail for the domain arrives."
_SENDING = "Required: receivers take mail that is sent for spam without it."
_SIGNING = "Required: receivers check by it that mail was not changed on its way."
_RULES = "Recommended: it tells receivers what to do with mail that others send in your name."
_NAME = "Recommended: an address of your own to enter in mail programs."
_FINDING = "Optional: mail programs find the server by themselves."


@dataclass(frozen=True)
class Platform:
    """What is the same for every domain of this panel.

    `mail_host` is the name mail programs use, `spf_include` the platform's own SPF record,
    `dkim_domain` where the keys of signing nodes are published, `web_host` the panel's own name,
    which tells mail programs their settings; each is empty where there is none.
    """

    mail_host: str = ""
    spf_include: str = ""
    dkim_domain: str = ""
    web_host: str = ""


@dataclass(frozen=True)
class Record:
    """A record as it has to be. `name` is relative to the domain, `@` the domain itself.

    `severity` says what does not work without it, `why` the same to a person. Values that are names
    end with a dot, so that no zone appends the domain to them; the value of an MX is the host, of
    an SRV weight, port and host, each without the priority.
    """

    type: Literal["MX", "TXT", "CNAME", "SRV"]
    name: str
    value: str
    severity: Severity
    why: str
    priority: int | None = None

    @property
    def is_required(self) -> bool:
        """Whether mail does not work well without it."""
        return self.severity in ("receiving", "sending")

    @property
    def data(self) -> str:
        """What follows the type in a zone file (RFC 1035, section 5.1), a text in quotes."""
        if self.type == "TXT":
            return f'"{self.value}"'
        return self.value if self.priority is None else f"{self.priority} {self.value}"

    def full_name(self, domain: str) -> str:
        """The name with the domain, as some registrars want it."""
        return domain if self.name == "@" else f"{self.name}.{domain}"


def expected_records(
    domain: str, platform: Platform, nodes: Sequence[Node], home: str | None = None
) -> list[Record]:
    """The records of a domain, those first without which no mail arrives.

    Where the platform has no mail host, `mail.<domain>` becomes an alias of the first node; without
    a node with a public name there is none yet. `home` is the host that stores the domain's mail:
    it comes first, and mail programs use it; the others are backups that pass mail on to it.
    """
    own = f"mail.{domain}"
    mail_host = home or platform.mail_host or own
    servers = _servers(nodes, home)
    receiving = servers or [(DEFAULT_PRIORITY, mail_host)]
    target = mail_host if mail_host != own else servers[0][1] if servers else None
    records = [
        Record("MX", "@", f"{host}.", "receiving", _RECEIVING, priority)
        for priority, host in receiving
    ]
    records.append(Record("TXT", "@", _spf(platform, mail_host, own), "sending", _SENDING))
    records += [
        Record(
            "CNAME",
            f"{selector}._domainkey",
            f"{selector}._domainkey.{platform.dkim_domain}.",
            "sending",
            _SIGNING,
        )
        for selector in DKIM_SELECTORS
        if platform.dkim_domain
    ]
    records.append(Record("TXT", "_dmarc", "v=DMARC1; p=none", "reputation", _RULES))
    if target:
        records.append(Record("CNAME", "mail", f"{target}.", "convenience", _NAME))
        records += [
            Record("SRV", f"_{service}._tcp", f"1 {port} {target}.", "convenience", _FINDING, 0)
            for service, port in (("imaps", 993), ("submissions", 465))
        ]
    if platform.web_host:
        records.append(
            Record("CNAME", "autoconfig", f"{platform.web_host}.", "convenience", _FINDING)
        )
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


def _spf(platform: Platform, mail_host: str, own: str) -> str:
    """The platform's own record lists who sends; where it has none, those who receive do."""
    if platform.spf_include:
        return f"v=spf1 include:{platform.spf_include} ~all"
    return "v=spf1 mx ~all" if mail_host == own else f"v=spf1 mx a:{mail_host} ~all"
