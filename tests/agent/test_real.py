"""The agent and a real Dovecot: sessions end when they must, of whatever protocol."""

from __future__ import annotations

import imaplib
import poplib
from collections.abc import Iterator
from functools import partial

import bcrypt
import pytest

from app.demo.dovecot import PrivateDovecot, missing_packages
from tests.node.clients import TIMEOUT, imap_login, lmtp_deliver

from .fake_panel import FakePanel, export, user
from .mail_node import Node, until

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        bool(missing_packages()),
        reason=f"NO DOVECOT HERE: sudo apt install {' '.join(missing_packages())}",
    ),
]

PASSWORD = "a long pass phrase"
HASH = "{BLF-CRYPT}" + bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4, b"2a")).decode()


@pytest.fixture
def dovecot(node: Node, panel: FakePanel) -> Iterator[PrivateDovecot]:
    node.folder.chmod(0o755)
    with PrivateDovecot.temporary(node.database) as result:
        yield result


def pop3(dovecot: PrivateDovecot, email: str) -> poplib.POP3:
    client = poplib.POP3("127.0.0.1", dovecot.pop3_port, timeout=TIMEOUT)
    client.user(email)
    client.pass_(PASSWORD)
    return client


def is_over(client: imaplib.IMAP4 | poplib.POP3) -> bool:
    try:
        client.noop()
    except (imaplib.IMAP4.error, poplib.error_proto, OSError):
        return True
    return False


def test_it_works(node: Node, panel: FakePanel, dovecot: PrivateDovecot) -> None:
    """One may not sign in any more, one is gone, one stays; mail of all goes on as it should."""
    doveadm = ("--doveadm", dovecot.doveadm)
    locked, gone, stays = (user(f"{name}@example.nl", password=HASH) for name in "lgs")
    panel.publish(export([locked, gone, stays], revision=1))
    assert node.once(*doveadm).code == 0
    mail_programs: list[imaplib.IMAP4 | poplib.POP3] = [
        pop3(dovecot, "l@example.nl"),
        imap_login(dovecot.imap_port, "l@example.nl", PASSWORD),
        imap_login(dovecot.imap_port, "g@example.nl", PASSWORD),
    ]
    kept = imap_login(dovecot.imap_port, "s@example.nl", PASSWORD)
    panel.publish(export([{**locked, "login": False}, stays], revision=2))
    result = node.once(*doveadm)
    assert (result.code, "could not end" in result.out) == (0, False)
    for client in mail_programs:
        until(partial(is_over, client))
        client.close() if isinstance(client, poplib.POP3) else client.shutdown()
    assert kept.noop()[0] == "OK"
    kept.logout()
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        imap_login(dovecot.imap_port, "l@example.nl", PASSWORD)
    assert lmtp_deliver(dovecot.lmtp_port, "l@example.nl").code == 250
    assert lmtp_deliver(dovecot.lmtp_port, "g@example.nl").code == 550


def test_mail_that_is_purged_does_not_come_back(
    node: Node, panel: FakePanel, dovecot: PrivateDovecot
) -> None:
    box = user("info@example.nl", password=HASH)
    rest = ("--doveadm", dovecot.doveadm, "--mail", str(dovecot.mail))
    panel.publish(export([box], revision=1))
    node.once(*rest)
    assert lmtp_deliver(dovecot.lmtp_port, "info@example.nl").code == 250
    session = imap_login(dovecot.imap_port, "info@example.nl", PASSWORD)
    panel.publish(export([], revision=2, purge=[box["id"]]))
    assert node.once(*rest).code == 0
    until(partial(is_over, session))
    session.shutdown()
    assert sorted(path.name for path in dovecot.mail.iterdir()) == [".purged"]
    assert panel.reports[-1]["purged"] == [box["id"]]
    again = user("info@example.nl", id="f" * 32, password=HASH)
    panel.publish(export([again], revision=3))
    node.once(*rest)
    with imap_login(dovecot.imap_port, "info@example.nl", PASSWORD) as session:
        assert session.select("INBOX")[1] == [b"0"]
