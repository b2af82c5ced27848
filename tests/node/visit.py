"""A visit to a node by its public ports: `python -m tests.node.visit CERTIFICATE PASSWORD`.

It has the mailbox info@example.nl, and no others but no-login@example.nl. What was answered is
printed as JSON, so that this can run on another network than the test.
"""

from __future__ import annotations

import imaplib
import json
import smtplib
import ssl
import sys
from typing import Any

from tests.processes import eventually, is_listening

PORTS = (25, 143, 465, 587, 993, 995)
MAIL = "From: charlie@elsewhere.test\r\nSubject: Hello\r\n\r\nHello.\r\n"
# The node trusts 127.0.0.1, which is itself. This is not.
STRANGER = ("127.0.0.2", 0)


def main() -> None:
    certificate, password = sys.argv[1:]
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    eventually(lambda: all(map(is_listening, PORTS)))
    answers: dict[str, Any] = {
        name: receive(f"{name}@{domain}")
        for name, domain in {
            "info": "example.nl",
            "info+tag": "example.nl",
            "nobody": "example.nl",
            "relay": "elsewhere.test",
        }.items()
    }
    answers["open"] = [port for port in (110, 2525, *PORTS) if is_listening(port)]
    for name in ("info", "someone-else"):
        answers[f"as {name}"] = send(context, password, f"{name}@example.nl")
    with imaplib.IMAP4_SSL("127.0.0.1", 993, ssl_context=context) as client:
        client.login("info@example.nl", password)

        def arrived() -> int:
            client.noop()
            return int(client.select("INBOX", readonly=True)[1][0] or b"")

        eventually(lambda: arrived() == 3)
        answers["messages"] = arrived()
        answers["quota"] = client.getquotaroot("INBOX")[1][1][0].decode()
    answers["login refused"] = is_refused(context, password)
    print(json.dumps(answers))


def receive(to: str) -> int:
    """The code for a message from a stranger."""
    with smtplib.SMTP("127.0.0.1", 25, source_address=STRANGER) as client:
        client.ehlo("elsewhere.test")
        client.mail("charlie@elsewhere.test")
        code, _ = client.rcpt(to)
        return client.data(MAIL)[0] if code == 250 else code


def send(context: ssl.SSLContext, password: str, sender: str) -> int:
    """The code for a message from a mail program."""
    with smtplib.SMTP_SSL("127.0.0.1", 465, context=context) as client:
        client.login("info@example.nl", password)
        client.mail(sender)
        code, _ = client.rcpt("info@example.nl")
        return client.data(MAIL)[0] if code == 250 else code


def is_refused(context: ssl.SSLContext, password: str) -> bool:
    """Whether no-login@ gets neither IMAP nor SMTP."""
    with imaplib.IMAP4_SSL("127.0.0.1", 993, ssl_context=context) as client:
        try:
            client.login("no-login@example.nl", password)
        except imaplib.IMAP4.error:
            pass
        else:
            return False
    with smtplib.SMTP_SSL("127.0.0.1", 465, context=context) as sender:
        try:
            sender.login("no-login@example.nl", password)
        except smtplib.SMTPAuthenticationError:
            return True
    return False


if __name__ == "__main__":
    main()
