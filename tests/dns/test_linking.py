"""verify-domain, check-domain and list-records, with real name servers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from flask import Flask, current_app

from app import checks, clock, domain_notices
from app.caller import Caller, command_line
from app.config import Settings
from app.database import write_transaction
from app.errors import OperationError
from app.extensions import db
from app.models import DnsCheck, DomainClaim, Notice
from app.operations import domain_news, zone_checks
from app.operations.domains import assign_domain, disable_email, enable_email
from app.operations.linking import (
    link_domain,
    link_what_is_proven,
    unlink_domain,
    verify_domain,
)
from app.operations.mailboxes import add_user, list_users, remove_user
from app.operations.panel import add_person
from app.operations.zone_checks import check_domain, check_due, list_records
from tests.conftest import ON_BOTH, PASSWORD, Cast
from tests.dns.name_server import needs_knot
from tests.dns.world import Dns

WHOLE = """@ MX 10 mail.host.test.
@ TXT "v=spf1 include:_spf.mail.host.test ~all"
_dmarc TXT "v=DMARC1; p=none"
mail CNAME mail.host.test.
_imaps._tcp SRV 0 1 993 mail.host.test.
_submissions._tcp SRV 0 1 465 mail.host.test.
"""

# What locks rows, or is found by several at once.
on_both = pytest.mark.parametrize("database", ON_BOTH)
pytestmark = [pytest.mark.real, needs_knot]


@pytest.fixture
def settings(settings: Settings, servers: Dns) -> Settings:
    """A panel that asks the servers of these tests."""
    return replace(
        settings,
        mail_host="mail.host.test",
        dns_resolvers=(servers.world.as_resolver,),
        dns_private_port=servers.own.port,
    )


@pytest.fixture
def core(app: Flask, cast: Cast) -> Iterator[Cast]:
    """The cast, in the application's context."""
    with app.app_context():
        yield cast


def proof(caller: Caller, domain: str) -> str:
    """Begin to link a domain; the record that proves it, as in a zone file."""
    fields = link_domain(caller, domain=domain).to_answer()["domain"]["proof"]
    return f'{fields["name"]} TXT "{fields["value"]}"\n'


def not_proven(caller: Caller, domain: str) -> str:
    """That a domain cannot be verified yet; the sentence that says why."""
    with pytest.raises(OperationError) as refused:
        verify_domain(caller, domain=domain)
    assert refused.value.code == "DOMAIN_NOT_PROVEN"
    return refused.value.message


def states(caller: Caller, domain: str) -> dict[str, str]:
    """The state of each record by its type and name, looked for anew."""
    with write_transaction() as session:
        session.execute(db.update(DnsCheck).values(checked_at=None))
    answer = check_domain(caller, domain=domain).to_answer()
    return {f"{one['type']} {one['name']}": one["state"] for one in answer["records"]}


def come_due(table: type[DnsCheck] | type[DomainClaim]) -> None:
    """Have everything be looked at now."""
    with write_transaction() as session:
        session.execute(db.update(table).values(next_at=clock.now()))


def test_it_works(core: Cast, servers: Dns) -> None:
    servers.publish("linked.test", proof(core.alice, "linked.test"))
    answer = verify_domain(core.alice, domain="linked.test").to_answer()["domain"]
    assert (answer["domain"], answer["email_enabled"]) == ("linked.test", False)
    enable_email(core.alice, domain="linked.test")
    add_user(core.alice, email="info@linked.test", password=PASSWORD)
    servers.forget("linked.test")  # the proof may go
    assert verify_domain(core.alice, domain="linked.test").domain.name == "linked.test"


def test_before_and_after_it_is_seen_everywhere(core: Cast, servers: Dns) -> None:
    record = proof(core.alice, "new.test")
    assert "is not registered" in not_proven(core.alice, "new.test")
    servers.publish("new.test", "")
    assert "There is no such text at _mailcote.new.test" in not_proven(core.alice, "new.test")
    servers.publish("new.test", record, is_seen=False)
    assert verify_domain(core.alice, domain="new.test").domain.project_id == 1


def test_a_name_server_that_is_away_proves_nothing(core: Cast, servers: Dns) -> None:
    proof(core.alice, "away.test")
    servers.world.zone("test", "ns A 127.0.0.1\naway NS ns.away\nns.away A 127.0.0.9")
    assert "did not answer" in not_proven(core.alice, "away.test")


