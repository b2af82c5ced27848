"""Alerts about nodes: to a real mail server and a real web server on this machine."""

from __future__ import annotations

import logging
import signal
import socketserver
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from email import message_from_string

import pytest
from flask import Flask

from app import clock
from app.alerts import send_what_is_new
from app.caller import command_line
from app.database import write_transaction
from app.domain_notices import write_what_is_new as write_of_domains
from app.extensions import db
from app.models import DnsCheck, Node, NodeAlert
from app.operations import OPERATIONS
from app.outbox import send_what_waits
from tests.applications import at_once
from tests.cli.mailcote import environment
from tests.conftest import ON_BOTH, Cast
from tests.outside import Outside, after, outside, serving, settings

__all__ = ["outside", "settings"]

ADMINS = ["one@people.example", "two@people.example"]
LONG_AGO = {"last_sync_at": "2026-01-02T03:04:05Z"}


@pytest.fixture(params=ON_BOTH)
def database(request: pytest.FixtureRequest) -> str:
    """SQLite, then PostgreSQL."""
    return str(request.param)


@pytest.fixture
def core(core: Cast) -> Cast:
    """The cast with two admins, one that may not sign in any more, and a customer."""
    run, operator = OPERATIONS, command_line()
    for email in (*ADMINS, "gone@people.example"):
        run["add-person"](operator, email=email, password="an admin's battery", is_admin=True)
    run["update-person"](operator, email="gone@people.example", is_disabled=True)
    run["add-person"](operator, email="alice@people.example", projects=[1])
    return core


def let(**values: object) -> None:
    """Let the nodes be like that, and a minute pass."""
    db.session.execute(db.update(Node).values(**values))
    db.session.commit()
    send_what_is_new()


def test_it_works(core: Cast, outside: Outside) -> None:
    let(last_sync_at=clock.now())
    assert (outside.mails, outside.posts) == ([], [])
    let(**LONG_AGO)
    [(recipients, text)] = outside.mails
    assert recipients == ADMINS
    message = message_from_string(text)
    assert message["Subject"] == "[Mailcote] mpi01 is down"
    assert message["To"] == ", ".join(ADMINS)
    assert message["From"] == "panel@mailcote.example"
    assert message["Auto-Submitted"] == "auto-generated"
    assert "http://127.0.0.1:8000/admin/nodes/mpi01" in str(message.get_payload())
    [post] = outside.posts
    assert post.keys() == {"event", "node", "state", "at", "path"}
    assert (post["event"], post["node"], post["state"]) == ("down", "mpi01", "down")
    assert post["path"] == "/hook?key=7"


def test_each_event_is_told_once(core: Cast, outside: Outside) -> None:
    for _twice in range(2):
        let(**LONG_AGO)
    for _twice in range(2):
        let(last_sync_at=clock.now())
    let(last_sync_at=clock.from_now(seconds=-300))
    let(has_drifted=True)
    let(error="the disk is full")
    assert outside.events == ["mpi01 down", "mpi01 back", "mpi01 drift", "mpi01 trouble"]
    assert [subject.removeprefix("[Mailcote] mpi01 ") for subject in outside.subjects] == [
        "is down",
        "is back",
        "has drifted",
        "reports trouble",
    ]
    assert "the disk is full" not in str(outside.mails), "a node's words are for its page"


def test_trouble_that_comes_and_goes_is_told_once_an_hour(core: Cast, outside: Outside) -> None:
    for error in ("x", None, "x", None):
        let(error=error)
    assert outside.events == ["mpi01 trouble"]
    for times, seconds in ((2, -3601), (3, 86400)):  # the clock was set back since
        let(alerted_at=clock.from_now(seconds=seconds), error=None)
        let(error="x")
        assert outside.events == ["mpi01 trouble"] * times


def test_many_at_once_are_one_mail(core: Cast, outside: Outside) -> None:
    for number in range(2, 6):
        OPERATIONS["add-node"](command_line(), name=f"mpi0{number}")
    let(**LONG_AGO)
    assert outside.subjects == ["[Mailcote] News of 5 nodes"]
    assert len(outside.posts) == 5


def test_a_node_that_waits_or_is_paused_is_no_news(core: Cast, outside: Outside) -> None:
    let(last_sync_at=None)
    let(is_paused=True, **LONG_AGO)
    assert outside.posts == []
    let(is_paused=False)
    let(is_paused=True)
    assert outside.events == ["mpi01 down"]


def test_of_several_processes_one_sends(core: Cast, app: Flask, outside: Outside) -> None:
    db.session.execute(db.update(Node).values(**LONG_AGO))
    db.session.commit()
    at_once(app, send_what_is_new, 4)
    assert (len(outside.mails), len(outside.posts)) == (1, 1)


def test_who_cannot_be_reached_does_not_keep_the_other_from_it(
    core: Cast, app: Flask, outside: Outside, caplog: pytest.LogCaptureFixture
) -> None:
    present = app.extensions["mailcote"]
    with caplog.at_level(logging.WARNING):
        app.extensions["mailcote"] = replace(present, smtp_url="smtp://user:a-secret@127.0.0.1:1")
        let(**LONG_AGO)
        assert (outside.events, outside.mails) == (["mpi01 down"], [])
        after(61)
        app.extensions["mailcote"] = replace(present, alert_webhook="http://127.0.0.1:1/a-secret")
        let(last_sync_at=clock.now())
    app.extensions["mailcote"] = present
    assert outside.events == ["mpi01 down"]
    assert outside.subjects == ["[Mailcote] mpi01 is down, is back"]
    assert "by mail" in caplog.text
    assert "by webhook" in caplog.text
    assert "a-secret" not in caplog.text
    after(61)
    send_what_is_new()
    assert outside.events == ["mpi01 down", "mpi01 back"]


