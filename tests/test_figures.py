"""The figures and the readiness of a panel, on both databases, as a watcher on this machine sees
them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from app import clock
from app.caller import command_line
from app.extensions import db
from app.models import AuditEntry, DnsCheck, Domain, HeldCall, Node, PurgeOrder, ZoneJob
from app.operations import OPERATIONS
from tests.conftest import ON_BOTH, PASSWORD, Cast

LOCAL: dict[str, Any] = {
    "headers": {"Host": "127.0.0.1:8000"},
    "environ_base": {"REMOTE_ADDR": "127.0.0.1"},
}


@pytest.fixture(params=ON_BOTH)
def database(request: pytest.FixtureRequest) -> str:
    """SQLite, then PostgreSQL."""
    return str(request.param)


@dataclass
class Figures:
    """What Prometheus reads: values by name and labels."""

    text: str

    def __call__(self, name: str, **labels: str) -> float:
        (value,) = [
            sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
            if sample.name == name and sample.labels == labels
        ]
        return float(value)

    def of_label(self, name: str, label: str) -> dict[str, float]:
        """The values of one name, by the value of one label."""
        return {
            sample.labels[label]: sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
            if sample.name == name
        }


def scrape(app: Flask) -> Figures:
    """What a program on this machine is told."""
    answer = app.test_client().get("/metrics", **LOCAL)
    assert answer.status_code == 200
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    return Figures(answer.text)


def act(cast: Cast) -> None:
    """Four mailboxes, a second and a third node, and what can be in trouble is. In a context."""
    run, caller = OPERATIONS, command_line().in_project(1)
    for name in ("info", "sales", "gone", "deleted"):
        run["add-user"](caller, email=f"{name}@example.nl", password=PASSWORD)
    run["remove-user"](caller, email="gone@example.nl")
    run["remove-user"](caller, email="deleted@example.nl", hard_delete=True)
    for name in ("mpi02", "mpi03"):
        run["add-node"](command_line(), name=name)
    run["pause-node"](command_line(), name="mpi03")
    domain = db.session.scalars(db.select(Domain).where(Domain.name == "example.nl")).one()
    token = db.session.scalar(db.text("SELECT min(id) FROM tokens"))
    held = {
        "project_id": 1,
        "token_id": token,
        "actor": "x",
        "operation": "remove-user",
        "arguments": {},
        "fingerprint": "x",
    }
    check = db.session.get(DnsCheck, domain.id) or DnsCheck(domain_id=domain.id)
    check.state = "attention"
    db.session.add_all(
        [
            check,
            ZoneJob(name="example.nl", is_wanted=True, problem="refused"),
            ZoneJob(name="parked.nl", is_wanted=True),
            ZoneJob(name="done.nl", is_wanted=True, done_at=clock.now(), problem="refused"),
            HeldCall(**held, expires_at=clock.from_now(days=1)),
            HeldCall(**held, expires_at=clock.from_now(days=-1)),
            HeldCall(**held, expires_at=clock.from_now(days=1), state="refused"),
        ]
    )
    first = db.session.scalars(db.select(Node).where(Node.name == "mpi01")).one()
    feed = db.session.execute(db.text("SELECT epoch, revision FROM feed")).one()
    first.applied_epoch, first.applied_revision = feed.epoch, feed.revision - 2
    first.last_sync_at = clock.from_now(seconds=-300)
    first.has_drifted = True
    db.session.commit()


def test_it_works(app: Flask, core: Cast) -> None:
    act(core)
    revision = db.session.scalar(db.text("SELECT revision FROM feed"))
    orders = db.session.query(PurgeOrder).filter(PurgeOrder.is_released).count()
    told = scrape(app)
    assert told("mailcote_database_up") == 1
    assert told("mailcote_revision") == revision
    states = told.of_label("mailcote_mailboxes", "state")
    assert states == {"active": 2, "waiting": 0, "removed": 1}
    assert {state: n for state, n in told.of_label("mailcote_domains", "state").items() if n} == {
        "off": 1,
        "checking": 1,
        "attention": 1,
    }
    assert {state: n for state, n in told.of_label("mailcote_nodes", "state").items() if n} == {
        "late": 1,
        "waiting": 1,
        "paused": 1,
    }
    silent = told.of_label("mailcote_node_seconds_since_sync", "node")
    assert silent.keys() == {"mpi01"}
    assert 299 <= silent["mpi01"] < 360
    behind = told.of_label("mailcote_node_revisions_behind", "node")
    assert behind == {"mpi01": 2, "mpi02": revision}
    assert told.of_label("mailcote_node_trouble", "node") == {"mpi01": 1, "mpi02": 0}
    assert told("mailcote_held_calls") == 1
    assert (told("mailcote_zone_jobs"), told("mailcote_zone_jobs_failing")) == (2, 1)
    assert told("mailcote_untold_news") == 0
    assert told("mailcote_purge_orders") == orders == 1
    assert "example.nl" not in told.text
    assert told("mailcote_disk_free_bytes") > 2**20


def test_it_tells_how_old_the_last_good_backup_is(app: Flask, core: Cast) -> None:
    assert "mailcote_seconds_since_backup" not in scrape(app).text
    for at in (clock.from_now(days=-9), clock.from_now(seconds=-300)):
        entry = AuditEntry(actor="x", action="record-backup", object="x", given="", revision=1)
        entry.at = at
        db.session.add(entry)
    db.session.commit()
    assert 299 <= scrape(app)("mailcote_seconds_since_backup") < 360
    OPERATIONS["record-backup"](command_line(), name="Mon")
    assert 0 <= scrape(app)("mailcote_seconds_since_backup") < 60


def test_everything_is_ready(app: Flask) -> None:
    answer = app.test_client().get("/readyz", **LOCAL)
    assert answer.status_code == 200
    assert answer.json == {
        "ready": True,
        "checks": {"database": True, "schema": True, "disk": True, "writing": True},
        "late": [],
    }


def test_a_database_of_another_version_is_not(app: Flask) -> None:
    with app.app_context():
        now = db.session.scalar(db.text("SELECT version_num FROM alembic_version"))
        moved = db.text("UPDATE alembic_version SET version_num = :it")
        db.session.execute(moved, {"it": "0001"})
        db.session.commit()
        answer = app.test_client().get("/readyz", **LOCAL)
        db.session.execute(moved, {"it": now})
        db.session.commit()
    assert answer.status_code == 503
    assert answer.get_json()["checks"] == {
        "database": True,
        "schema": False,
        "disk": True,
        "writing": True,
    }
