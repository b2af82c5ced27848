"""Telling people and programs what happened to nodes: a mail to the admins, a POST to a webhook.

Nothing of it is secret: the name of a node, what happened, and where to look. Whatever goes wrong
is left in the log; the pages show the same.
"""

from __future__ import annotations

import json
import logging
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import unquote, urlsplit

from .config import is_loopback
from .extensions import settings
from .operations import alerts
from .operations.alerts import Alert

log = logging.getLogger(__name__)

WEBHOOK_SECONDS, SMTP_SECONDS = 5, 20
_SUBJECTS = {
    "down": "is down",
    "back": "is back",
    "drift": "has drifted",
    "trouble": "reports trouble",
}
_SENTENCES = {
    "down": "has not been heard of for more than 10 minutes. It goes on serving mail with what it "
    "knows; changes do not reach it.",
    "back": "is in touch again.",
    "drift": "holds something else than the panel at the same revision.",
    "trouble": "reports trouble.",
}


def send_what_is_new() -> None:
    """Tell what nobody has been told yet, once whichever process looks. Raises Busy."""
    if not _can_mail() and not settings.alert_webhook:
        return
    news = alerts.claim()
    if not news:
        return
    if _can_mail() and (recipients := alerts.admins()):
        _try("mail", partial(_mail, message_of(news, recipients)))
    if settings.alert_webhook:
        for alert in news:
            _try("webhook", partial(_post, settings.alert_webhook, alert))


def message_of(news: Sequence[Alert], recipients: Sequence[str]) -> EmailMessage:
    """One mail of all that happened; no answer to it is expected (RFC 3834, section 5)."""
    nodes = {alert.node for alert in news}
    message = EmailMessage()
    is_one = len(news) == 1
    said = f"{news[0].node} {_SUBJECTS[news[0].event]}" if is_one else f"News of {len(nodes)} nodes"
    message["Subject"] = f"[Mailcote] {said}"
    message["From"] = settings.mail_from
    message["To"] = ", ".join(recipients)
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=settings.mail_from.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    lines = [
        f"{alert.node} {_SENTENCES[alert.event]}\n{settings.public_url}/admin/nodes/{alert.node}\n"
        for alert in news
    ]
    message.set_content("\n".join(lines))
    return message


def _can_mail() -> bool:
    return bool(settings.smtp_url and settings.mail_from)


def _try(way: str, send: Callable[[], None]) -> None:
    """Send; whoever cannot be reached must not keep the other from being told."""
    try:
        send()
    except (OSError, smtplib.SMTPException, HTTPException, ValueError) as error:
        # Not its text: a server's answer may repeat what it was sent.
        log.warning("an alert could not be sent by %s: %s", way, type(error).__name__)


def _mail(message: EmailMessage) -> None:
    url = urlsplit(settings.smtp_url)
    host = url.hostname or ""
    context = ssl.create_default_context()
    if url.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            host, url.port or 465, timeout=SMTP_SECONDS, context=context
        )
    else:
        port = url.port or (587 if url.username else 25)
        server = smtplib.SMTP(host, port, timeout=SMTP_SECONDS)
    with _at_most(SMTP_SECONDS, lambda: server.sock), server:
        server.ehlo_or_helo_if_needed()
        is_private = is_loopback(host) or url.scheme == "smtps"
        if not is_private and server.has_extn("starttls"):
            server.starttls(context=context)
            is_private = True
        if url.username:
            if not is_private:
                raise smtplib.SMTPException("no password goes over an open line")
            server.login(unquote(url.username), unquote(url.password or ""))
        server.send_message(message)


def _post(address: str, alert: Alert) -> None:
    """Tell a webhook. An answer that points elsewhere is not followed."""
    url = urlsplit(address)
    make = HTTPSConnection if url.scheme == "https" else HTTPConnection
    connection = make(url.hostname or "", url.port, timeout=WEBHOOK_SECONDS)
    body = json.dumps(vars(alert))
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    try:
        with _at_most(WEBHOOK_SECONDS, lambda: connection.sock):
            connection.request("POST", target, body, {"Content-Type": "application/json"})
            status = connection.getresponse().status
    finally:
        connection.close()
    if status >= 300:
        log.warning("the webhook for alerts answered %d", status)


@contextmanager
def _at_most(seconds: float, find: Callable[[], socket.socket | None]) -> Iterator[None]:
    """Cut the line after so long: a timeout alone begins anew with every byte that drips in."""

    def cut() -> None:
        if line := find():
            with suppress(OSError):  # it is closed already
                line.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
