"""Telling people and programs what happened to nodes: a mail to the admins, a POST to a webhook.

Nothing of it is secret: the name of a node, what happened, and where to look. What cannot be told
is tried again for a day; whatever goes wrong is left in the log, and the pages show the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from email.message import EmailMessage
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from .extensions import settings
from .mailing import at_most, attempt, can_mail, notice, send
from .models import NodeAlert
from .operations import alerts
from .operations.alerts import Way

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
    """Tell what nobody has been told yet, whichever process looks. Raises Busy."""
    ways: list[Way] = ["mail"] if can_mail() else []
    if settings.alert_webhook:
        ways.append("webhook")
    if not ways:
        return
    alerts.notice(ways)
    if "mail" in ways:
        _mail()
    if "webhook" in ways:
        _post_all()


def _mail() -> None:
    news = alerts.take("mail")
    if not news:
        return
    recipients = alerts.admins()
    if not recipients or attempt("an alert", "mail", partial(send, message_of(news, recipients))):
        alerts.told(news)


def _post_all() -> None:
    while news := alerts.take("webhook", alerts.AT_ONCE):
        for alert in news:
            if not attempt("an alert", "webhook", partial(_post, settings.alert_webhook, alert)):
                return
            alerts.told([alert])


def message_of(news: Sequence[NodeAlert], recipients: Sequence[str]) -> EmailMessage:
    """One mail of all that happened."""
    nodes = {alert.node for alert in news}
    happened = ", ".join(_SUBJECTS[alert.event] for alert in news)
    said = f"{news[0].node} {happened}" if len(nodes) == 1 else f"News of {len(nodes)} nodes"
    lines = [
        f"{alert.node} {_SENTENCES[alert.event]} ({alert.at})\n"
        f"{settings.public_url}/admin/nodes/{alert.node}\n"
        for alert in news
    ]
    return notice(said, "\n".join(lines), recipients)


def _post(address: str, alert: NodeAlert) -> None:
    """Tell a webhook; only 2xx says that it was told. An answer that points elsewhere is not
    followed. Raises OSError, HTTPException."""
    url = urlsplit(address)
    make = HTTPSConnection if url.scheme == "https" else HTTPConnection
    connection = make(url.hostname or "", url.port, timeout=WEBHOOK_SECONDS)
    body = json.dumps({name: getattr(alert, name) for name in ("event", "node", "state", "at")})
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    try:
        with at_most(WEBHOOK_SECONDS, lambda: connection.sock):
            connection.request("POST", target, body, {"Content-Type": "application/json"})
            status = connection.getresponse().status
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise HTTPException(f"the webhook for alerts answered {status}")
