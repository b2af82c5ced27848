"""Home nodes as they are run: two nodes with real mail servers, and domains that live on one.

Each test has a domain of its own, so that they may come in any order.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from tests.node import mail_server
from tests.node.clients import is_ended
from tests.node.mail_server import program
from tests.node.served_panel import ServedPanel
from tests.node.stage import OLD, LiveNode, new_node
from tests.processes import eventually

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        bool(mail_server.lacking()) or os.geteuid() != 0,
        reason="NOT TESTED on real nodes: be root, and apt-get install "
        + " ".join(mail_server.lacking() or ["postfix"]),
    ),
]


# Postfix tries again, and asks again where mail goes, in its own time.
takes_long = pytest.mark.long


@dataclass
class Pair:
    """A panel and two nodes, mpi01 and mpi02, each reachable by the other."""

    panel: ServedPanel
    first: LiveNode
    second: LiveNode
    postfix: ExitStack  # the first one's

    def domain(self, name: str, home: str = "mpi01") -> str:
        """A domain with e-mail on and this home."""
        domain = f"{name}.nl"
        self.panel.call("add-domain", domain=domain, project_id=int(self.panel.project))
        self.panel.call("enable-email", domain=domain)
        self.place(domain, home)
        self.panel.call("add-user", email=f"beside@{domain}", password=OLD)
        return domain

    def place(self, domain: str, home: str) -> None:
        """Set its home, and let the nodes take their time."""
        self.panel.call("set-home-node", domain=domain, node=home)

    def mail(self, node: LiveNode, email: str) -> None:
        """A node takes mail for somebody. It gets another one for somebody else: where mail goes,
        Postfix asks again for the same address only half a minute later."""
        assert node.receive(email) == 250
        assert node.receive(f"beside@{email.partition('@')[2]}") == 250

    def add(self, email: str) -> str:
        """A mailbox that both nodes accept mail for."""
        self.panel.call("add-user", email=email, password=OLD)
        for node in (self.first, self.second):
            eventually(lambda node=node: node.rcpt(email) == 250)  # type: ignore[misc]
        return email


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Everything running."""
    with ExitStack() as running:
        panel = ServedPanel(tmp_path_factory.mktemp("panel"))
        running.callback(panel.stop)
        panel.start()
        nodes = [running.enter_context(new_node(panel, name)) for name in ("mpi01", "mpi02")]
        hosts = {f"mpi0{at}.example.net": node.ports["smtp"] for at, node in enumerate(nodes, 1)}
        for name, host, node in zip(("mpi01", "mpi02"), hosts, nodes, strict=True):
            panel.call("update-node", name=name, host=host)
            node.reach(hosts)
            node.follow()
            eventually(lambda node=node: node.held() is not None)  # type: ignore[misc]
            running.enter_context(node.dovecot())
        postfix = running.enter_context(ExitStack())
        postfix.enter_context(nodes[0].postfix())
        running.enter_context(nodes[1].postfix())
        yield Pair(panel, nodes[0], nodes[1], postfix)


@contextmanager
def away(node: LiveNode) -> Iterator[None]:
    """The node does not hear of changes meanwhile."""
    node.leave()
    try:
        yield
    finally:
        node.follow()


def test_a_backup_passes_mail_on_and_lets_nobody_in(pair: Pair) -> None:
    domain = pair.domain("passed-on")
    email, quiet = pair.add(f"info@{domain}"), pair.add(f"quiet@{domain}")
    assert pair.second.receive(email) == 250
    eventually(lambda: len(pair.first.messages(email)) == 1)
    assert pair.second.receive(f"info+shop@{domain}") == 250
    eventually(lambda: len(pair.first.messages(email)) == 2)
    assert pair.second.rcpt(f"nobody@{domain}") == 550
    assert not pair.second.signs_in(email)
    assert pair.second.send(email, to=email).code == 535
    assert not pair.second.knows(email)
    assert pair.first.send(email, to=email).code == 250
    eventually(lambda: len(pair.first.messages(email)) == 3)
    pair.panel.call("update-user", email=quiet, can_receive=False)
    eventually(lambda: pair.second.rcpt(quiet) == 550)
    assert pair.second.holds_no_hash_of(domain)


@takes_long
def test_a_backup_keeps_mail_while_the_home_is_down(pair: Pair) -> None:
    email = pair.add(f"info@{pair.domain('queued')}")
    pair.postfix.close()
    try:
        assert pair.second.receive(email) == 250
        eventually(lambda: f"to=<{email}>" in pair.second.log and "deferred" in pair.second.log)
    finally:
        pair.postfix.enter_context(pair.first.postfix())
    eventually(lambda: len(pair.first.messages(email)) == 1)


