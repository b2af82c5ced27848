"""Many senders at once, or one after the other: nobody waits for those who came before."""

from __future__ import annotations

import os
import smtplib
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from tests.agent.fake_panel import user
from tests.node import mail_server
from tests.node.clients import TIMEOUT
from tests.node.published import PublishedServer

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        bool(mail_server.lacking()) or os.geteuid() != 0,
        reason="NOT TESTED on a real Postfix: be root, and apt-get install postfix postfix-cdb",
    ),
]

PORTS_OF_POSTFIX = 3
PROCESSES = 100  # of each: https://www.postfix.org/postconf.5.html#default_process_limit
ASKED = b"request=smtpd_access_policy\nrecipient=info@example.nl\nsize=0\n\n"


@pytest.fixture(scope="module")
def server() -> Iterator[PublishedServer]:
    with PublishedServer.temporary() as server, server.postfix():
        server.publish([user("info@example.nl")])
        yield server


def test_all_of_postfix_can_ask_whether_a_mailbox_is_full(server: PublishedServer) -> None:
    with ExitStack() as connected:
        for _ in range(PORTS_OF_POSTFIX * PROCESSES):
            client = connected.enter_context(closing(socket.socket(socket.AF_UNIX)))
            client.settimeout(TIMEOUT)
            client.connect(server.socket("quota-status"))
            client.sendall(ASKED)
            assert client.recv(100) == b"action=DUNNO\n\n"
    assert "process_limit" not in server.log


def test_who_only_asks_for_addresses_makes_nobody_wait(server: PublishedServer) -> None:
    took = [_seconds_of_an_accepted_recipient(server) for _ in range(PROCESSES + 10)]
    # Postfix would sleep for a second each time, so the quickest tells it from a busy computer.
    assert min(took[PROCESSES:]) < 1
    assert "problem talking to server" not in server.log


def _seconds_of_an_accepted_recipient(server: PublishedServer) -> float:
    """On a connection of its own that ends without a message, as of one that checks senders."""
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=TIMEOUT) as client:
        client.ehlo("elsewhere.test")
        client.mail("charlie@elsewhere.test")
        begun = time.monotonic()
        assert client.rcpt("info@example.nl")[0] == 250
        return time.monotonic() - begun
