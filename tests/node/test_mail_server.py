"""A node as the installer sets it up: its Dovecot and its Postfix, spoken to from outside."""

from __future__ import annotations

import hashlib
import imaplib
import os
import poplib
import smtplib
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import bcrypt
import pytest

from app.demo.dovecot import missing_packages
from tests.agent.fake_panel import user
from tests.node import mail_server
from tests.node.clients import MAIL, TIMEOUT, Reply
from tests.node.published import PublishedServer
from tests.processes import eventually

NEEDED = missing_packages()
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        bool(NEEDED), reason=f"NOT TESTED on a real Dovecot: apt-get install {' '.join(NEEDED)}"
    ),
]
with_postfix = pytest.mark.skipif(
    bool(mail_server.lacking()) or os.geteuid() != 0,
    reason="NOT TESTED on a real Postfix: be root, and apt-get install postfix postfix-cdb",
)

PASSWORD = "correct horse battery staple"
# PHP's prefix for the same hash, as the panel publishes it; cost 4 because tests are many.
HASH = "{BLF-CRYPT}" + bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode().replace(
    "$2b$", "$2y$", 1
)
BIG = MAIL + ("x" * 70 + "\r\n") * 10_000

BOXES: dict[str, dict[str, Any]] = {
    "first": {},
    "by-id": {},
    "info": {},
    "anna": {},
    "full": {"quota_mb": 1},
    "roomy": {"quota_mb": 7},
    "small": {"quota_mb": 1},
    "no-login": {"login": False},
    "no-delivery": {"deliver": False},
    "neither": {"login": False, "deliver": False},
    "told": {},
    "tagged": {},
    "read": {},
}
ALIASES = [{"address": "sales@example.nl", "goto": ["anna@example.nl", "info@example.nl"]}]


def boxes(**changes: dict[str, Any]) -> list[dict[str, Any]]:
    """The mailboxes of these tests, some of them changed."""
    return [
        user(f"{name}@example.nl", **{"password": HASH, **fields, **changes.get(name, {})})
        for name, fields in BOXES.items()
    ]


@pytest.fixture(scope="module")
def server() -> Iterator[PublishedServer]:
    with PublishedServer.temporary() as server:
        server.publish(boxes(), ALIASES)
        yield server


@pytest.fixture(scope="module")
def postfix(server: PublishedServer) -> Iterator[PublishedServer]:
    with server.postfix():
        yield server


def trust(server: PublishedServer) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(server.root / "etc/tls.crt"))


def imap(server: PublishedServer, name: str, password: str = PASSWORD) -> imaplib.IMAP4_SSL:
    client = imaplib.IMAP4_SSL(
        "localhost", server.ports["imaps"], ssl_context=trust(server), timeout=TIMEOUT
    )
    try:
        client.login(f"{name}@example.nl", password)
    except BaseException:
        client.shutdown()
        raise
    return client


def messages(server: PublishedServer, name: str) -> int:
    with imap(server, name) as client:
        return int(client.select(readonly=True)[1][0] or b"")


def deliver(server: PublishedServer, name: str, message: str = MAIL) -> int:
    path = server.socket("dovecot-lmtp")
    with smtplib.LMTP(path, local_hostname="localhost") as client:
        client.ehlo()
        client.mail("charlie@elsewhere.test")
        code, _ = client.rcpt(f"{name}@example.nl")
        return client.data(message)[0] if code == 250 else code


def test_it_works(server: PublishedServer) -> None:
    assert deliver(server, "first") == 250
    assert messages(server, "first") == 1


class FromElsewhere(imaplib.IMAP4):
    """From another address than the server's, which Dovecot would take for this computer's own."""

    def _create_socket(self, timeout: float | None = None) -> socket.socket:
        place = ("127.0.0.1", self.port)
        return socket.create_connection(place, timeout, source_address=("127.0.0.2", 0))


def test_starttls_comes_before_the_password(server: PublishedServer) -> None:
    with FromElsewhere("localhost", server.ports["imap"], timeout=TIMEOUT) as client:
        assert "LOGINDISABLED" in client.capabilities
        with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
            client.login("info@example.nl", PASSWORD)
        client.starttls(trust(server))
        client.login("info@example.nl", PASSWORD)


def test_pop3_reads_the_same_mailbox(server: PublishedServer) -> None:
    assert deliver(server, "anna") == 250
    client = poplib.POP3_SSL(
        "localhost", server.ports["pop3s"], context=trust(server), timeout=TIMEOUT
    )
    with closing(client):
        client.user("anna@example.nl")
        client.pass_(PASSWORD)
        assert client.stat()[0] >= 1
        client.quit()
    eventually(lambda: "last-login/pop3" in server.told("logins", "anna@example.nl"))


