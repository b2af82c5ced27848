"""Sending a notice by mail to people of the panel, through the server that MAILCOTE_SMTP_URL names.

Nothing of it is secret. Whatever goes wrong is left in the log; the pages show the same.
"""

from __future__ import annotations

import logging
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from http.client import HTTPException
from typing import Any
from urllib.parse import unquote, urlsplit

from .config import is_loopback
from .extensions import settings

log = logging.getLogger(__name__)

SMTP_SECONDS = 20


def can_mail() -> bool:
    """Whether there is a server to send by, and an address to send from."""
    return bool(settings.smtp_url and settings.mail_from)


def notice(subject: str, text: str, recipients: Sequence[str], *, number: str = "") -> EmailMessage:
    """A mail to which no answer is expected (RFC 3834, section 5).

    One with a number keeps its Message-ID when it is sent again, so that mail programs see it once.
    """
    message = EmailMessage()
    message["Subject"] = f"[Mailcote] {subject}"
    message["From"] = settings.mail_from
    message["To"] = ", ".join(recipients)
    message["Date"] = formatdate()
    domain = settings.mail_from.rpartition("@")[2]
    message["Message-ID"] = f"<{number}@{domain}>" if number else make_msgid(domain=domain)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message


def attempt(what: str, way: str, work: Callable[[], None]) -> bool:
    """Send, and say whether that went well; whoever cannot be reached must not keep others from
    being told."""
    try:
        work()
    except (OSError, smtplib.SMTPException, HTTPException, ValueError) as error:
        # Not its text: a server's answer may repeat what it was sent.
        log.warning("%s could not be sent by %s: %s", what, way, type(error).__name__)
        return False
    return True


def send(message: EmailMessage) -> None:
    """Hand a mail to the server. Raises OSError, SMTPException."""
    url = urlsplit(settings.smtp_url)
    host = url.hostname or ""
    context = ssl.create_default_context()
    if url.scheme == "smtps":
        server: smtplib.SMTP = _PromptByTls(
            host, url.port or 465, timeout=SMTP_SECONDS, context=context
        )
    else:
        port = url.port or (587 if url.username else 25)
        server = _Prompt(host, port, timeout=SMTP_SECONDS)
    with at_most(SMTP_SECONDS, lambda: server.sock), server:
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


@contextmanager
def at_most(seconds: float, find: Callable[[], socket.socket | None]) -> Iterator[None]:
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


class _Prompt(smtplib.SMTP):
    """A server that has to greet in time: its greeting is read while the object is made."""

    def connect(self, *where: Any, **more: Any) -> tuple[int, bytes]:
        """Connect, and read the greeting. Raises OSError, SMTPException."""
        with at_most(SMTP_SECONDS, lambda: self.sock):
            return super().connect(*where, **more)


class _PromptByTls(_Prompt, smtplib.SMTP_SSL):
    """The same, by TLS from the beginning."""
