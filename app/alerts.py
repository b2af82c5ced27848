"""Telling people and programs what happened to nodes: a mail to the admins, a POST to a webhook.

Nothing of it is secret: the name of a node, what happened, and where to look. Whatever goes wrong
is left in the log; the pages show the same.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from email.message import EmailMessage
from functools import partial
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import urlsplit

from .extensions import settings
from .mailing import at_most, attempt, can_mail, notice, send
from .operations import alerts
from .operations.alerts import Alert

log = logging.getLogger(__name__)

WEBHOOK_SECONDS = 5
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
    if not can_mail() and not settings.alert_webhook:
        return
    news = alerts.claim()
    if not news:
        return
    if can_mail() and (recipients := alerts.admins()):
        attempt("an alert", "mail", partial(send, message_of(news, recipients)))
    if settings.alert_webhook:
        for alert in news:
            attempt("an alert", "webhook", partial(_post, settings.alert_webhook, alert))


def message_of(news: Sequence[Alert], recipients: Sequence[str]) -> EmailMessage:
    """One mail of all that happened."""
    nodes = {alert.node for alert in news}
    is_one = len(news) == 1
    said = f"{news[0].node} {_SUBJECTS[news[0].event]}" if is_one else f"News of {len(nodes)} nodes"
    lines = [
        f"{alert.node} {_SENTENCES[alert.event]}\n{settings.public_url}/admin/nodes/{alert.node}\n"
        for alert in news
    ]
    return notice(said, "\n".join(lines), recipients)


def _post(address: str, alert: Alert) -> None:
    """Tell a webhook. An answer that points elsewhere is not followed."""
    url = urlsplit(address)
    make = HTTPSConnection if url.scheme == "https" else HTTPConnection
    connection = make(url.hostname or "", url.port, timeout=WEBHOOK_SECONDS)
    body = json.dumps(vars(alert))
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    try:
        with at_most(WEBHOOK_SECONDS, lambda: connection.sock):
            connection.request("POST", target, body, {"Content-Type": "application/json"})
            status = connection.getresponse().status
    finally:
        connection.close()
    if status >= 300:
        log.warning("the webhook for alerts answered %d", status)
