"""Mails to people of the panel: to a real mail server, at least once, and never in the way."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email import message_from_string

import pytest
from flask import Flask

from app import clock
from app.database import write_transaction
from app.extensions import db
from app.models import Notice
from app.outbox import put, send_what_waits
from tests.applications import at_once
from tests.cli.mailcote import environment
from tests.conftest import ON_BOTH, Cast
from tests.outside import Outside, after, outside, settings

__all__ = ["outside", "settings"]

ANNA, BEN = "anna@people.example", "ben@people.example"


@pytest.fixture(params=ON_BOTH)
def database(request: pytest.FixtureRequest) -> str:
    """SQLite, then PostgreSQL."""
    return str(request.param)


def write(*recipients: str, subject: str = "a new sign-in") -> None:
    """A notice to each."""
    with write_transaction() as session:
        put(session, subject, "Somebody signed in.\n", recipients)


def waiting() -> list[str]:
    """Who has yet to be written to."""
    return list(db.session.scalars(db.select(Notice.recipient).order_by(Notice.id)))


def numbers(outside: Outside) -> list[str]:
    """The Message-IDs of the mails, in order."""
    return [str(message_from_string(text)["Message-ID"]) for _, text in outside.mails]


@contextmanager
def away(app: Flask) -> Iterator[None]:
    """No mail server answers."""
    present = app.extensions["mailcote"]
    app.extensions["mailcote"] = replace(present, smtp_url="smtp://user:a-secret@127.0.0.1:1")
    yield
    app.extensions["mailcote"] = present


def test_it_works(core: Cast, outside: Outside) -> None:
    write(ANNA, BEN)
    for _twice in range(2):
        send_what_waits()
    assert [to for to, _ in outside.mails] == [[ANNA], [BEN]]
    message = message_from_string(outside.mails[0][1])
    assert (message["Subject"], message["To"]) == ("[Mailcote] a new sign-in", ANNA)
    assert message["Auto-Submitted"] == "auto-generated"
    assert str(message.get_payload()).strip() == "Somebody signed in."
    assert waiting() == []


def test_it_is_told_when_the_server_is_back(
    core: Cast, app: Flask, outside: Outside, caplog: pytest.LogCaptureFixture
) -> None:
    write(ANNA)
    with away(app), caplog.at_level(logging.WARNING):
        for seconds in (0, 61, 121):
            after(seconds)
            send_what_waits()
    assert caplog.text.count("could not be sent by mail") == 3
    assert "a-secret" not in caplog.text
    for seconds in (238, 241):
        assert outside.mails == []
        after(seconds)
        send_what_waits()
    assert outside.subjects == ["[Mailcote] a new sign-in"]
    assert waiting() == []


def test_who_is_refused_keeps_nobody_waiting(core: Cast, outside: Outside) -> None:
    outside.refused = ANNA
    write(ANNA, BEN)
    for _minute in range(2):
        send_what_waits()
    assert [to for to, _ in outside.mails] == [[BEN]]
    assert waiting() == [ANNA]


def test_of_several_processes_one_sends(core: Cast, app: Flask, outside: Outside) -> None:
    write(ANNA)
    at_once(app, send_what_waits, 4)
    assert len(outside.mails) == 1


def test_what_could_not_be_told_for_a_day_is_let_go(
    core: Cast, app: Flask, outside: Outside, caplog: pytest.LogCaptureFixture
) -> None:
    write(ANNA)
    with away(app):
        send_what_waits()
    with write_transaction() as session:
        session.execute(db.update(Notice).values(at=clock.from_now(seconds=-86401)))
    after(3601)
    with caplog.at_level(logging.WARNING):
        send_what_waits()
    assert (outside.mails, waiting()) == ([], [])
    assert "could not be sent for a day" in caplog.text


def test_it_goes_with_what_it_tells_of(core: Cast, outside: Outside) -> None:
    with pytest.raises(ZeroDivisionError), write_transaction() as session:
        put(session, "a new sign-in", "Somebody signed in.\n", [ANNA])
        session.flush()
        raise ZeroDivisionError
    send_what_waits()
    assert (outside.mails, waiting()) == ([], [])


def test_without_a_server_it_waits(core: Cast, app: Flask, outside: Outside) -> None:
    present = app.extensions["mailcote"]
    app.extensions["mailcote"] = replace(present, smtp_url="")
    write(ANNA)
    send_what_waits()
    assert waiting() == [ANNA]
    app.extensions["mailcote"] = present
    send_what_waits()
    assert len(outside.mails) == 1


SENDER = "from app import create_app\nfrom app.outbox import send_what_waits as send\n"


@pytest.mark.real
def test_a_process_that_is_killed_while_it_sends_loses_nothing(
    core: Cast, app: Flask, outside: Outside
) -> None:
    """Killed once the server has the whole mail. It comes again as the same, shown once."""
    write(ANNA, BEN)
    present = app.extensions["mailcote"]
    variables = environment(
        present, MAILCOTE_SMTP_URL=present.smtp_url, MAILCOTE_MAIL_FROM=present.mail_from
    )
    program = f"{SENDER}with create_app().app_context(): send()"
    sender = subprocess.Popen([sys.executable, "-c", program], env=variables)
    outside.on_mail = sender.kill
    assert sender.wait() == -signal.SIGKILL
    outside.on_mail = lambda: None
    send_what_waits()
    assert [to for to, _ in outside.mails] == [[ANNA], [BEN]], "whoever took it may still be at it"
    after(61)
    for _twice in range(2):
        send_what_waits()
    assert [to for to, _ in outside.mails] == [[ANNA], [BEN], [ANNA]]
    first, second, again = numbers(outside)
    assert first == again != second
