"""Mails to people of the panel that a server has yet to take.

A notice is written in the transaction that notes what it tells of, so that neither is without the
other, and is sent here, by whichever process looks first.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from email.message import EmailMessage
from functools import partial

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from . import clock
from .database import write_transaction
from .extensions import db
from .mailing import attempt, can_mail, notice, send
from .models import Notice

log = logging.getLogger(__name__)

AT_ONCE = 100  # the most that are looked at for one that is due
ROUND_SECONDS = 60  # what else has to be told waits no longer than this


def put(session: Session, subject: str, text: str, recipients: Sequence[str]) -> None:
    """Have a mail sent to each of these, within a transaction that writes."""
    session.add_all(Notice(subject=subject, text=text, recipient=one) for one in recipients)


def send_what_waits() -> None:
    """Send what is due, the oldest first. Raises Busy.

    Where one cannot be sent, the server may be away: the others are left for the next time, when
    that one is not due yet and keeps nobody waiting.
    """
    end = time.monotonic() + ROUND_SECONDS
    while can_mail() and time.monotonic() < end and (waiting := _taken()):
        if not attempt("a notice", "mail", partial(send, _message(waiting))):
            return
        with write_transaction() as session:
            session.execute(delete(Notice).where(Notice.id == waiting.id))


def _message(waiting: Notice) -> EmailMessage:
    """The same whenever it is sent, so that mail programs show it once."""
    number = f"{waiting.id}.{clock.epoch_of(waiting.at)}"
    return notice(waiting.subject, waiting.text, [waiting.recipient], number=number)


def _taken() -> Notice | None:
    """One to be sent, which nobody else gets for a while. What is too old is let go of."""
    found = db.session.scalars(_WAITING).all()
    is_any = any(one.is_due for one in found)
    db.session.rollback()
    if not is_any:
        return None
    with write_transaction() as session:
        found = session.scalars(_WAITING.with_for_update(skip_locked=True)).all()
        for old in [one for one in found if one.is_too_old]:
            log.warning("a notice could not be sent for a day, and is let go of")
            session.delete(old)
        due = next((one for one in found if one.is_due and not one.is_too_old), None)
        if due is not None:
            due.take()
            session.flush()
            session.expunge(due)
        return due


_WAITING = select(Notice).order_by(Notice.id).limit(AT_ONCE)