@takes_long
def test_a_home_that_moves_keeps_what_it_has(pair: Pair) -> None:
    domain = pair.domain("moved")
    email = pair.add(f"info@{domain}")
    pair.mail(pair.second, email)
    eventually(lambda: len(pair.first.messages(email)) == 1)
    session = pair.first.imap(email)
    pair.place(domain, "mpi02")
    eventually(lambda: pair.second.signs_in(email))
    eventually(lambda: not pair.first.signs_in(email))
    eventually(lambda: is_ended(session))
    assert pair.first.holds_no_hash_of(domain)
    pair.mail(pair.first, email)
    pair.mail(pair.second, email)
    eventually(lambda: len(pair.second.messages(email)) == 2)
    [(mailbox,)] = pair.panel.rows("SELECT id FROM mailboxes WHERE email = ?", email)
    stays = pair.first.root / "mail" / mailbox
    assert len([one for one in stays.rglob("*") if one.parent.name in ("new", "cur")]) == 1
    # As the documentation says: a copy of the folder is taken over into the mailbox.
    doveadm = [program("doveadm"), "-c", str(pair.second.config), "sync", "-1", "-R", "-u", email]
    subprocess.run([*doveadm, f"maildir:{stays}/Maildir"], check=True, capture_output=True)
    assert len(pair.second.messages(email)) == 3


@takes_long
def test_no_moment_of_a_move_refuses_mail(pair: Pair) -> None:
    domain = pair.domain("moving")
    email = pair.add(f"info@{domain}")
    is_over, codes = threading.Event(), set[int]()

    def ask() -> None:
        while not is_over.is_set():
            codes.update(node.rcpt(email) for node in (pair.first, pair.second))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for home, old in (("mpi02", pair.first), ("", None), ("mpi01", pair.second)):
            pair.place(domain, home)
            for node in (pair.first, pair.second):
                is_there = node is not old
                eventually(lambda node=node, is_there=is_there: node.knows(email) == is_there)  # type: ignore[misc]
    finally:
        is_over.set()
        asking.join()
    assert codes == {250}


@takes_long
def test_mail_waits_where_two_do_not_agree_yet(pair: Pair) -> None:
    """The first has heard that the second is the home, which still takes the first one for it."""
    domain = pair.domain("undecided")
    email = pair.add(f"info@{domain}")
    with away(pair.second):
        pair.place(domain, "mpi02")
        eventually(lambda: not pair.first.knows(email))
        pair.mail(pair.first, email)
        eventually(lambda: "not the home of the domain" in pair.first.log)
        pair.mail(pair.second, email)
        eventually(lambda: "not the home of the domain" in pair.second.log)
    eventually(lambda: pair.second.signs_in(email))
    eventually(lambda: len(pair.second.messages(email)) == 2)
    assert "status=bounced" not in pair.first.log + pair.second.log


@takes_long
def test_mail_waits_for_a_home_that_does_not_know_the_address_yet(pair: Pair) -> None:
    domain = pair.domain("early")
    email = f"info@{domain}"
    pair.add(f"another@{domain}")
    with away(pair.first):
        pair.panel.call("add-user", email=email, password=OLD)
        eventually(lambda: pair.second.rcpt(email) == 250)
        pair.mail(pair.second, email)
        eventually(lambda: f"to=<{email}>" in pair.second.log and "dsn=4.1.1" in pair.second.log)
    eventually(lambda: pair.first.signs_in(email))
    eventually(lambda: len(pair.first.messages(email)) == 1)
    assert "status=bounced" not in pair.second.log


@takes_long
def test_mail_waits_for_another_home_when_one_is_lost(pair: Pair) -> None:
    pair.panel.call("add-node", name="stolen")
    pair.panel.call("update-node", name="stolen", host="stolen.example.net")
    domain = pair.domain("lost", home="stolen")
    email = pair.add(f"info@{domain}")
    pair.panel.call("lose-node", name="stolen")
    eventually(lambda: pair.second.way_of(domain).startswith("retry:"))
    pair.mail(pair.second, email)
    eventually(lambda: "the home of this domain is lost" in pair.second.log)
    pair.place(domain, "mpi02")
    eventually(lambda: pair.second.signs_in(email))
    eventually(lambda: len(pair.second.messages(email)) == 1)
