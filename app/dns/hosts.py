"""Who runs a domain's name servers, by their names: customers know a company, not its servers."""

from __future__ import annotations

from collections.abc import Sequence

# The end of the name servers' names, and how the company is called.
_PROVIDERS = {
    "cloudflare.com": "Cloudflare",
    "transip.net": "TransIP",
    "transip.nl": "TransIP",
    "transip.eu": "TransIP",
    "domaincontrol.com": "GoDaddy",
    "registrar-servers.com": "Namecheap",
    "ui-dns.com": "IONOS",
    "ui-dns.de": "IONOS",
    "ui-dns.org": "IONOS",
    "ui-dns.biz": "IONOS",
    "hostnet.nl": "Hostnet",
    "hostnetbv.com": "Hostnet",
    "hostnetbv.nl": "Hostnet",
    "ovh.net": "OVHcloud",
    "anycast.me": "OVHcloud",
    "gandi.net": "Gandi",
    "azure-dns.com": "Azure",
    "azure-dns.net": "Azure",
    "googledomains.com": "Squarespace",
    "squarespacedns.com": "Squarespace",
    "nsone.net": "NS1",
    "digitalocean.com": "DigitalOcean",
    "hetzner.com": "Hetzner",
    "hetzner.de": "Hetzner",
    "first-ns.de": "Hetzner",
    "second-ns.de": "Hetzner",
    "second-ns.com": "Hetzner",
    "rzone.de": "Strato",
    "one.com": "one.com",
    "mijndomein.nl": "Mijndomein",
    "metaregistrar.nl": "Mijndomein",
    "versio.nl": "Versio",
    "nsversio.nl": "Versio",
    "webhostingserver.nl": "Antagonist",
    "antagonist.nl": "Antagonist",
    "argewebhosting.nl": "Argeweb",
    "argewebhosting.com": "Argeweb",
    "neostrada.nl": "Neostrada",
    "vimexx.nl": "Vimexx",
    "zxcs.nl": "Vimexx",
    "cloud86.nl": "Cloud86",
    "is.nl": "Yourhosting",
    "yourhosting.nl": "Yourhosting",
    "openprovider.nl": "Openprovider",
    "openprovider.be": "Openprovider",
    "combell.net": "Combell",
    "wixdns.net": "Wix",
    "wordpress.com": "WordPress.com",
    "dnsimple.com": "DNSimple",
    "desec.io": "deSEC",
    "inwx.de": "INWX",
    "porkbun.com": "Porkbun",
    "name.com": "Name.com",
    "dreamhost.com": "DreamHost",
    "bluehost.com": "Bluehost",
    "linode.com": "Akamai",
    "vercel-dns.com": "Vercel",
}


def provider_of(name_servers: Sequence[str]) -> str | None:
    """The company behind name servers; the name they end in where it is not known which."""
    for server in name_servers:
        labels = server.split(".")
        if "awsdns-" in server:
            return "Amazon Route 53"
        for length in range(2, len(labels) + 1):
            if found := _PROVIDERS.get(".".join(labels[-length:])):
                return found
    return ".".join(name_servers[0].split(".")[-2:]) if name_servers else None
