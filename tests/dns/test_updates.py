"""Zones of domains registered through the platform, written on a real name server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from flask import Flask

from app import clock
from app.config import Settings
from app.database import write_transaction
from app.errors import Busy, OperationError
from app.extensions import db
from app.models import Node, ZoneJob, ZoneRecord
from app.operations import provisioning
from app.operations.domains import assign_domain, disable_email, enable_email, remove_domain
from app.operations.linking import unlink_domain
from app.operations.mailboxes import add_user, remove_user
from app.operations.provisioning import rewrite_what_changed, run_due, state_of, update_domain
from app.operations.zone_checks import check_domain
from tests.conftest import PASSWORD, Cast
from tests.dns.name_server import KEY, STRANGERS_KEY, needs_knot
from tests.dns.world import Dns
from tests.operations.ledger import LONG_AGO

pytestmark = [pytest.mark.real, needs_knot]

SITE = """@ A 192.0.2.80
www CNAME example.nl.
@ TXT "google-site-verification=x"
"""


@pytest.fixture
def settings(settings: Settings, servers: Dns) -> Settings:
    """A panel that may write the own servers' zones."""
    return replace(
        settings,
        mail_host="mail.host.test",
        dns_resolvers=(servers.own.as_resolver,),
        dns_private_port=servers.own.port,
        dns_update_server=(servers.own.as_resolver,),
        dns_update_key=KEY,
    )


@pytest.fixture
def core(app: Flask, cast: Cast) -> Iterator[Cast]:
    """The cast; example.nl is registered through the platform, its e-mail off."""
    with app.app_context():
        disable_email(cast.alice, domain="example.nl")
        update_domain(cast.root, domain="example.nl", registered_here=True)
        yield cast


def zone(servers: Dns, name: str = "example.nl") -> dict[str, list[str]]:
    """What the zone says of mail, and what else there is."""
    asked = {
        f"{kind} {owner}": servers.values(f"{owner}.{name}".removeprefix("@."), kind)
        for owner, kind in (
            *(("@", "MX"), ("@", "TXT"), ("_dmarc", "TXT"), ("mail", "CNAME"), ("@", "A")),
            *(("_imaps._tcp", "SRV"), ("_submissions._tcp", "SRV"), ("www", "CNAME")),
        )
    }
    return {what: values for what, values in asked.items() if values}


def problem() -> str:
    """What the page says of example.nl's zone."""
    job = state_of("example.nl")
    assert job
    return job.problem or ""


@contextmanager
def set_to(app: Flask, **values: Any) -> Iterator[None]:
    """The panel with other settings."""
    settings = app.extensions["mailcote"]
    app.extensions["mailcote"] = replace(settings, **values)
    try:
        yield
    finally:
        app.extensions["mailcote"] = settings


def come_due() -> None:
    """Have every order be tried again now."""
    with write_transaction() as session:
        session.execute(db.update(ZoneJob).values(next_at=clock.now()))


MAIL = {
    "MX @": ["10 mail.host.test."],
    "TXT _dmarc": ['"v=DMARC1; p=none"'],
    "CNAME mail": ["mail.host.test."],
    "SRV _imaps._tcp": ["0 1 993 mail.host.test."],
    "SRV _submissions._tcp": ["0 1 465 mail.host.test."],
}
SPF = '"v=spf1 include:_spf.mail.host.test ~all"'


def test_it_works(core: Cast, servers: Dns) -> None:
    servers.own.zone("example.nl", SITE, takes_updates=True)
    before = zone(servers)
    enable_email(core.alice, domain="example.nl")
    assert run_due() == 1
    assert zone(servers) == {
        **before,
        **MAIL,
        "TXT @": ['"google-site-verification=x"', SPF],
    }
    assert (run_due(), problem()) == (0, "")
    assert check_domain(core.alice, domain="example.nl").state == "ready"
    disable_email(core.alice, domain="example.nl")
    assert run_due() == 1
    assert zone(servers) == before


@pytest.mark.parametrize("way", ["unlinked", "removed", "no longer registered here"])
def test_it_is_taken_back_when_the_domain_goes(core: Cast, servers: Dns, way: str) -> None:
    servers.own.zone("example.nl", SITE, takes_updates=True)
    before = zone(servers)
    enable_email(core.alice, domain="example.nl")
    run_due()
    if way == "unlinked":
        unlink_domain(core.alice, domain="example.nl")
    elif way == "removed":
        remove_domain(core.root, domain="example.nl")
    else:
        update_domain(core.root, domain="example.nl", registered_here=False)
    assert run_due() == 1
    assert zone(servers) == before
    assert db.session.scalars(db.select(ZoneRecord)).all() == []