@on_both
def test_who_proves_it_first_gets_it(core: Cast, servers: Dns) -> None:
    ours, theirs = proof(core.alice, "both.test"), proof(core.charlie, "both.test")
    servers.publish("both.test", theirs)
    not_proven(core.alice, "both.test")
    verify_domain(core.charlie, domain="both.test")
    servers.publish("both.test", ours + theirs)
    enable_email(core.charlie, domain="both.test")
    add_user(core.charlie, email="info@both.test", password=PASSWORD)
    with pytest.raises(OperationError) as refused:
        verify_domain(core.alice, domain="both.test")
    assert refused.value.code == "DOMAIN_IN_USE"
    assert "1 active" not in refused.value.message


def test_a_domain_that_changes_hands_brings_nothing_along(core: Cast, servers: Dns) -> None:
    add_user(core.charlie, email="info@charlie.nl", password=PASSWORD)
    remove_user(core.charlie, email="info@charlie.nl")
    servers.publish("charlie.nl", proof(core.alice, "charlie.nl"))
    row = verify_domain(core.alice, domain="charlie.nl")
    assert (row.domain.project_id, row.domain.email_enabled, row.mailboxes) == (1, False, 0)
    enable_email(core.alice, domain="charlie.nl")
    assert list_users(core.alice, domain="charlie.nl").to_answer()["users"] == []
    with pytest.raises(OperationError):
        list_users(core.charlie, domain="charlie.nl")


@pytest.mark.parametrize("name", ["shop.example.nl", "xn--bcher-kva.test"])
def test_a_child_and_a_name_in_unicode_are_proven_alike(
    core: Cast, servers: Dns, name: str
) -> None:
    servers.publish(name, "")
    not_proven_first = proof(core.charlie, name)
    not_proven(core.charlie, name)
    servers.publish(name, not_proven_first)
    assert verify_domain(core.charlie, domain=name).domain.name == name


@on_both
def test_nobody_has_to_come_back_for_it(core: Cast, servers: Dns) -> None:
    servers.publish("later.test", "")
    record = proof(core.alice, "later.test")
    come_due(DomainClaim)
    link_what_is_proven()
    not_proven(core.alice, "later.test")
    servers.publish("later.test", record)
    come_due(DomainClaim)
    link_what_is_proven()
    assert core.alice.domain("later.test").project_id == 1


def test_what_was_just_seen_is_not_looked_for_again(core: Cast, servers: Dns) -> None:
    """Each look can take its time: of many, one after the other, nothing else would be done."""
    servers.publish("seen.test", proof(core.alice, "seen.test"))
    assert check_domain(core.alice, domain="seen.test").verdicts[0].state == "ok"
    servers.publish("seen.test", "")
    assert verify_domain(core.alice, domain="seen.test").domain.project_id == 1


def test_what_is_missing_is_told(core: Cast, servers: Dns) -> None:
    assign_domain(core.root, domain="mycompany.test", project_id=1)
    enable_email(core.alice, domain="mycompany.test")
    servers.publish("mycompany.test", WHOLE.replace("@ TXT", "elsewhere TXT"))
    assert list_records(core.alice, domain="mycompany.test").state == "checking"
    answer = check_domain(core.alice, domain="mycompany.test").to_answer()
    assert answer["state"] == "receiving"
    assert answer["summary"] == (
        "Mail arrives. What is sent may be taken for spam. Still to be mended: TXT @."
    )
    assert list_records(core.alice, domain="mycompany.test").to_answer() == answer
    servers.publish("mycompany.test", WHOLE)
    assert set(states(core.alice, "mycompany.test").values()) == {"ok"}
    assert list_records(core.caller("bob"), domain="mycompany.test").state == "ready"


def test_a_domain_on_its_way_has_its_proof_to_show(core: Cast, servers: Dns) -> None:
    record = proof(core.alice, "onway.test")
    listed = list_records(core.alice, domain="onway.test").to_answer()
    assert (listed["state"], listed["total"]) == ("unproven", 1)
    servers.publish("onway.test", record)
    assert states(core.alice, "onway.test") == {"TXT _mailcote": "ok"}
    with pytest.raises(OperationError):
        core.alice.domain("onway.test")


def test_what_was_known_stays_while_nobody_answers(core: Cast, servers: Dns) -> None:
    assign_domain(core.root, domain="keeps.test", project_id=1)
    enable_email(core.alice, domain="keeps.test")
    servers.publish("keeps.test", WHOLE)
    assert set(states(core.alice, "keeps.test").values()) == {"ok"}
    with servers.down():
        assert set(states(core.alice, "keeps.test").values()) == {"ok"}
        found = list_records(core.alice, domain="keeps.test")
    assert found.state == "ready"
    assert "could not be checked just now" in (found.verdicts[0].advice or "")


