"""Telling customers by mail that their domain's mail began to work, stopped, or works again.

Only a change is told, and only once it has lasted: a name server that is away for a moment is no
news. Without a mail server to send by, nothing counts as told, and the pages show the same.
"""

from __future__ import annotations

from .extensions import db, settings
from .mailing import can_mail
from .operations import domain_news
from .operations.domain_news import News
from .outbox import put

_SUBJECTS = {
    "ready": "mail is set up",
    "receiving": "mail arrives",
    "attention": "its mail needs attention",
    "blocked": "mail is being lost",
}
_SENTENCES = {
    "ready": "All the records that mail needs are in the DNS.",
    "receiving": "Mail for the domain arrives. Other records are still missing: without them, what "
    "is sent from it may be taken for spam.",
    "attention": "A record that was in the DNS is gone, or another stands in its place. Mail is "
    "still accepted here, but senders may no longer find their way.",
    "blocked": "A record that mail needs has been gone for three days. Mail to or from the domain "
    "goes elsewhere, is returned or taken for spam.",
}


def write_what_is_new() -> None:
    """Have a mail sent of what nobody has been told yet. Raises Busy."""
    if not can_mail():
        return
    with domain_news.claimed() as claimed:
        for news in claimed:
            put(db.session(), *_message(news), news.recipients)


def _message(news: News) -> tuple[str, str]:
    """Subject and text of a mail about one domain, to the people of its project."""
    address = f"{settings.public_url}/domains/{news.domain}?project={news.project_id}"
    lines = [
        f"{news.shown_as}: {_SENTENCES[news.state]}",
        *(f"- {sentence}" for sentence in news.wrong),
        f"What is expected and what was found:\n{address}",
    ]
    text = "\n\n".join(lines) + "\n"
    return f"{news.shown_as}: {_SUBJECTS[news.state]}", text
