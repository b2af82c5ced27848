"""The main job, on real parts: what is done through the JSON API holds at a real Dovecot.

A real server, the agent asking now and then, and a private Dovecot; nothing is stood in for. How
it is with long-poll and Postfix, `test_live.py` tells.
"""

from __future__ import annotations

import imaplib
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from app.demo.dovecot import PrivateDovecot, missing_packages
from tests.node.clients import imap_login, is_ended, lmtp_deliver
from tests.node.served_panel import ServedPanel
from tests.processes import eventually, is_listening, process

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        bool(missing_packages()),
        reason=f"NOT TESTED on a real Dovecot: apt-get install {' '.join(missing_packages())}",
    ),
]

OLD, NEW = "an old pass phrase", "a new pass phrase"
AGENT = Path(__file__).parents[2] / "app" / "agent.py"


@dataclass
class World:
    """A panel and its node."""

    panel: ServedPanel
    dovecot: PrivateDovecot

    def call(self, endpoint: str, **fields: Any) -> dict[str, Any]:
        """Call an operation, which has to succeed; its data."""
        return self.panel.call(endpoint, **fields)

    def make(self, email: str, **fields: Any) -> None:
        """Make a mailbox and wait until it signs in."""
        self.call("add-user", email=email, password=OLD, **fields)
        eventually(lambda: self.signs_in(email))

    def signs_in(self, email: str, password: str = OLD) -> bool:
        """Whether IMAP lets somebody in."""
        try:
            imap_login(self.dovecot.imap_port, email, password).logout()
        except imaplib.IMAP4.error as refusal:
            # A mailbox that goes between the password's look-up and the user's is no clear answer.
            return "UNAVAILABLE" in str(refusal) and self.signs_in(email, password)
        return True

    def receives(self, email: str) -> int:
        """The LMTP reply code to a message for somebody."""
        return lmtp_deliver(self.dovecot.lmtp_port, email).code

    def messages(self, email: str) -> int:
        """How many messages are in somebody's inbox."""
        with imap(self, email) as session:
            return int(session.select("INBOX")[1][0] or b"0")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Everything running, and bakery.nl with e-mail on."""
    folder = tmp_path_factory.mktemp("proof")
    with ExitStack() as running:
        panel = ServedPanel(folder / "panel")
        running.callback(panel.stop)
        panel.start()
        key = folder / "sync.key"
        key.touch(mode=0o600)
        added = panel.call("add-node", name="mpi01", ip_address="127.0.0.1")
        key.write_text(added["node"]["sync_key"])
        state = Path(running.enter_context(TemporaryDirectory(prefix="proof.")))
        dovecot = running.enter_context(PrivateDovecot.temporary(state / "users.db"))
        agent = [
            *(sys.executable, str(AGENT), "run", "--panel", panel.address),
            *("--key-file", str(key), "--state", str(state), "--doveadm", dovecot.doveadm),
            *("--wait", "0", "--interval", "0.2"),
        ]
        running.enter_context(process(agent, os.environ))
        panel.call("add-domain", domain="bakery.nl", project_id=int(panel.project))
        panel.call("enable-email", domain="bakery.nl")
        yield World(panel, dovecot)


def test_a_new_mailbox_signs_in_and_sees_its_quota(world: World) -> None:
    world.make("info@bakery.nl", quota_mb=7)
    with imap(world, "info@bakery.nl") as session:
        answer = session.getquotaroot("INBOX")
    assert "STORAGE 0 7168" in str(answer)  # KiB, RFC 9208 section 5.1


def test_a_new_password_replaces_the_old_one_and_ends_sessions(world: World) -> None:
    world.make("anna@bakery.nl")
    session = imap_login(world.dovecot.imap_port, "anna@bakery.nl", OLD)
    world.call("update-password", email="anna@bakery.nl", password=NEW)
    eventually(lambda: world.signs_in("anna@bakery.nl", NEW))
    assert not world.signs_in("anna@bakery.nl", OLD)
    eventually(lambda: is_ended(session))


def test_who_may_not_sign_in_still_receives(world: World) -> None:
    world.make("orders@bakery.nl")
    world.call("update-user", email="orders@bakery.nl", can_login=False)
    eventually(lambda: not world.signs_in("orders@bakery.nl"))
    assert world.receives("orders@bakery.nl") == 250


def test_who_may_not_receive_still_signs_in(world: World) -> None:
    world.make("jobs@bakery.nl")
    world.call("update-user", email="jobs@bakery.nl", can_receive=False)
    eventually(lambda: world.receives("jobs@bakery.nl") == 550)
    assert world.signs_in("jobs@bakery.nl")


def test_a_removed_mailbox_is_refused_and_comes_back_with_its_mail(world: World) -> None:
    world.make("bram@bakery.nl")
    assert world.receives("bram@bakery.nl") == 250
    world.call("remove-user", email="bram@bakery.nl")
    eventually(lambda: not world.signs_in("bram@bakery.nl"))
    assert world.receives("bram@bakery.nl") == 550
    world.call("restore-user", email="bram@bakery.nl")
    eventually(lambda: world.signs_in("bram@bakery.nl"))
    assert world.messages("bram@bakery.nl") == 1


def test_who_gets_the_address_later_does_not_see_the_mail(world: World) -> None:
    world.make("press@bakery.nl")
    assert world.receives("press@bakery.nl") == 250
    assert world.messages("press@bakery.nl") == 1
    world.call("remove-user", email="press@bakery.nl", hard_delete=True)
    eventually(lambda: not world.signs_in("press@bakery.nl"))
    world.make("press@bakery.nl")
    assert world.messages("press@bakery.nl") == 0


def test_a_change_is_seen_to_be_live(world: World) -> None:
    sync = world.call("add-user", email="live@bakery.nl", password=OLD)["user"]["sync"]
    assert sync["nodes"] == 1

    def is_live() -> bool:
        again = world.call("restore-user", email="live@bakery.nl")["user"]["sync"]
        return bool(again["nodes_applied"] == 1 and again["revision"] >= sync["revision"])

    eventually(is_live)


def test_mail_goes_on_when_the_panel_is_gone(world: World) -> None:
    world.make("steady@bakery.nl")
    world.panel.stop()
    assert not is_listening(world.panel.port)
    assert world.signs_in("steady@bakery.nl")
    assert world.receives("steady@bakery.nl") == 250
    assert world.messages("steady@bakery.nl") == 1
    world.panel.start()
    world.make("after@bakery.nl")


@contextmanager
def imap(world: World, email: str) -> Iterator[imaplib.IMAP4]:
    """A session of somebody with the old password, signed out in the end."""
    session = imap_login(world.dovecot.imap_port, email, OLD)
    try:
        yield session
    finally:
        session.logout()