@on_both
def test_a_record_that_vanishes_is_told_after_a_while(core: Cast, servers: Dns) -> None:
    add_person(command_line(), email="anna@people.example", password=PASSWORD, projects=[1])
    assign_domain(core.root, domain="vanish.test", project_id=1)
    enable_email(core.alice, domain="vanish.test")
    servers.publish("vanish.test", WHOLE)
    come_due(DnsCheck)
    assert check_due().domains >= 1
    _age()
    assert _news() == ["vanish.test: mail is set up"]
    servers.publish("vanish.test", "@ MX 5 mx.elsewhere.example.")
    come_due(DnsCheck)
    assert check_due().changed >= 1
    assert _news() == []
    _age()
    assert _news() == ["vanish.test: its mail needs attention"]
    assert _news() == []
    notice = db.session.scalars(db.select(Notice).order_by(Notice.id.desc())).first()
    assert notice is not None
    assert notice.recipient == "anna@people.example"
    assert "mx.elsewhere.example" in notice.text
    _age(days=4)
    come_due(DnsCheck)
    check_due()
    assert list_records(core.alice, domain="vanish.test").state == "blocked"


@on_both
def test_it_is_checked_hourly_while_pending_and_daily_when_fine(core: Cast, servers: Dns) -> None:
    disable_email(core.alice, domain="example.nl")
    disable_email(core.charlie, domain="charlie.nl")
    for name, records in (("fine.test", WHOLE), ("pends.test", "")):
        assign_domain(core.root, domain=name, project_id=1)
        enable_email(core.alice, domain=name)
        servers.publish(name, records)
    assert check_due().domains == 2
    assert check_due().domains == 0
    pauses = {
        row.state: -clock.seconds_since(row.next_at)
        for row in db.session.scalars(db.select(DnsCheck))
    }
    assert 0.8 < pauses["ready"] / zone_checks.DAY <= 1
    assert 0.8 < pauses["pending"] / zone_checks.HOUR <= 1


def test_it_hides_from_strangers(core: Cast, servers: Dns) -> None:
    proof(core.alice, "mine.test")
    for name in ("mine.test", "example.nl", "nowhere.test"):
        for operation in (list_records, check_domain, verify_domain, unlink_domain):
            with pytest.raises(OperationError) as refused:
                operation(core.charlie, domain=name)
            assert (refused.value.code, refused.value.status) == ("DOMAIN_NOT_FOUND", 404)


def _news() -> list[str]:
    """The subjects of what somebody is to be told of a domain now."""
    sending = {"smtp_url": "smtp://127.0.0.1:1", "mail_from": "panel@mailcote.example"}
    current_app.extensions["mailcote"] = replace(current_app.extensions["mailcote"], **sending)
    written = db.session.scalar(db.select(db.func.max(Notice.id))) or 0
    domain_notices.write_what_is_new()
    new = db.select(Notice.subject).where(Notice.id > written, Notice.subject.contains("vanish"))
    return list(db.session.scalars(new))


def _age(days: int = 0) -> None:
    """Have all states last for more than the time of grace."""
    with write_transaction() as session:
        then = clock.from_now(days=-days, seconds=-domain_news.GRACE_SECONDS - 1)
        session.execute(db.update(DnsCheck).values(since=then))


@on_both
def test_several_at_once_share_the_work(app: Flask, core: Cast, servers: Dns) -> None:
    for number in range(6):
        name = f"shared{number}.test"
        assign_domain(core.root, domain=name, project_id=1)
        enable_email(core.alice, domain=name)
    come_due(DnsCheck)
    db.session.remove()

    def work(_number: int) -> int:
        with app.app_context():
            return check_due().domains

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(work, range(4))) == 8  # with example.nl and charlie.nl


def test_the_platform_s_own_record_is_looked_for(app: Flask, core: Cast, servers: Dns) -> None:
    def said() -> str:
        return next(verdict for verdict, sentence in checks.run() if "SPF" in sentence)

    servers.publish("host.test", "")
    assert said() == "warn"
    servers.publish("host.test", '_spf.mail TXT "v=spf1 ip4:192.0.2.1 ~all"')
    assert said() == "ok"
