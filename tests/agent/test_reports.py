"""What a node tells the panel: what it holds and measures, and nothing secret."""

from __future__ import annotations

import json
import os
import re
import threading
from pathlib import Path

import pytest

from app import agent

from .fake_panel import EPOCH, HASH, OTHER_HASH, FakePanel, export, user, users
from .mail_node import KEY, Node, until

FIELDS = {
    "epoch",
    "revision",
    "sha256",
    "counts",
    "rejected",
    "agent_version",
    "dovecot_version",
    "postfix_version",
    "os",
    "disk_free_mb",
    "purged",
    "usage",
    "last_login",
    "error",
}


@pytest.fixture
def reporter(node: Node, panel: FakePanel) -> agent.Reporter:
    """Of a node with three mailboxes; it has reported nothing yet."""
    panel.publish(export(users(3), revision=7))
    node.once()
    panel.reports.clear()
    _, settings = agent.settings_from(["run", *node.options()])
    store = agent.Store(node.state)
    store.look(thorough=False)
    return agent.Reporter(settings, store)


def measure(node: Node, folder: str, email: str, *lines: str) -> Path:
    path = node.folder / folder / email
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([*lines, ""]))
    return path


def used(node: Node, email: str, size: int, messages: int = 1) -> Path:
    lines = ("priv/quota/messages", str(messages), "priv/quota/storage", str(size))
    return measure(node, "usage", email, *lines)


def logged_in(node: Node, email: str, *seconds: int) -> Path:
    services = zip(("imap", "pop3", "submission"), seconds, strict=False)
    lines = [line for name, at in services for line in (f"shared/last-login/{name}", str(at))]
    return measure(node, "logins", email, *lines)


def again(reporter: agent.Reporter) -> None:
    """As if the time to measure had come again."""
    reporter.measured_at = -agent.REPORT_EVERY
    reporter.send()


def test_it_works(node: Node, panel: FakePanel) -> None:
    panel.publish(export(users(3), revision=7))
    used(node, "user1@example.nl", 319, 2)
    logged_in(node, "user1@example.nl", 1795376149, 1795376000)
    node.state.mkdir()
    assert node.once().code == 0
    (report,) = panel.reports
    assert report.pop("path") == "/sync/v1/report"
    assert report.pop("key") == f"Bearer {KEY}"
    assert set(report) == FIELDS
    assert (report["epoch"], report["revision"]) == (EPOCH, 7)
    assert report["sha256"] == panel.answer["sha256"]
    assert report["counts"] == {"domains": 1, "users": 3, "aliases": 0}
    assert report["agent_version"] == agent.VERSION
    assert (report["rejected"], report["purged"], report["error"]) == ([], [], None)
    assert re.fullmatch(r"2\.\S+|None", str(report["dovecot_version"]))
    assert report["postfix_version"] is None
    assert type(report["disk_free_mb"]) is int
    identifier = user("user1@example.nl")["id"]
    assert report["usage"] == [{"id": identifier, "bytes": 319, "messages": 2}]
    assert report["last_login"] == [{"id": identifier, "at": "2026-11-22T19:35:49Z"}]
    assert "reported  20" in node.status()


def test_a_report_that_fails_changes_nothing_else(node: Node, panel: FakePanel) -> None:
    panel.report_status = 500
    panel.publish(export(users(3), revision=7))
    result = node.once()
    assert (result.code, result.err) == (0, "")
    assert "wrong     nothing" in node.status()
    assert "reported  never" in node.status()


def test_nothing_secret_is_in_it(node: Node, panel: FakePanel) -> None:
    panel.publish(export(users(3), revision=7))
    node.once()
    panel.always({**panel.answer, "x" + KEY: 1})
    node.once()
    for report in panel.reports:
        report.pop("key")
        text = json.dumps(report)
        assert KEY not in text
        assert HASH not in text


def test_problems_are_told(node: Node, panel: FakePanel) -> None:
    panel.publish(export(users(30), revision=7))
    node.once()
    panel.answer = export(users(2), revision=8)
    assert node.once().code == 1
    assert panel.reports[-1]["revision"] == 7
    assert "28 of 30 mailboxes would go" in panel.reports[-1]["error"]