def test_what_is_somebody_elses_is_left_alone(core: Cast, servers: Dns) -> None:
    theirs = SITE + (
        "@ MX 5 mx.elsewhere.example.\n"
        '@ TXT "v=spf1 include:elsewhere.example -all"\n'
        "mail A 192.0.2.25\n"
        '_dmarc TXT "v=DMARC1; p=reject"\n'
    )
    servers.own.zone("example.nl", theirs, takes_updates=True)
    before = zone(servers)
    enable_email(core.alice, domain="example.nl")
    run_due()
    assert {**zone(servers), **before} == zone(servers)
    for said in ("goes to other servers", "SPF record of its own", "v=dmarc1", "stands at mail."):
        assert said in problem()
    disable_email(core.alice, domain="example.nl")
    run_due()
    assert zone(servers) == before


def test_a_record_that_was_there_is_not_ours_to_take(core: Cast, servers: Dns) -> None:
    servers.own.zone("example.nl", "@ MX 10 mail.host.test.\n", takes_updates=True)
    enable_email(core.alice, domain="example.nl")
    run_due()
    disable_email(core.alice, domain="example.nl")
    run_due()
    assert zone(servers) == {"MX @": ["10 mail.host.test."]}


def test_a_node_with_another_name_changes_only_what_is_ours(core: Cast, servers: Dns) -> None:
    servers.own.zone("example.nl", SITE, takes_updates=True)
    enable_email(core.alice, domain="example.nl")
    run_due()
    with write_transaction() as session:
        session.scalars(db.select(Node)).one().host = "mx1.host.test"
    rewrite_what_changed()
    assert run_due() == 1
    found = zone(servers)
    assert found["MX @"] == ["10 mx1.host.test."]
    assert found["A @"] == ["192.0.2.80"]
    rewrite_what_changed()
    assert run_due() == 0


def test_what_is_new_or_was_in_the_way_is_written_within_the_hour(core: Cast, servers: Dns) -> None:
    servers.own.zone("example.nl", "@ MX 5 mx.elsewhere.example.\n", takes_updates=True)
    enable_email(core.alice, domain="example.nl")
    run_due()
    assert "goes to other servers" in problem()
    servers.own.zone("example.nl", "", takes_updates=True)
    rewrite_what_changed()
    assert run_due() == 0
    hosts: list[str] = []
    for new in ("", "mx1.host.test", "mx2.host.test"):
        with write_transaction() as session:
            session.execute(db.update(ZoneJob).values(done_at=LONG_AGO))
            session.add_all(Node(name=host[:3], host=host) for host in [new] if host)
        rewrite_what_changed()
        assert run_due() == 1
        hosts += [new] if new else []
        assert zone(servers)["MX @"] == [f"10 {host}." for host in hosts or ["mail.host.test"]]


def test_looking_for_changes_keeps_failures_waiting(core: Cast, servers: Dns) -> None:
    servers.own.zone("example.nl", "", takes_updates=True)
    enable_email(core.alice, domain="example.nl")
    run_due()
    with write_transaction() as session:
        session.scalars(db.select(Node)).one().host = "mx1.host.test"
    with servers.own.down():
        for tried in (1, 0):
            rewrite_what_changed()
            assert run_due() == tried
            assert "does not answer" in problem()
    come_due()
    assert run_due() == 1
    assert zone(servers)["MX @"] == ["10 mx1.host.test."]


def test_looking_for_changes_writes_nothing_where_there_are_none(
    core: Cast, servers: Dns, app: Flask
) -> None:
    """It would keep all others from writing, for as long as ten thousand domains take."""
    servers.own.zone("example.nl", "", takes_updates=True)
    enable_email(core.alice, domain="example.nl")
    run_due()
    with write_transaction(), ThreadPoolExecutor(1) as another:
        another.submit(_in_context, app, rewrite_what_changed).result()
        with set_to(app, mail_host="other.host.test"), pytest.raises(Busy):
            another.submit(_in_context, app, rewrite_what_changed).result()


def _in_context(app: Flask, work: Callable[[], object]) -> None:
    with app.app_context():
        work()


def test_an_order_that_came_too_late_writes_nothing(core: Cast, servers: Dns) -> None:
    """What the domain says counts: the order can be of who had not seen yet that it is off."""
    servers.own.zone("example.nl", SITE, takes_updates=True)
    before = zone(servers)
    enable_email(core.alice, domain="example.nl")
    run_due()
    for late in (
        partial(disable_email, core.alice, domain="example.nl"),
        partial(update_domain, core.root, domain="example.nl", registered_here=False),
    ):
        enable_email(core.alice, domain="example.nl")
        late()
        with write_transaction() as session:
            session.execute(db.update(ZoneJob).values(is_wanted=True))
        run_due()
        assert zone(servers) == before


