"""The fleet as it is run: what is done in the panel holds at once on nodes with real mail servers.

A served panel, the agent waiting for news, Dovecot and Postfix; nothing is stood in for. Each test
makes its own mailboxes, so that they may come in any order.
"""

from __future__ import annotations

import os
import random
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.export.state import KEPT
from tests.node import mail_server
from tests.node.clients import MAIL, TIMEOUT, is_ended
from tests.node.served_panel import ServedPanel
from tests.node.stage import DOMAIN, NEW, OLD, LiveNode, Stage
from tests.processes import eventually

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        bool(mail_server.lacking()) or os.geteuid() != 0,
        reason="NOT TESTED on a real node: be root, and apt-get install "
        + " ".join(mail_server.lacking() or ["postfix"]),
    ),
]

BIG = MAIL + ("x" * 70 + "\r\n") * 10_000
MANY = 1000  # changes
WRITERS = 10
KILLS = 10
PORTS_OF_POSTFIX = 3
PROCESSES = 100  # of each: https://www.postfix.org/postconf.5.html#default_process_limit


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Everything running."""
    with Stage.set_up(tmp_path_factory.mktemp("panel")) as stage:
        yield stage


# ── One mailbox ──────────────────────────────────────────────────────────────────────────────


def test_a_new_mailbox_receives_by_smtp_and_reads_by_imap(stage: Stage) -> None:
    email = stage.add("info")
    assert stage.node.signs_in(email)
    assert stage.node.receive(email) == 250
    eventually(lambda: len(stage.node.messages(email)) == 1)
    assert b"Subject: Hello" in stage.node.messages(email)[0]
    assert stage.node.send(email, to=email).code == 250
    eventually(lambda: len(stage.node.messages(email)) == 2)


def test_a_removed_mailbox_is_gone_at_once_and_comes_back_with_its_mail(stage: Stage) -> None:
    email = stage.add("bram")
    assert stage.node.receive(email) == 250
    eventually(lambda: len(stage.node.messages(email)) == 1)
    session = stage.node.imap(email)
    stage.panel.call("remove-user", email=email)
    eventually(lambda: is_ended(session))
    eventually(lambda: stage.node.rcpt(email) == 550)
    assert not stage.node.signs_in(email)
    assert stage.node.send(email, to=email).code == 535
    stage.panel.call("restore-user", email=email)
    eventually(lambda: stage.node.rcpt(email) == 250)
    assert len(stage.node.messages(email)) == 1


def test_a_new_password_replaces_the_old_one_and_ends_sessions(stage: Stage) -> None:
    email, other = stage.add("anna"), stage.add("beside")
    session, untouched = stage.node.imap(email), stage.node.imap(other)
    stage.panel.call("update-password", email=email, password=NEW)
    eventually(lambda: is_ended(session))
    assert not stage.node.signs_in(email)
    assert stage.node.signs_in(email, NEW)
    assert stage.node.send(email, to=email).code == 535
    assert stage.node.send(email, to=email, password=NEW).code == 250
    assert untouched.noop()[0] == "OK"
    untouched.logout()


def test_who_may_not_sign_in_does_not_send_but_receives(stage: Stage) -> None:
    email = stage.add("orders")
    session = stage.node.imap(email)
    stage.panel.call("update-user", email=email, can_login=False)
    eventually(lambda: is_ended(session))
    assert not stage.node.signs_in(email)
    assert stage.node.send(email, to=email).code == 535
    assert stage.node.receive(email) == 250
    stage.panel.call("update-user", email=email, can_login=True)
    eventually(lambda: stage.node.signs_in(email))
    eventually(lambda: len(stage.node.messages(email)) == 1)


def test_who_may_not_receive_signs_in_and_sends(stage: Stage) -> None:
    email, other = stage.add("jobs"), stage.add("reads")
    stage.panel.call("update-user", email=email, can_receive=False)
    eventually(lambda: stage.node.rcpt(email) == 550)
    assert stage.node.signs_in(email)
    assert stage.node.send(email, to=other).code == 250
    eventually(lambda: len(stage.node.messages(other)) == 1)
    stage.panel.call("update-user", email=email, can_receive=True)
    eventually(lambda: stage.node.rcpt(email) == 250)


def test_a_full_mailbox_refuses_at_rcpt_until_it_has_more(stage: Stage) -> None:
    email = stage.add("full", quota_mb=1)
    assert stage.node.receive(email, BIG) == 250
    eventually(lambda: len(stage.node.messages(email)) == 1)
    assert stage.node.rcpt(email, size=900_000) == 552
    assert stage.node.rcpt(email, size=2_000) == 250
    stage.panel.call("update-user", email=email, quota_mb=7)
    eventually(lambda: stage.node.rcpt(email, size=900_000) == 250)


def test_what_dovecot_counts_reaches_the_panel_and_purged_mail_goes(stage: Stage) -> None:
    email = stage.add("counted")
    mailbox = stage.id_of(email)
    assert stage.node.receive(email) == 250
    eventually(lambda: len(stage.node.messages(email)) == 1)
    eventually(lambda: "messages\n1\n" in stage.node.told("usage", email))
    eventually(lambda: "last-login/imap\n" in stage.node.told("logins", email))
    stage.node.leave()
    stage.node.follow()  # which measures at once

    def counted() -> list[Any]:
        columns = "SELECT messages, bytes > 50, last_login_at IS NOT NULL FROM mailbox_usage"
        return stage.panel.rows(f"{columns} WHERE mailbox_id = ?", mailbox)

    eventually(lambda: counted() == [(1, 1, 1)])
    stage.panel.call("remove-user", email=email, hard_delete=True)
    mail = stage.node.folder("mail")
    eventually(lambda: bool(list((mail / ".purged").glob(f"{mailbox}.*"))))
    assert not (mail / mailbox).exists()
    orders = "SELECT 1 FROM purge_orders WHERE mailbox_id = ?"
    eventually(lambda: stage.panel.rows(orders, mailbox) == [])
    assert stage.panel.export(stage.node.key)["purge"] == []
    stage.add("counted")
    assert stage.node.messages(email) == []


# ── Many senders ─────────────────────────────────────────────────────────────────────────────


def test_all_of_postfix_can_ask_whether_a_mailbox_is_full(stage: Stage) -> None:
    asked = f"request=smtpd_access_policy\nrecipient={stage.add('asked')}\nsize=0\n\n"
    with ExitStack() as connected:
        for _ in range(PORTS_OF_POSTFIX * PROCESSES):
            client = connected.enter_context(closing(socket.socket(socket.AF_UNIX)))
            client.settimeout(TIMEOUT)
            client.connect(stage.node.socket("quota-status"))
            client.sendall(asked.encode())
            assert client.recv(100) == b"action=DUNNO\n\n"
    assert "process_limit" not in stage.node.log


def test_who_only_asks_for_addresses_makes_nobody_wait(stage: Stage) -> None:
    email = stage.add("probed")
    took = [seconds_of_an_accepted_recipient(stage, email) for _ in range(PROCESSES + 10)]
    # Postfix would sleep for a second each time, so the quickest tells it from a busy computer.
    assert min(took[PROCESSES:]) < 1
    assert "problem talking to server" not in stage.node.log


def seconds_of_an_accepted_recipient(stage: Stage, email: str) -> float:
    """On a connection of its own that ends without a message, as of one that checks senders."""
    begun = time.monotonic()
    assert stage.node.rcpt(email) == 250
    return time.monotonic() - begun


# ── Away, and back ───────────────────────────────────────────────────────────────────────────


def test_a_node_that_was_cut_off_catches_up(stage: Stage) -> None:
    with stage.another_node() as away:
        for number in range(2 * WRITERS):
            stage.panel.call("add-user", email=f"many{number}@{DOMAIN}", password=OLD)
        away.follow()
        eventually(away.holds_what_the_panel_has)
        away.leave()
        last = revision(away)
        change(stage.panel, MANY)
        assert stage.panel.export(away.key, last)["full"] is False
        catches_up(stage, away)
        assert revision(away) >= last + MANY

        away.leave()
        last = revision(away)
        forget_what_changed(stage.panel)
        stage.panel.call("remove-user", email=f"many1@{DOMAIN}", hard_delete=True)
        assert stage.panel.export(away.key, last)["full"] is True
        catches_up(stage, away)


def catches_up(stage: Stage, away: LiveNode) -> None:
    away.follow()
    for node in (away, stage.node):
        eventually(node.holds_what_the_panel_has)
    assert away.arrays() == stage.node.arrays()


def revision(node: LiveNode) -> int:
    held = node.held()
    assert held
    return held.revision


def change(panel: ServedPanel, changes: int) -> None:
    """So many changes by ten at once, of which some take mailboxes away and bring them back."""
    with ThreadPoolExecutor(WRITERS) as pool:
        of_each = [range(first, changes, WRITERS) for first in range(WRITERS)]
        list(pool.map(partial(_change, panel), of_each))


def _change(panel: ServedPanel, numbers: Iterable[int]) -> None:
    """Every tenth has every tenth mailbox to itself: its changes keep their order."""
    with closing(panel.connection()) as connection:
        for number in numbers:
            email = f"many{number % (2 * WRITERS)}@{DOMAIN}"
            fields: dict[str, Any] = {"quota_mb": 2000 + number}
            if number % 50 == 30:
                panel.call_on(connection, "remove-user", email=email, hard_delete=True)
                panel.call_on(connection, "add-user", email=email, password=NEW, **fields)
            else:
                panel.call_on(connection, "update-user", email=email, **fields)


def forget_what_changed(panel: ServedPanel) -> None:
    """Let more revisions pass than the panel remembers changes of."""
    with closing(sqlite3.connect(panel.database, timeout=60)) as database, database:
        database.execute("UPDATE feed SET revision = revision + ?", (KEPT + 1,))
        database.execute("DELETE FROM gone")


def test_nodes_follow_a_panel_that_was_restored(stage: Stage, tmp_path: Path) -> None:
    email = stage.add("kept")
    assert stage.node.receive(email) == 250
    eventually(lambda: len(stage.node.messages(email)) == 1)
    stage.panel.mailcote("backup", str(tmp_path / "backup"))
    later = stage.add("later")
    mailbox = stage.id_of(later)
    assert stage.node.receive(later) == 250
    eventually(lambda: len(stage.node.messages(later)) == 1)
    before = stage.node.held()
    stage.panel.mailcote("restore", str(tmp_path / "backup"))
    eventually(lambda: not stage.node.signs_in(later))
    eventually(stage.node.holds_what_the_panel_has)
    after = stage.node.held()
    assert before and after and after.epoch != before.epoch
    assert len(stage.node.messages(email)) == 1
    assert (stage.node.folder("mail") / mailbox).is_dir(), "nobody ordered it away"
    stage.add("afterwards")


def test_nodes_keep_mailboxes_that_a_restored_panel_lacks(stage: Stage, tmp_path: Path) -> None:
    stage.panel.mailcote("backup", str(tmp_path / "backup"))
    held = stage.node.held()
    assert held
    for number in range(12 + held.counts["users"]):
        stage.panel.call("add-user", email=f"lost{number}@{DOMAIN}", password=OLD)
    email = stage.add("lost")
    assert stage.node.receive(email) == 250
    stage.panel.mailcote("restore", str(tmp_path / "backup"))
    eventually(lambda: "more than a fifth" in stage.node.status())
    assert stage.node.signs_in(email)
    eventually(lambda: len(stage.node.messages(email)) == 1)
    assert stage.node.receive(email) == 250
    told = "SELECT error FROM nodes WHERE name = 'mpi01'"
    eventually(lambda: "more than a fifth" in str(stage.panel.rows(told)))
    stage.panel.mailcote("confirm-shrink")
    eventually(lambda: not stage.node.signs_in(email))
    eventually(stage.node.holds_what_the_panel_has)
    eventually(lambda: stage.panel.rows(told) == [(None,)])


def test_mail_goes_on_while_the_panel_is_gone(stage: Stage) -> None:
    email = stage.add("steady")
    stage.panel.stop()
    try:
        eventually(lambda: "wrong     the panel is out of reach" in stage.node.status())
        assert stage.node.signs_in(email)
        assert stage.node.receive(email) == 250
        eventually(lambda: len(stage.node.messages(email)) == 1)
        assert stage.node.send(email, to=email).code == 250
        eventually(lambda: len(stage.node.messages(email)) == 2)
        assert stage.node.rcpt(f"nobody@{DOMAIN}") == 550
    finally:
        stage.panel.start()
    eventually(lambda: "wrong     nothing" in stage.node.status())
    stage.add("after")


def test_a_full_disk_of_the_agents_ends_no_login_and_no_mail(stage: Stage) -> None:
    """What of a change fits on it, differs; that the state stays whole, tests/agent shows."""
    email, changed, other = stage.add("early"), stage.add("changed"), f"meanwhile@{DOMAIN}"
    needs_small_disks(stage)
    with stage.node.full("state"):
        stage.panel.call("update-password", email=changed, password=NEW)
        stage.panel.call("add-user", email=other, password=OLD)
        eventually(lambda: bool(re.search("is full|No space left", stage.node.status())))
        assert stage.node.signs_in(email)
        assert stage.node.send(email, to=email).code == 250
        assert stage.node.rcpt(other) == 550, "the maps come after the state, and did not fit"
    eventually(lambda: stage.node.rcpt(other) == 250)
    assert stage.node.signs_in(changed, NEW)
    assert not stage.node.signs_in(changed)
    eventually(lambda: len(stage.node.messages(email)) == 1)
    eventually(stage.node.holds_what_the_panel_has)


def test_a_full_disk_of_the_mails_sends_none_of_it_back(stage: Stage) -> None:
    email = stage.add("patient")
    needs_small_disks(stage)
    with stage.node.full("mail"):
        assert stage.node.receive(email) == 250
        told = re.compile(rf"to=<{email}>, relay=.* status=(\w+)")
        eventually(lambda: bool(told.search(stage.node.log)))
        assert told.findall(stage.node.log) == ["deferred"]

    def arrives() -> bool:  # Postfix says that it will wait before it can be told not to
        stage.node.deliver_what_waits()
        return len(stage.node.messages(email)) == 1

    eventually(arrives)


def needs_small_disks(stage: Stage) -> None:
    if not stage.node.has_small_disks:
        pytest.skip("NOT TESTED on a full disk: it needs the right to mount one")


# ── Killed ───────────────────────────────────────────────────────────────────────────────────


def test_an_agent_that_is_killed_ends_with_what_the_panel_has(stage: Stage) -> None:
    chance, seen = random.Random(6), set()
    with stage.another_node() as node:
        with changing(stage.panel) as made:
            for number in range(KILLS):
                before, agent = node.held(), node.follow()
                if number % 2:  # once it is at work, else while it begins
                    eventually(lambda before=before: node.held() != before)  # type: ignore[misc]
                time.sleep(chance.uniform(0, 0.3))
                agent.kill()
                node.leave()
                seen.add(held.revision if (held := node.held()) else None)
        node.follow()
        eventually(node.holds_what_the_panel_has)
        domains, users = node.arrays()
        receiving = {user["email"] for user in users if user["deliver"]}
        ever = receiving.union(made)
        assert ever > receiving
        eventually(lambda: node.mapped("mailboxes", ever) == receiving)
        assert node.mapped("domains", domains) == set(domains)
    assert len(seen) > KILLS / 2


@contextmanager
def changing(panel: ServedPanel) -> Iterator[list[str]]:
    """Changes of all kinds, one after the other; the addresses that were made."""
    is_over, made = threading.Event(), list[str]()

    def flow() -> None:
        with closing(panel.connection()) as connection:
            while not is_over.is_set():
                email = f"flow{len(made)}@{DOMAIN}"
                made.append(email)
                panel.call_on(connection, "add-user", email=email, password=OLD)
                panel.call_on(connection, "update-user", email=email, can_receive=False)
                panel.call_on(connection, "update-user", email=email, can_receive=True)
                if len(made) % 3 == 0:
                    panel.call_on(connection, "remove-user", email=email, hard_delete=True)

    flowing = threading.Thread(target=flow)
    flowing.start()
    try:
        yield made
    finally:
        is_over.set()
        flowing.join()
