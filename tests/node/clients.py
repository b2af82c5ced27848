"""What a mail program and a mail server say to a node: one login, one delivery."""

from __future__ import annotations

import imaplib
import smtplib
from typing import NamedTuple

# Generous: a loaded computer is slow, not wrong.
TIMEOUT = 30
MAIL = "From: charlie@elsewhere.test\r\nSubject: Hello\r\n\r\nHello.\r\n"


class Reply(NamedTuple):
    """A status code of RFC 5321, section 4.2, and what was said with it."""

    code: int
    text: str


def imap_login(port: int, email: str, password: str) -> imaplib.IMAP4:
    """A session that is logged in; a refusal raises `imaplib.IMAP4.error` with the answer."""
    client = imaplib.IMAP4("127.0.0.1", port, timeout=TIMEOUT)
    try:
        client.login(email, password)
    except BaseException:
        client.shutdown()
        raise
    return client


def lmtp_deliver(port: int, recipient: str, message: str = MAIL) -> Reply:
    """Hand over one message; the answer is the one to RCPT when that refuses, else the last."""
    with smtplib.LMTP("127.0.0.1", port, local_hostname="localhost", timeout=TIMEOUT) as client:
        client.ehlo_or_helo_if_needed()
        client.mail("charlie@elsewhere.test")
        code, text = client.rcpt(recipient)
        if code == 250:
            code, text = client.data(message)
        return Reply(code, text.decode())


def is_ended(session: imaplib.IMAP4) -> bool:
    """Whether the server has closed a session."""
    try:
        session.noop()
    except (imaplib.IMAP4.abort, OSError):
        session.shutdown()
        return True
    return False
