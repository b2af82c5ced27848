"""What happens when several do something at once: threads that start together, then processes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask import Flask

from app.caller import Caller, command_line
from app.database import write_transaction
from app.errors import OperationError
from app.export import Export, build
from app.extensions import db
from app.models import AuditEntry, Domain, Mailbox, PastHome
from app.models.feed import raise_revision
from app.operations.domains import add_domain, assign_domain, disable_email, enable_email
from app.operations.mailboxes import (
    add_user,
    remove_user,
    restore_user,
    update_password,
    update_user,
)
from app.operations.nodes import add_node, lose_node, remove_node, update_node
from app.operations.panel import confirm_shrink, purge
from app.operations.placement import set_home_node
from app.operations.seen import digest_of, of_mailbox
from tests.conftest import PASSWORD, Cast
from tests.operations import ledger

ROOT = Path(__file__).resolve().parents[2]
EMAIL = "info@example.nl"
ALICE = Caller(actor="alice", projects=frozenset({1}), project_id=1)
DONE = "done"

pytestmark = pytest.mark.usefixtures("core")


def _outcome(do: Callable[[], object]) -> str:
    """DONE, or the code of a refusal. Anything else that goes wrong fails the test."""
    try:
        do()
    except OperationError as refusal:
        return refusal.code
    return DONE


@dataclass
class Race:
    """Runners that start together, each with its own session, as different processes would."""

    app: Flask
    outcomes: dict[int, object] = field(default_factory=dict)

    def run(self, *runners: Callable[[], object]) -> list[object]:
        """What each came to, in their order; whatever one of them raised is raised here."""
        barrier = threading.Barrier(len(runners))
        failures: list[BaseException] = []

        def run(number: int, runner: Callable[[], object]) -> None:
            try:
                with self.app.app_context():
                    barrier.wait()
                    self.outcomes[number] = runner()
            except BaseException as failure:  # noqa: BLE001 - it is raised again below
                failures.append(failure)

        threads = [
            threading.Thread(target=run, args=(number, runner))
            for number, runner in enumerate(runners)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for failure in failures:
            raise failure
        db.session.rollback()
        return [self.outcomes[number] for number in range(len(runners))]

    def outcomes_of(self, *runners: Callable[[], object]) -> list[str]:
        """Whether each was done, or refused with which code."""
        return [
            str(outcome)
            for outcome in self.run(*(lambda do=runner: _outcome(do) for runner in runners))
        ]


@pytest.fixture
def race(app: Flask) -> Race:
    """A race in this panel."""
    return Race(app)


def test_one_of_eight_gets_the_address(race: Race) -> None:
    ways = ("info@example.nl", "INFO@example.nl", "Info@EXAMPLE.nl", "info@example.nl.") * 2
    with ledger.recorded():
        outcomes = race.outcomes_of(
            *(lambda email=way: add_user(ALICE, email=email, password=PASSWORD) for way in ways)
        )
    assert Counter(outcomes) == {DONE: 1, "MAILBOX_EXISTS": 7}
    assert list(ledger.exported_users()) == [EMAIL]


def test_one_of_eight_gets_the_domain(race: Race) -> None:
    ways = ("bücher.example", "xn--bcher-kva.example", "BÜCHER.example", "bücher.example.") * 2
    with ledger.recorded(revisions=0):
        outcomes = race.outcomes_of(
            *(lambda name=way: add_domain(command_line(), domain=name) for way in ways)
        )
    assert Counter(outcomes) == {DONE: 1, "DOMAIN_EXISTS": 7}


def test_email_is_never_off_with_an_active_mailbox(race: Race) -> None:
    seen: Counter[tuple[str, ...]] = Counter()
    for _round in range(100):
        adding, disabling = race.outcomes_of(
            lambda: add_user(ALICE, email=EMAIL, password=PASSWORD),
            lambda: disable_email(ALICE, domain="example.nl"),
        )
        is_enabled = ledger.domain("example.nl").email_enabled
        is_there = db.session.scalar(db.select(Mailbox.id)) is not None
        assert (adding, disabling, is_enabled, is_there) in (
            (DONE, "MAILBOXES_EXIST", True, True),
            ("EMAIL_NOT_ENABLED", DONE, False, False),
        )
        enable_email(ALICE, domain="example.nl")
        if is_there:
            remove_user(ALICE, email=EMAIL, hard_delete=True)
        seen[adding, disabling] += 1
    assert ledger.feed().users == 0


def test_email_is_never_off_with_a_restored_mailbox(race: Race) -> None:
    add_user(ALICE, email=EMAIL, password=PASSWORD)
    for _round in range(20):
        remove_user(ALICE, email=EMAIL)
        restoring, disabling = race.outcomes_of(
            lambda: restore_user(ALICE, email=EMAIL),
            lambda: disable_email(ALICE, domain="example.nl"),
        )
        assert (restoring, disabling) in (
            (DONE, "MAILBOXES_EXIST"),
            ("EMAIL_NOT_ENABLED", DONE),
        )
        enable_email(ALICE, domain="example.nl")
    assert ledger.exported()["allow_shrink"] is True


def test_a_mailbox_that_goes_for_good_cannot_be_changed_afterwards(race: Race) -> None:
    for _round in range(20):
        add_user(ALICE, email=EMAIL, password=PASSWORD)
        removing, changing, hashing = race.outcomes_of(
            lambda: remove_user(ALICE, email=EMAIL, hard_delete=True),
            lambda: update_user(ALICE, email=EMAIL, can_login=False),
            lambda: update_password(ALICE, email=EMAIL, password="another horse battery"),
        )
        assert removing == DONE
        assert {changing, hashing} <= {DONE, "MAILBOX_NOT_FOUND"}
        assert ledger.exported_users() == {}
    assert len(ledger.exported()["purge"]) == 20


def test_a_mailbox_is_either_restored_or_purged(race: Race) -> None:
    for _round in range(20):
        add_user(ALICE, email=EMAIL, password=PASSWORD)
        remove_user(ALICE, email=EMAIL)
        ledger.let_grace_periods_end()
        before = len(ledger.exported()["purge"])
        restoring, purging = race.outcomes_of(
            lambda: restore_user(ALICE, email=EMAIL), lambda: purge(command_line())
        )
        document = ledger.exported()
        assert purging == DONE
        assert (restoring, len(document["users"]), len(document["purge"]) - before) in (
            (DONE, 1, 0),
            ("MAILBOX_NOT_FOUND", 0, 1),
        )
        if restoring == DONE:
            remove_user(ALICE, email=EMAIL, hard_delete=True)


def test_what_is_due_is_purged_once_by_however_many(race: Race) -> None:
    for number in range(5):
        add_user(ALICE, email=f"a{number}@example.nl", password=PASSWORD)
        remove_user(ALICE, email=f"a{number}@example.nl")
    ledger.let_grace_periods_end()
    with ledger.recorded(entries=4):
        purged: list[Any] = race.run(*(lambda: purge(command_line()),) * 4)
    assert sorted(each.mailboxes for each in purged) == [0, 0, 0, 5]
    assert len(ledger.exported()["purge"]) == 5


def test_of_two_who_saw_the_same_one_is_told(race: Race) -> None:
    """Neither takes back what the other has just changed, and which page never showed."""
    mailbox = add_user(ALICE, email=EMAIL, password=PASSWORD).mailbox
    for number in range(1, 11, 2):
        db.session.refresh(mailbox)
        seen = digest_of(of_mailbox(mailbox))
        outcomes = race.outcomes_of(
            *(
                lambda quota=quota, seen=seen: update_user(ALICE, seen, email=EMAIL, quota_mb=quota)
                for quota in (number, number + 1)
            )
        )
        assert sorted(outcomes) == ["CHANGED_MEANWHILE", DONE]
        assert mailbox.quota_mb == number + outcomes.index(DONE)


def test_a_domain_does_not_change_hands_under_a_new_mailbox(race: Race) -> None:
    for _round in range(10):
        adding, assigning = race.outcomes_of(
            lambda: add_user(ALICE, email=EMAIL, password=PASSWORD),
            lambda: assign_domain(command_line(), domain="example.nl", project_id=2),
        )
        assert (adding, assigning) in ((DONE, "MAILBOXES_EXIST"), ("DOMAIN_NOT_FOUND", DONE))
        if adding == DONE:
            remove_user(ALICE, email=EMAIL, hard_delete=True)
        assign_domain(command_line(), domain="example.nl", project_id=1)
        enable_email(ALICE, domain="example.nl")


def test_the_users_are_counted_right_while_the_shrinking_is_confirmed(race: Race) -> None:
    def turn(email: str, times: int) -> None:
        for _time in range(times):
            remove_user(ALICE, email=email)
            restore_user(ALICE, email=email)

    emails = [f"{name}@example.nl" for name in "abc"]
    for email in emails:
        add_user(ALICE, email=email, password=PASSWORD)
    for _round in range(10):
        race.run(
            *(lambda email=email: turn(email, 2) for email in emails),
            lambda: confirm_shrink(command_line()),
        )
        assert (ledger.feed().users, ledger.exported()["allow_shrink"]) == (3, True)


class Abandoned(Exception):
    """A change that is not meant to be committed."""


WRITERS, ROUNDS = 8, 3


def _write(number: int) -> int:
    """Change mailboxes in every way, some changes only half; how many were committed."""
    mine = f"w{number}@example.nl"
    for round_number in range(ROUNDS):
        add_user(ALICE, email=mine, password=PASSWORD)
        _abandon(number)
        remove_user(ALICE, email=mine)
        restore_user(ALICE, email=mine)
        update_user(ALICE, email=mine, quota_mb=round_number + 1)
        remove_user(ALICE, email=mine, hard_delete=True)
    add_user(ALICE, email=mine, password=PASSWORD)
    return 5 * ROUNDS + 1


def _abandon(number: int) -> None:
    with pytest.raises(Abandoned), write_transaction() as session:
        domain = session.scalars(db.select(Domain).where(Domain.name == "example.nl")).one()
        email, hashed = f"never{number}@example.nl", "{BLF-CRYPT}$2y$04$" + "." * 53
        session.add(
            Mailbox(domain_id=domain.id, email=email, password_hash=hashed, quota_mb=number + 1)
        )
        raise_revision(session)
        raise Abandoned


@dataclass
class Poller:
    """Asks for the export again and again, as a node would that misses nothing."""

    seen: list[Export] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def poll(self) -> None:
        """Until the writers are done, and once after that."""
        while not self.is_over.is_set():
            self.seen.append(build())
        self.seen.append(build())


def _polled_while_writing(race: Race) -> tuple[int, list[Export]]:
    pollers, left = [Poller(), Poller()], threading.Barrier(WRITERS)

    def write(number: int) -> int:
        try:
            return _write(number)
        finally:
            left.wait()
            for poller in pollers:
                poller.is_over.set()

    outcomes: list[Any] = race.run(
        *(lambda number=number: write(number) for number in range(WRITERS)),
        *(poller.poll for poller in pollers),
    )
    for poller in pollers:
        revisions = [export.revision for export in poller.seen]
        assert revisions == sorted(revisions)
        assert poller.seen[-1].revision == ledger.revision()
    return sum(outcomes[:WRITERS]), [export for poller in pollers for export in poller.seen]


def test_readers_see_every_revision_as_it_was_and_no_change_is_lost(race: Race) -> None:
    before = ledger.revision()
    committed, seen = _polled_while_writing(race)
    assert ledger.revision() == before + committed
    assert ledger.feed().users == WRITERS
    bodies: dict[int, bytes] = {}
    for export in seen:
        body = b"".join(export.chunks(0))
        assert bodies.setdefault(export.revision, body) == body
    history = _history()
    for revision, body in bodies.items():
        document = orjson.loads(body)
        users = {user["email"]: user["quota_mb"] for user in document["users"]}
        assert (document["revision"], users) == (revision, history[revision])
        assert document["counts"]["users"] == len(users)
        assert document["sha256"] == _digest(document)
        assert document["allow_shrink"] is True
    assert _mailboxes() == history[ledger.revision()]


def _history() -> dict[int, dict[str, int]]:
    """The users, with their storage, at each revision, as the audit log tells it."""
    states: dict[int, dict[str, int]] = {}
    users: dict[str, int] = {}
    times: Counter[str] = Counter()
    query = db.select(AuditEntry).order_by(AuditEntry.revision)
    for entry in db.session.scalars(query):
        users = dict(users)
        if entry.action == "remove-user":
            users.pop(entry.object)
        elif entry.action in ("add-user", "restore-user"):
            users[entry.object] = 1024
        elif entry.action == "update-user":
            times[entry.object] += 1
            users[entry.object] = times[entry.object]
        states[entry.revision] = users
    return states


def _mailboxes() -> dict[str, int]:
    rows = db.session.execute(db.select(Mailbox.email, Mailbox.quota_mb))
    return {row.email: row.quota_mb for row in rows}


def _digest(document: dict[str, Any]) -> str:
    users = [dict(sorted(user.items())) for user in document["users"]]
    return hashlib.sha256(orjson.dumps([document["domains"], users, []])).hexdigest()


PROCESSES, MAILBOXES = 4, 6


@pytest.mark.parametrize("database", ["sqlite"])
def test_processes_lose_nothing_either(app: Flask) -> None:
    before = ledger.revision()
    subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.operations.writer",
         app.instance_path, str(MAILBOXES), *"abcd"[:PROCESSES]],
        cwd=ROOT, check=True,
    )  # fmt: skip
    db.session.rollback()
    assert ledger.revision() == before + PROCESSES * MAILBOXES * 2
    assert ledger.feed().users == len(_mailboxes()) == PROCESSES * MAILBOXES
    assert Counter(_mailboxes().values()) == dict.fromkeys(range(1, MAILBOXES + 1), PROCESSES)


# ── Homes ────────────────────────────────────────────────────────────────────────────────────

ROOT_CALLER = command_line()


@pytest.fixture
def homes(core: Cast) -> None:
    """mpi01 and mpi02, either of which can be a home."""
    add_node(ROOT_CALLER, name="mpi02")
    for name in ("mpi01", "mpi02"):
        update_node(ROOT_CALLER, name=name, host=f"{name}.example.net")


@pytest.mark.usefixtures("homes")
def test_a_node_becomes_a_home_or_is_removed(race: Race) -> None:
    for number in range(5):
        name = f"new{number}"
        add_node(ROOT_CALLER, name=name)
        update_node(ROOT_CALLER, name=name, host=f"{name}.example.net")
        outcomes = race.outcomes_of(
            partial(set_home_node, ROOT_CALLER, domain="example.nl", node=name),
            partial(remove_node, ROOT_CALLER, name=name),
        )
        assert outcomes in ([DONE, "NODE_IS_HOME"], ["NODE_NOT_FOUND", DONE])
        assert (ledger.domain("example.nl").home_node_id is not None) == (outcomes[0] == DONE)
        set_home_node(ROOT_CALLER, domain="example.nl", node="")


@pytest.mark.usefixtures("homes")
def test_moves_and_changes_of_homes_wait_for_each_other(race: Race) -> None:
    for number in range(4):
        outcomes = race.outcomes_of(
            partial(set_home_node, ROOT_CALLER, domain="example.nl", node="mpi01"),
            partial(set_home_node, ROOT_CALLER, domain="example.nl", node="mpi02"),
            partial(set_home_node, ROOT_CALLER, domain="charlie.nl", node="mpi01"),
            partial(update_node, ROOT_CALLER, name="mpi01", host=f"a{number}.example.net"),
            partial(update_node, ROOT_CALLER, name="mpi02", host=f"b{number}.example.net"),
            partial(add_user, ALICE, email=f"user{number}@example.nl", password=PASSWORD),
        )
        assert outcomes == [DONE] * 6
    past = db.session.execute(
        db.select(PastHome.since, PastHome.until)
        .where(PastHome.domain_id == ledger.domain("example.nl").id)
        .order_by(PastHome.id)
    ).all()
    assert [since for since, _ in past[1:]] == [until for _, until in past[:-1]]
    seen = [build(node).places for node in (1, 2)]
    assert {*seen[0].own, *seen[0].relayed} == {*seen[1].own, *seen[1].relayed}
    outcomes = race.outcomes_of(
        partial(lose_node, ROOT_CALLER, name="mpi01"),
        partial(set_home_node, ROOT_CALLER, domain="example.nl", node="mpi02"),
        partial(set_home_node, ROOT_CALLER, domain="charlie.nl", node="mpi02"),
    )
    assert outcomes == [DONE] * 3
    assert build(2).places.relayed == {}