def test_only_what_changed_is_told_again(
    node: Node, panel: FakePanel, reporter: agent.Reporter
) -> None:
    used(node, "user0@example.nl", 10)
    used(node, "user1@example.nl", 20)
    logged_in(node, "user0@example.nl", 1000)
    reporter.send()
    again(reporter)
    used(node, "user1@example.nl", 2000)
    os.utime(used(node, "user0@example.nl", 10), (1, 1))
    again(reporter)
    assert [len(report["usage"]) for report in panel.reports] == [2, 0, 1]
    assert [len(report["last_login"]) for report in panel.reports] == [1, 0, 0]
    assert panel.reports[2]["usage"][0]["bytes"] == 2000


def test_what_was_not_heard_is_told_again(
    node: Node, panel: FakePanel, reporter: agent.Reporter
) -> None:
    used(node, "user0@example.nl", 10)
    panel.report_status = 503
    with pytest.raises(agent.RefusedError, match="503"):
        reporter.send()
    panel.report_status = 204
    again(reporter)
    assert len(panel.reports[1]["usage"]) == 1


def test_much_is_told_in_parts(
    node: Node, panel: FakePanel, reporter: agent.Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "MEASURED_AT_ONCE", 2)
    for number in range(3):
        used(node, f"user{number}@example.nl", 10)
    reporter.send()
    assert reporter.is_due()
    reporter.send()
    assert [len(report["usage"]) for report in panel.reports] == [2, 1]
    assert not reporter.is_due()


def test_it_rejects_files_that_say_nothing(
    node: Node, panel: FakePanel, reporter: agent.Reporter
) -> None:
    measure(node, "usage", "user0@example.nl", "priv/quota/storage")
    measure(node, "usage", "user1@example.nl", "priv/quota/storage", "many")
    measure(node, "logins", "user0@example.nl")
    measure(node, "logins", "user1@example.nl", "shared/last-login/imap", "9" * 30)
    (node.folder / "logins" / "user2@example.nl").symlink_to(node.key_file)
    used(node, "stranger@example.nl", 10)
    used(node, "..temp", 10)
    reporter.send()
    assert panel.reports[0]["usage"] == panel.reports[0]["last_login"] == []


def test_the_next_owner_of_an_address_starts_anew(node: Node, panel: FakePanel) -> None:
    panel.publish(export(users(3), revision=1))
    node.once()
    stale = [used(node, f"user{number}@example.nl", 10) for number in range(3)]
    stale.append(logged_in(node, "user0@example.nl", 1000))
    changed = [user("user0@example.nl", id="f" * 32), user("user1@example.nl", password=OTHER_HASH)]
    panel.publish(export(changed, revision=2))
    node.once()
    assert [path.exists() for path in stale] == [False, True, False, False]


def test_run_reports_states_and_problems(node: Node, panel: FakePanel) -> None:
    panel.publish(export(users(30), revision=1))
    process = node.start("run", *node.options("--interval", "0.05"))
    try:
        until(lambda: any(report["revision"] == 1 for report in panel.reports))
        panel.publish(export(users(31), revision=2))
        until(lambda: any(report["revision"] == 2 for report in panel.reports))
        assert panel.reports[-1]["error"] is None
    finally:
        process.kill()
        process.communicate()


def test_reports_that_hang_keep_nothing_from_being_applied(node: Node, panel: FakePanel) -> None:
    released = threading.Event()
    panel.hold_reports = released
    panel.publish(export(users(3), revision=1))
    process = node.start("run", *node.options())
    try:
        until(lambda: panel.reports != [])
        panel.publish(export(users(4), revision=2))
        until(lambda: len(node.emails()) == 4)
    finally:
        released.set()
        process.kill()
        process.communicate()


def test_it_reports_now_and_then_in_any_case(reporter: agent.Reporter) -> None:
    reporter.send()
    assert not reporter.is_due()
    reporter.told_at -= agent.REPORT_EVERY
    assert reporter.is_due()
