"""Who a domain's name servers belong to, so that its owner knows where to change the records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_AT = "Enter “@” as the name for the domain itself."
_EMPTY = "Leave the name empty for the domain itself."
_ALONE = "Enter names without the domain, which is added."
_NO_DOT = "Enter values without the dot at the end."


@dataclass(frozen=True)
class Host:
    """A provider: its name, how the names of its name servers end, and what to mind there."""

    name: str
    endings: tuple[str, ...]
    hint: str = _ALONE


_HOSTS = (
    Host(
        "Cloudflare",
        ("ns.cloudflare.com", "foundationdns.com", "foundationdns.net", "foundationdns.org"),
        f"{_AT} Switch the proxy off (grey cloud, “DNS only”) for every name used for mail.",
    ),
    Host("TransIP", ("transip.net", "transip.nl", "transip.eu"), f"{_AT} End values with a dot."),
    Host("GoDaddy", ("domaincontrol.com",), f"{_AT} {_NO_DOT}"),
    Host(
        "Namecheap",
        ("registrar-servers.com", "namecheaphosting.com"),
        f"{_AT} {_NO_DOT} Choose “Custom MX” under “Mail settings” first.",
    ),
    Host(
        "IONOS",
        ("ui-dns.com", "ui-dns.de", "ui-dns.org", "ui-dns.biz", "1and1.com", "ionos.com"),
        f"{_AT} {_NO_DOT}",
    ),
    Host("Hostnet", ("hostnet.nl", "hostnet.eu", "hostnetbv.com", "hostnetbv.nl")),
    Host("OVHcloud", ("ovh.net", "ovh.ca", "anycast.me"), f"{_EMPTY} End values with a dot."),
    Host("Gandi", ("gandi.net",), f"{_AT} End values with a dot."),
    Host("Amazon Route 53", (), _EMPTY),
    Host("Squarespace (formerly Google Domains)", ("googledomains.com",), f"{_AT} {_NO_DOT}"),
    Host("Squarespace", ("squarespacedns.com",), f"{_AT} {_NO_DOT}"),
    Host("Google Cloud DNS", (), f"{_EMPTY} End values with a dot."),
    Host("DigitalOcean", ("digitalocean.com",), f"{_AT} End values with a dot."),
    Host(
        "Hetzner",
        ("ns.hetzner.com", "ns.hetzner.de", "first-ns.de", "second-ns.de", "second-ns.com"),
        f"{_AT} End values with a dot.",
    ),
    Host("Strato", ("rzone.de", "strato.de", "strato.nl"), _NO_DOT),
    Host("one.com", ("one.com", "one-dns.net"), f"{_EMPTY} {_NO_DOT}"),
    Host("Mijndomein", ("metaregistrar.nl", "metaregistrar.com", "mijndomein.nl"), f"{_AT}"),
    Host("Versio", ("versio.nl", "nszero1.nl", "nszero2.nl"), f"{_AT}"),
    Host("Antagonist", ("webhostingserver.nl", "antagonist.nl", "antagonist.net"), f"{_AT}"),
    Host("Vimexx", ("zxcs.nl", "zxcs.be", "zxcs.eu", "vimexx.nl"), f"{_AT}"),
    Host("Combell", ("combell.net", "combell.com"), f"{_AT}"),
    Host("Openprovider", ("openprovider.nl", "openprovider.be", "openprovider.eu"), _EMPTY),
    Host("Yourhosting", ("yourhosting.nl", "yourhosting.eu"), f"{_AT}"),
    Host("Microsoft Azure", (), f"{_AT}"),
    Host("Wix", ("wixdns.net",), f"{_EMPTY} {_NO_DOT}"),
    Host("Vercel", ("vercel-dns.com",), f"{_EMPTY} {_NO_DOT}"),
    Host("Netlify", ("nsone.net",), f"{_AT} {_NO_DOT}"),
    Host("Porkbun", ("porkbun.com",), f"{_EMPTY} {_NO_DOT}"),
    Host("DNSimple", ("dnsimple.com", "dnsimple-edge.net"), f"{_EMPTY} {_NO_DOT}"),
    Host("Bunny", ("bunny.net",), f"{_EMPTY} {_NO_DOT}"),
    Host("Hostinger", ("dns-parking.com", "hostinger.com"), f"{_AT} {_NO_DOT}"),
    Host("Infomaniak", ("infomaniak.ch", "infomaniak.com"), f"{_EMPTY} {_NO_DOT}"),
    Host("Linode", ("linode.com",), f"{_EMPTY} {_NO_DOT}"),
)
# Names with a number in them: ns-1536.awsdns-00.co.uk, ns-cloud-a1.googledomains.com, ns1-01.….
_BY_PART = (
    (".awsdns-", "Amazon Route 53"),
    ("ns-cloud-", "Google Cloud DNS"),
    (".azure-dns.", "Microsoft Azure"),
)
_BY_NAME = {host.name: host for host in _HOSTS}


def provider_of(name_servers: Iterable[str]) -> str | None:
    """The provider that has most of these name servers, None when nobody known has any."""
    names = [_host(name.lower().removesuffix(".")) for name in name_servers]
    known = [name for name in names if name]
    return max(sorted(set(known)), key=known.count) if known else None


def hint_of(provider: str | None) -> str | None:
    """What to mind when entering records there."""
    host = _BY_NAME.get(provider or "")
    return host.hint if host else None


def _host(server: str) -> str | None:
    for part, name in _BY_PART:
        if part in server:
            return name
    for host in _HOSTS:
        if any(server == ending or server.endswith(f".{ending}") for ending in host.endings):
            return host.name
    return None
