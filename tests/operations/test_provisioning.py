"""The zones of domains registered here, written with a real name server, from both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, update

from app.config import Settings
from app.database import write_transaction
from app.dns.provider import CannotUpdate, Kept, Provider, Written
from app.dns.records import Record
from app.dns.updates import Rfc2136
from app.extensions import db
from app.models import ZoneJob, ZoneRecord
from app.operations.domains import (
    assign_domain,
    disable_email,
    enable_email,
)
from app.operations.nodes import update_node
from app.operations.provisioning import run_due, state_of, update_domain
from tests.conftest import ON_BOTH, Cast
from tests.dns.name_server import KEY, NameServer, needs_knot
from tests.operations.ledger import LONG_AGO

pytestmark = [pytest.mark.real, needs_knot]

OWN = "example.nl"
Intend = Callable[[list[Kept]], None]


def provider(server: NameServer, key: str = KEY) -> Rfc2136:
    """The panel's side of the tests' name server."""
    settings = Settings(
        instance=Path("/"), dns_update_server=(server.as_resolver,), dns_update_key=key
    )
    made = Rfc2136.of(settings)
    assert made
    return made


@pytest.fixture
def database() -> str:
    """Where nothing else is said: what the database has a part in is tested on both."""
    return "sqlite"


@pytest.fixture
def zone(name_server: NameServer, core: Cast) -> NameServer:
    """The server with an empty zone for example.nl, which is registered here and has a node."""
    name_server.zone(OWN, "@ A 192.0.2.1", takes_updates=True)
    update_node(core.root, name="mpi01", host="mpi01.host.test")
    update_domain(core.root, domain=OWN, registered_here=True)
    return name_server


def state(name: str = OWN) -> tuple[str, bool]:
    """How it stands with a domain, and whether its records are wanted."""
    found = state_of(name)
    assert found
    done = "done" if found.done_at else found.problem or "pending"
    return done, found.is_wanted


def on_record() -> set[str]:
    """What the panel holds for its own, by owner and type."""
    rows = db.session.execute(select(ZoneRecord.owner, ZoneRecord.type))
    return {f"{owner} {kind}" for owner, kind in rows}


def mail_servers(server: NameServer, name: str = OWN) -> list[str]:
    """The hosts that the zone's MX name."""
    return [line.split()[-1] for line in server.records(name) if " MX " in line]


def make_due() -> None:
    """As if it were time for the next attempt."""
    with write_transaction() as session:
        session.execute(update(ZoneJob).values(next_at=LONG_AGO))


@dataclass
class Around:
    """The provider, and what happens around what it does."""

    real: Provider
    first: Callable[[], object] = lambda: None
    intended: Callable[[], object] = lambda: None
    then: Callable[[], object] = lambda: None
    asked: list[str] = field(default_factory=list)

    def put(
        self,
        domain: str,
        records: Sequence[Record],
        written: Sequence[Kept] = (),
        *,
        intend: Intend = lambda _adding: None,
    ) -> Written:
        def intend_and_more(adding: list[Kept]) -> None:
            intend(adding)
            self.intended()

        self.asked.append(domain)
        self.first()
        told = self.real.put(domain, records, written, intend=intend_and_more)
        self.then()
        return told

    def take_back(self, domain: str, written: Sequence[Kept]) -> list[Kept]:
        self.asked.append(domain)
        return self.real.take_back(domain, written)


def refuse(*, is_uncertain: bool) -> None:
    raise CannotUpdate("No.", is_uncertain=is_uncertain)


def stop() -> None:
    """As if the process ended here."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("database", ON_BOTH)
def test_it_works(zone: NameServer, core: Cast) -> None:
    before = zone.records(OWN)
    assert state() == ("pending", True)
    assert run_due(provider(zone)) == 1
    assert state() == ("done", True)
    assert mail_servers(zone) == ["mpi01.host.test."]
    assert on_record() >= {f"{OWN} MX", f"{OWN} TXT", f"_dmarc.{OWN} TXT", f"mail.{OWN} CNAME"}
    assert run_due(provider(zone)) == 0
    disable_email(core.alice, domain=OWN)
    assert run_due(provider(zone)) == 1
    assert state() == ("done", False)
    assert zone.records(OWN) == before
    assert on_record() == set()


def test_a_name_beyond_ascii(zone: NameServer, core: Cast) -> None:
    name = "xn--mller-kva.nl"
    zone.zone(name, takes_updates=True)
    assign_domain(core.root, domain="müller.nl", project_id=1)
    enable_email(core.alice, domain="müller.nl")
    update_domain(core.root, domain="müller.nl", registered_here=True)
    assert run_due(provider(zone)) == 2
    assert mail_servers(zone, name) == ["mpi01.host.test."]


@pytest.mark.parametrize("database", ON_BOTH)
def test_what_is_asked_meanwhile_is_not_lost(zone: NameServer, core: Cast) -> None:
    before = zone.records(OWN)

    def off() -> None:
        disable_email(core.alice, domain=OWN)

    run_due(Around(provider(zone), first=off), at_most=1)
    assert zone.records(OWN) == before
    assert state() == ("pending", False)

    enable_email(core.alice, domain=OWN)
    run_due(Around(provider(zone), then=off), at_most=1)
    assert mail_servers(zone)
    assert state() == ("pending", False)
    run_due(provider(zone))
    assert zone.records(OWN) == before

    def off_and_carried_out() -> None:
        off()
        assert run_due(provider(zone)) == 1
        assert state()[0] == "done"

    enable_email(core.alice, domain=OWN)
    run_due(Around(provider(zone), intended=off_and_carried_out), at_most=1)
    assert mail_servers(zone)
    assert state() == ("pending", False)
    run_due(provider(zone))
    assert zone.records(OWN) == before
    assert on_record() == set()


@pytest.mark.parametrize("is_written", [False, True])
def test_what_a_crash_left_behind_is_ours(zone: NameServer, core: Cast, is_written: bool) -> None:
    before = zone.records(OWN)
    real = provider(zone)
    with pytest.raises(KeyboardInterrupt):
        run_due(Around(real, then=stop) if is_written else Around(real, intended=stop))
    assert bool(mail_servers(zone)) is is_written
    assert f"{OWN} MX" in on_record()
    assert (state(), run_due(real)) == (("pending", True), 0)
    make_due()
    run_due(provider(zone))
    assert state()[0] == "done"
    assert mail_servers(zone)
    disable_email(core.alice, domain=OWN)
    run_due(provider(zone))
    assert zone.records(OWN) == before


@pytest.mark.parametrize("is_uncertain", [True, False])
def test_only_what_may_have_been_written_stays_on_record(
    zone: NameServer, is_uncertain: bool
) -> None:
    failing = Around(provider(zone), intended=lambda: refuse(is_uncertain=is_uncertain))
    run_due(failing)
    assert state()[0] == "No."
    assert bool(on_record()) is is_uncertain


@pytest.mark.parametrize("database", ON_BOTH)
def test_two_at_once_share_the_work(zone: NameServer, core: Cast, app: Flask) -> None:
    names = [OWN, *(f"shop{number}.{OWN}" for number in range(4))]
    for name in names[1:]:
        assign_domain(core.root, domain=name, project_id=1)
        enable_email(core.alice, domain=name)
        update_domain(core.root, domain=name, registered_here=True)
    start, shared, counts = threading.Barrier(2), Around(provider(zone)), list[int]()

    def work() -> None:
        with app.app_context():
            start.wait(60)
            counts.append(run_due(shared))

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(shared.asked) == sorted(names)
    assert sum(counts) == len(names)
    assert {state(name) for name in names} == {("done", True)}