def test_a_server_that_is_down_holds_up_no_mailbox(core: Cast, servers: Dns) -> None:
    servers.own.zone("example.nl", "", takes_updates=True)
    with servers.own.down():
        enable_email(core.alice, domain="example.nl")
        add_user(core.alice, email="info@example.nl", password=PASSWORD)
        assert run_due() == 1
        assert "does not answer" in problem()
        assert run_due() == 0  # not at once again
        remove_user(core.alice, email="info@example.nl", hard_delete=True)
    come_due()
    assert run_due() == 1
    assert (problem(), zone(servers)) == ("", {**MAIL, "TXT @": [SPF]})


def test_each_failure_waits_longer(core: Cast, servers: Dns) -> None:
    servers.own.zone("example.nl", "", takes_updates=True)
    enable_email(core.alice, domain="example.nl")
    pauses = []
    with servers.own.down():
        for _ in range(6):
            come_due()
            run_due()
            job = state_of("example.nl")
            assert job
            pauses.append(round(-clock.seconds_since(job.next_at), -1))
    assert pauses == [10, 30, 120, 600, 3600, 3600]


def test_a_key_that_may_not_write_is_refused(app: Flask, core: Cast, servers: Dns) -> None:
    servers.own.zone("example.nl", "", takes_updates=True)
    enable_email(core.alice, domain="example.nl")
    with set_to(app, dns_update_key=STRANGERS_KEY):
        run_due()
    assert "does not accept the key" in problem()
    assert zone(servers) == {}
    come_due()
    run_due()
    assert zone(servers) == {**MAIL, "TXT @": [SPF]}


def test_a_zone_that_is_not_there_is_said(core: Cast, servers: Dns) -> None:
    enable_email(core.alice, domain="example.nl")
    run_due()
    assert problem() == "The name server has no zone for example.nl."


def test_a_domain_within_a_zone_is_written_there(core: Cast, servers: Dns) -> None:
    servers.own.zone("example.nl", SITE, takes_updates=True)
    name = "shop.example.nl"
    assign_domain(core.root, domain=name, project_id=1)
    update_domain(core.root, domain=name, registered_here=True)
    enable_email(core.alice, domain=name)
    run_due()
    assert zone(servers, name) == {**MAIL, "TXT @": [SPF]}


def test_what_was_turned_off_meanwhile_is_taken_back(core: Cast, servers: Dns) -> None:
    servers.own.zone("example.nl", "", takes_updates=True)
    enable_email(core.alice, domain="example.nl")
    run_due()
    for _ in range(3):  # within a second, and with nothing left undone
        disable_email(core.alice, domain="example.nl")
        enable_email(core.alice, domain="example.nl")
    disable_email(core.alice, domain="example.nl")
    run_due()
    assert zone(servers) == {}


def test_a_crash_between_writing_and_noting_loses_no_trace(
    core: Cast, servers: Dns, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers.own.zone("example.nl", "", takes_updates=True)
    enable_email(core.alice, domain="example.nl")

    def die(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(provisioning, "_record", die)
        with pytest.raises(KeyboardInterrupt):
            run_due()
    assert zone(servers) == {**MAIL, "TXT @": [SPF]}
    disable_email(core.alice, domain="example.nl")
    run_due()
    assert zone(servers) == {}


def test_without_a_server_the_page_says_what_to_set(app: Flask, core: Cast) -> None:
    enable_email(core.alice, domain="example.nl")
    with set_to(app, dns_update_server=()):
        run_due()
    assert "MAILCOTE_DNS_UPDATE_SERVER" in problem()


def test_other_domains_are_never_written(core: Cast, servers: Dns) -> None:
    for name in ("charlie.nl", "parked.nl"):
        servers.own.zone(name, "", takes_updates=True)
    enable_email(core.alice, domain="parked.nl")
    disable_email(core.charlie, domain="charlie.nl")
    enable_email(core.charlie, domain="charlie.nl")
    assert run_due() == 0
    assert zone(servers, "parked.nl") == zone(servers, "charlie.nl") == {}


def test_only_admins_say_who_registered_a_domain(core: Cast) -> None:
    with pytest.raises(OperationError) as refused:
        update_domain(core.alice, domain="example.nl", registered_here=False)
    assert refused.value.code == "FORBIDDEN"
