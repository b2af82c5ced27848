"""Many domains, some with name servers that never answer, looked at by one command."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert

from app import create_app, upgrade
from app.config import Settings
from app.dns import wire
from app.extensions import db
from app.models import DnsCheck, Domain, Node, Project
from tests.applications import let_go
from tests.cli.mailcote import Mailcote
from tests.conftest import cheap_settings
from tests.dns.name_server import NameServer, needs_knot
from tests.dns.zones import GOOD, HOST, answering

pytestmark = [pytest.mark.real, needs_knot]

AT_ONCE = 32
SILENT = "127.0.0.9"


@pytest.mark.parametrize(
    "domains", [1_000, pytest.param(10_000, marks=pytest.mark.long, id="ten thousand")]
)
def test_all_are_looked_at_and_the_silent_hold_up_nobody(
    name_server: NameServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, domains: int
) -> None:
    dead = domains // 20
    settings = panel(tmp_path, name_server.port, domains)
    serve(name_server, domains, dead)
    asked: list[bytes] = []
    busy = Busy(monkeypatch)
    with answering(SILENT, name_server.port, asked.append):
        said = Mailcote(settings).done("check-dns").out
    assert said == f"Domains checked: {domains}. Changed: {domains - dead}.\n"
    assert states(settings) == {"ready": domains - dead, "checking": dead}
    assert 1 < busy.most <= AT_ONCE
    # A server that keeps silent twice is left alone until the next look at the database.
    assert 0 < len(asked) <= 2 * AT_ONCE * (domains // 200)


class Busy:
    """How many questions are asked at the same time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.most = 0
        self.lock = threading.Lock()
        self.ask = wire.ask
        monkeypatch.setattr(wire, "ask", self.count)

    def count(
        self, server: wire.Server, name: str, kind: str, seconds: float, *, recursive: bool
    ) -> wire.Reply:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            return self.ask(server, name, kind, seconds, recursive=recursive)
        finally:
            with self.lock:
                self.now -= 1


def panel(folder: Path, port: int, domains: int) -> Settings:
    """A panel with these domains, none of which was looked at yet."""
    settings = replace(
        cheap_settings(folder / "instance"),
        mail_host="mail.host.test",
        spf_include="_spf.host.test",
        dns_resolvers=(("127.0.0.1", port),),
        dns_private_port=port,
    )
    app = create_app(settings)
    with app.app_context():
        upgrade.bring_up_to_date()
        with db.engine.begin() as connection:
            connection.execute(insert(Project), [{"id": 1, "name": "Reseller"}])
            connection.execute(insert(Node), [{"name": "mx1", "host": "mx1.host.test"}])
            connection.execute(
                insert(Domain),
                [
                    {"id": number, "name": name(number), "project_id": 1, "email_enabled": True}
                    for number in range(1, domains + 1)
                ],
            )
            connection.execute(
                insert(DnsCheck), [{"domain_id": number} for number in range(1, domains + 1)]
            )
    let_go(app)
    return settings


def name(number: int) -> str:
    return f"d{number}.many.nl"


def serve(server: NameServer, domains: int, dead: int) -> None:
    """Zones of their own for those that are well; the first are delegated to nobody who answers."""
    well = "\n".join({**GOOD, "mx2": ""}.values())
    server.many_zones(
        {
            "test": f"ns A 127.0.0.1\ndead A {SILENT}",
            "host.test": HOST,
            "many.nl": "\n".join(f"d{number} NS dead.test." for number in range(1, dead + 1)),
            **{name(number): well for number in range(dead + 1, domains + 1)},
        }
    )


def states(settings: Settings) -> Counter[str]:
    """How many domains are in each state."""
    app = create_app(settings)
    with app.app_context():
        found = Counter(db.session.scalars(db.select(DnsCheck.state)))
    let_go(app)
    return found