def test_it_rejects_a_wrong_password_and_a_stranger(server: PublishedServer) -> None:
    for name, password in (("info", "not this one"), ("stranger", PASSWORD)):
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            imap(server, name, password)
        assert mail_server.auth(server.socket("auth"), f"{name}@example.nl", password) == "FAIL"
    assert deliver(server, "stranger") == 550


@pytest.mark.parametrize(
    ("name", "may_login", "may_receive"),
    [
        ("info", True, True),
        ("no-login", False, True),
        ("no-delivery", True, False),
        ("neither", False, False),
    ],
)
def test_the_flags_decide(
    server: PublishedServer, name: str, may_login: bool, may_receive: bool
) -> None:
    answer = mail_server.auth(server.socket("auth"), f"{name}@example.nl", PASSWORD)
    assert answer == ("OK" if may_login else "FAIL")
    assert deliver(server, name) == (250 if may_receive else 550)
    if may_login:
        assert (messages(server, name) > 0) is may_receive
    else:
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            imap(server, name)


def test_mail_lives_under_the_id(server: PublishedServer) -> None:
    deliver(server, "by-id+shop")
    assert messages(server, "by-id") == 1
    mailbox = hashlib.md5(b"by-id@example.nl").hexdigest()
    assert (server.root / "mail" / mailbox / "Maildir").is_dir()


def test_the_quota_is_the_mailboxs_own(server: PublishedServer) -> None:
    with imap(server, "roomy") as client:
        assert client.getquotaroot("INBOX")[1][1] == [b'"User quota" (STORAGE 0 7168)']
    status = server.socket("quota-status")
    assert mail_server.policy(status, "roomy@example.nl", 1_000_000) == "DUNNO"
    assert mail_server.policy(status, "roomy+tag@example.nl", 8_000_000).startswith("552 5.2.")
    assert mail_server.policy(status, "nobody@elsewhere.test", 8_000_000) == "DUNNO"
    assert deliver(server, "roomy", BIG) == 250
    assert mail_server.policy(status, "roomy+tag@example.nl", 7_000_000).startswith("552 5.2.2 ")


def test_it_rejects_mail_for_a_full_mailbox(server: PublishedServer) -> None:
    assert deliver(server, "small", BIG) == 250
    assert deliver(server, "small", BIG) == 552
    assert messages(server, "small") == 1


def test_it_tells_the_agent_usage_and_logins(server: PublishedServer) -> None:
    assert server.told("usage", "told@example.nl") == ""
    deliver(server, "told")
    eventually(lambda: "priv/quota/messages\n1\n" in server.told("usage", "told@example.nl"))
    assert "priv/quota/storage\n" in server.told("usage", "told@example.nl")
    imap(server, "told").logout()
    eventually(lambda: "last-login/imap\n" in server.told("logins", "told@example.nl"))