def test_what_is_refused_is_told_later_and_in_order(core: Cast, outside: Outside) -> None:
    outside.status = 503
    let(**LONG_AGO)
    for seconds, posts in ((0, 1), (58, 1), (61, 2), (118, 2), (121, 3), (238, 3), (241, 4)):
        after(seconds)
        send_what_is_new()
        assert len(outside.posts) == posts, seconds
    outside.status = 204
    let(last_sync_at=clock.now())
    assert len(outside.posts) == 4, "what came later waits as well"
    after(481)
    send_what_is_new()
    assert outside.events == ["mpi01 down"] * 5 + ["mpi01 back"]
    assert len(outside.mails) == 2, "nobody gets a mail again because of it"


def test_what_could_not_be_told_for_a_day_is_no_news(core: Cast, outside: Outside) -> None:
    outside.status = 503
    let(**LONG_AGO)
    outside.status = 204
    with write_transaction() as session:
        session.execute(db.update(NodeAlert).values(at=clock.from_now(seconds=-86401)))
    after(3601)
    send_what_is_new()
    assert (len(outside.posts), db.session.scalar(db.select(NodeAlert))) == (1, None)
    let(last_sync_at=clock.now())
    assert outside.events == ["mpi01 down", "mpi01 back"]


def test_more_than_are_taken_at_once_are_all_told(core: Cast, outside: Outside) -> None:
    for number in range(2, 14):
        OPERATIONS["add-node"](command_line(), name=f"mpi{number:02}")
    let(**LONG_AGO)
    assert outside.events == [f"mpi{number:02} down" for number in range(1, 14)]


SENDER = "from app import create_app\nfrom app.alerts import send_what_is_new as tell\n"


@pytest.mark.real
def test_a_process_that_is_killed_while_it_sends_loses_nothing(
    core: Cast, app: Flask, outside: Outside
) -> None:
    """Killed once the mail server has the whole mail: whether it has been sent, nobody knows."""
    db.session.execute(db.update(Node).values(**LONG_AGO))
    db.session.commit()
    present = app.extensions["mailcote"]
    variables = environment(
        present,
        MAILCOTE_SMTP_URL=present.smtp_url,
        MAILCOTE_MAIL_FROM=present.mail_from,
        MAILCOTE_ALERT_WEBHOOK=present.alert_webhook,
    )
    program = f"{SENDER}with create_app().app_context(): tell()"
    sender = subprocess.Popen([sys.executable, "-c", program], env=variables)
    outside.on_mail = sender.kill
    assert sender.wait() == -signal.SIGKILL
    outside.on_mail = lambda: None
    assert (len(outside.mails), outside.events) == (1, [])
    send_what_is_new()
    assert len(outside.mails) == 1, "whoever took it may still be at it"
    assert outside.events == ["mpi01 down"], "nobody had taken this yet"
    after(61)
    for _twice in range(2):
        send_what_is_new()
    assert outside.subjects == ["[Mailcote] mpi01 is down"] * 2
    assert outside.events == ["mpi01 down"]


def test_a_webhook_that_points_elsewhere_is_not_followed(core: Cast, outside: Outside) -> None:
    outside.status = 307
    let(**LONG_AGO)
    assert [post["path"] for post in outside.posts] == ["/hook?key=7"]


def test_a_server_that_greets_slowly_keeps_nobody_waiting(
    core: Cast, app: Flask, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    dripped: list[bytes] = []

    class Drip(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                while len(dripped) < 600:
                    self.wfile.write(b"2")
                    dripped.append(b"2")
                    time.sleep(0.1)

    monkeypatch.setattr("app.mailing.SMTP_SECONDS", 0.5)
    present = app.extensions["mailcote"]
    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Drip)) as port:
        app.extensions["mailcote"] = replace(present, smtp_url=f"smtp://127.0.0.1:{port}")
        let(**LONG_AGO)
        app.extensions["mailcote"] = present
    assert len(dripped) < 600, "it was hung up on"
    assert (outside.mails, outside.events) == ([], ["mpi01 down"])


def test_a_password_goes_over_no_open_line(
    core: Cast, app: Flask, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    present = app.extensions["mailcote"]
    monkeypatch.setattr("app.mailing.is_loopback", lambda _host: False)
    url = f"smtp://user:secret@127.0.0.1:{outside.smtp}"
    app.extensions["mailcote"] = replace(present, smtp_url=url)
    let(**LONG_AGO)
    app.extensions["mailcote"] = present
    assert outside.mails == []
    assert len(outside.posts) == 1


def test_without_settings_nothing_is_sent_or_taken_for_told(
    core: Cast, app: Flask, outside: Outside
) -> None:
    present = app.extensions["mailcote"]
    app.extensions["mailcote"] = replace(present, smtp_url="", alert_webhook="")
    let(**LONG_AGO)
    app.extensions["mailcote"] = present
    assert (outside.mails, outside.posts) == ([], [])
    send_what_is_new()
    assert outside.events == ["mpi01 down"]


def test_a_domain_that_works_no_more_is_told_its_project(core: Cast, outside: Outside) -> None:
    with write_transaction() as session:
        row = session.scalars(db.select(DnsCheck).order_by(DnsCheck.domain_id)).first()
        assert row
        row.state, row.since = "attention", clock.from_now(seconds=-7200)
    for _ in range(2):
        write_of_domains()
        send_what_waits()
    ((recipients, text),) = outside.mails
    assert recipients == ["alice@people.example"]
    assert message_from_string(text)["Subject"] == "[Mailcote] example.nl: its mail needs attention"
    body = str(message_from_string(text).get_payload(decode=True))
    assert "/domains/example.nl?project=1" in body
    assert outside.posts == []
