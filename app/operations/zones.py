"""Which records each domain is to have: the one place that knows, for pages, programs and zones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from sqlalchemy import select

from ..addresses import is_ip_address
from ..dns.records import Platform, Record, expected_records
from ..extensions import db, settings
from ..models import Domain, Node


def records_of(domain: Domain) -> list[Record]:
    """The records a domain is to have."""
    return records_of_all([domain])[domain.name]


def records_of_all(domains: Iterable[Domain]) -> dict[str, list[Record]]:
    """The records of many domains by name, by one query."""
    nodes = mail_nodes()
    hosts = {node.id: node.host for node in nodes}
    platform = _platform()
    return {
        domain.name: expected_records(
            domain.name, platform, nodes, hosts.get(domain.home_node_id or 0)
        )
        for domain in domains
    }


def client_host(name: str) -> str | None:
    """The host that mail programs use for a domain; None unless its e-mail is on."""
    domain = db.session.scalar(select(Domain).where(Domain.name == name, Domain.email_enabled))
    if domain is None:
        return None
    home = db.session.get(Node, domain.home_node_id) if domain.home_node_id else None
    return (home.host if home else None) or settings.mail_host or f"mail.{name}"


def mail_nodes() -> Sequence[Node]:
    """The nodes with a public name, as MX records name them; not those in other hands."""
    query = select(Node).where(Node.host.is_not(None), Node.lost_at.is_(None))
    return db.session.scalars(query.order_by(Node.name)).all()


def _platform() -> Platform:
    return Platform(settings.mail_host, settings.platform_spf, settings.dkim_domain, _web_host())


def _web_host() -> str:
    """The panel's own name, where it has one that mail programs outside can look up."""
    host = urlsplit(settings.public_url).hostname or ""
    return host if "." in host and not is_ip_address(host) else ""