def test_doveadm_finds_everybody(server: PublishedServer) -> None:
    command = [mail_server.program("doveadm"), "-c", str(server.config), "user", "*"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert set(found) == {f"{name}@example.nl" for name in BOXES} - {"neither@example.nl"}


# ── With Postfix ─────────────────────────────────────────────────────────────────────────────


def submit(server: PublishedServer, login: str, *, sender: str, to: str, port: str) -> Reply:
    """One message by a mail program; the answer is the first that refuses, else the last."""
    number = server.ports[port]
    if port == "submissions":
        client: smtplib.SMTP = smtplib.SMTP_SSL("localhost", number, context=trust(server))
    else:
        client = smtplib.SMTP("localhost", number)
    with client:
        if port == "submission":
            client.starttls(context=trust(server))
        client.ehlo("localhost")
        client.login(f"{login}@example.nl", PASSWORD)
        return envelope(client, sender, to)


def receive(server: PublishedServer, to: str, *, sender: str = "c@elsewhere.test") -> Reply:
    """One message by a stranger's mail server."""
    with smtplib.SMTP("localhost", server.ports["smtp"]) as client:
        client.ehlo("elsewhere.test")
        return envelope(client, sender, to)


def envelope(client: smtplib.SMTP, sender: str, to: str, size: int = 0) -> Reply:
    client.mail(sender, [f"SIZE={size}"] if size else [])
    code, text = client.rcpt(to)
    if code == 250:
        code, text = client.data(MAIL)
    return Reply(code, text.decode())


@with_postfix
def test_mail_by_smtp_is_read_by_imap(postfix: PublishedServer) -> None:
    before = messages(postfix, "tagged")
    assert receive(postfix, "Tagged+shop@Example.NL").code == 250
    eventually(lambda: messages(postfix, "tagged") == before + 1)


@with_postfix
def test_an_alias_reaches_all_its_members(postfix: PublishedServer) -> None:
    before = {name: messages(postfix, name) for name in ("anna", "info")}
    assert receive(postfix, "sales+x@example.nl").code == 250
    eventually(lambda: all(messages(postfix, name) == n + 1 for name, n in before.items()))


@with_postfix
def test_an_alias_for_a_whole_domain_takes_nobodys_mail(postfix: PublishedServer) -> None:
    """In Postfix's map it would go before the mailboxes of its domain; so the agent refuses it."""
    whole = {"address": "@example.nl", "goto": ["anna@example.nl"]}
    with pytest.raises(subprocess.CalledProcessError):
        postfix.publish(boxes(), [*ALIASES, whole])
    assert receive(postfix, "stranger@example.nl").code == 550
    before = {name: messages(postfix, name) for name in ("anna", "info", "tagged")}
    assert receive(postfix, "sales@example.nl").code == 250
    assert receive(postfix, "tagged@example.nl").code == 250
    eventually(lambda: all(messages(postfix, name) == n + 1 for name, n in before.items()))


@with_postfix
@pytest.mark.parametrize(
    ("to", "code"),
    [
        ("stranger@example.nl", 550),
        ("no-delivery@example.nl", 550),
        ("somebody@elsewhere.test", 554),
        ("somebody%elsewhere.test@example.nl", 554),
        ("root@[127.0.0.1]", 550),
        ("@elsewhere.test:info@example.nl", 554),
    ],
)
def test_it_rejects_a_recipient(postfix: PublishedServer, to: str, code: int) -> None:
    assert receive(postfix, to).code == code


@with_postfix
def test_it_rejects_mail_for_a_full_mailbox_at_rcpt(postfix: PublishedServer) -> None:
    deliver(postfix, "full", BIG)
    with smtplib.SMTP("localhost", postfix.ports["smtp"]) as client:
        client.ehlo("elsewhere.test")
        client.mail("c@elsewhere.test", ["SIZE=900000"])
        assert client.rcpt("full@example.nl")[0] == 552
        assert client.rcpt("full+tag@example.nl")[0] == 552
        assert client.rcpt("info@example.nl")[0] == 250
    assert receive(postfix, "full@example.nl").code == 250  # a small one still fits


@with_postfix
@pytest.mark.parametrize("port", ["submission", "submissions"])
def test_everybody_sends_as_themselves(postfix: PublishedServer, port: str) -> None:
    for sender in ("anna@example.nl", "anna+x@example.nl", "sales@example.nl"):
        sent = submit(postfix, "anna", sender=sender, to="info@example.nl", port=port)
        assert sent.code == 250, sent
    for sender in ("info@example.nl", "anna@elsewhere.test"):
        assert submit(postfix, "anna", sender=sender, to="info@example.nl", port=port).code == 553
    assert (
        submit(postfix, "told", sender="sales@example.nl", to="info@example.nl", port=port)[0]
        == 553
    )


@with_postfix
def test_without_delivery_it_can_still_send(postfix: PublishedServer) -> None:
    name, to = "no-delivery", "info@example.nl"
    sent = submit(postfix, name, sender=f"{name}@example.nl", to=to, port="submissions")
    assert sent.code == 250


@with_postfix
@pytest.mark.parametrize("port", ["submission", "submissions"])
def test_it_rejects_a_sender_who_may_not_log_in(postfix: PublishedServer, port: str) -> None:
    with pytest.raises(smtplib.SMTPAuthenticationError):
        sender = "no-login@example.nl"
        submit(postfix, "no-login", sender=sender, to="info@example.nl", port=port)


@with_postfix
def test_nobody_submits_without_tls_or_password(postfix: PublishedServer) -> None:
    with smtplib.SMTP("localhost", postfix.ports["submission"]) as client:
        client.ehlo("localhost")
        assert client.mail("anna@example.nl")[0] == 530
        client.starttls(context=trust(postfix))
        client.ehlo("localhost")
        assert envelope(client, "anna@example.nl", "info@example.nl").code == 554


@with_postfix
def test_port_25_takes_no_passwords(postfix: PublishedServer) -> None:
    with smtplib.SMTP("localhost", postfix.ports["smtp"]) as client:
        client.starttls(context=trust(postfix))
        client.ehlo("localhost")
        assert not client.has_extn("auth")
        assert client.docmd("AUTH", "PLAIN AAAA")[0] == 503


@with_postfix
def test_a_mailbox_that_goes_is_refused_at_once(postfix: PublishedServer) -> None:
    assert receive(postfix, "read@example.nl").code == 250
    postfix.publish([box for box in boxes() if box["email"] != "read@example.nl"], ALIASES)
    eventually(lambda: receive(postfix, "read@example.nl").code == 550)
    postfix.publish(boxes(), ALIASES)
    eventually(lambda: receive(postfix, "read@example.nl").code == 250)
