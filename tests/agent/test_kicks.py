"""Sessions end when their mailbox is gone, has another password, or may not sign in any more."""

from __future__ import annotations

import pytest

from .fake_panel import OTHER_HASH, FakePanel, export, user, users
from .mail_node import Node

NAMES = ("gone", "moved", "password", "locked", "quota", "no-delivery", "stays", "allowed")
BEFORE = [user(f"{name}@example.nl", login=name != "allowed") for name in NAMES]
AFTER = [
    user("moved@example.nl", id="f" * 32),
    user("password@example.nl", password=OTHER_HASH),
    user("locked@example.nl", login=False),
    user("quota@example.nl", quota_mb=5),
    user("no-delivery@example.nl", deliver=False),
    user("stays@example.nl"),
    user("allowed@example.nl"),
    user("new@example.nl"),
]
KICKED = [f"[kick][{name}@example.nl]" for name in ("gone", "locked", "moved", "password")]


@pytest.fixture(autouse=True)
def settled(node: Node, panel: FakePanel) -> None:
    panel.answer = export(BEFORE, revision=1)
    assert node.once("--doveadm", node.doveadm()).code == 0
    assert node.kicks() == []
    panel.answer = export(AFTER, revision=2)


@pytest.mark.parametrize("code", [0, 68])
def test_it_works(node: Node, code: int) -> None:
    node.doveadm_code.write_text(str(code))
    assert node.once("--doveadm", node.doveadm()).code == 0
    assert sorted(node.kicks()) == KICKED
    assert node.rows("SELECT * FROM kicks") == []
    node.once("--doveadm", node.doveadm())
    assert len(node.kicks()) == len(KICKED)


def test_it_kicks_after_the_commit(node: Node) -> None:
    """A client that is cut off comes back at once, and must meet the new password."""
    doveadm = node.doveadm(f"cp {node.database}* {node.folder}")
    node.once("--doveadm", doveadm)
    node.database = node.folder / "users.db"
    assert node.meta()["revision"] == "2"


def test_it_uses_no_shell(node: Node) -> None:
    command = f"{node.doveadm()} -c '/etc/my dovecot.conf' '; touch {node.folder}/x' $HOME"
    node.once("--doveadm", command)
    start = f"[-c][/etc/my dovecot.conf][; touch {node.folder}/x][$HOME]"
    assert sorted(node.kicks()) == [start + kick for kick in KICKED]
    assert not (node.folder / "x").exists()


def test_it_kicks_nobody_without_a_command(node: Node) -> None:
    assert node.once().code == 0
    assert node.rows("SELECT * FROM kicks") == []


@pytest.mark.parametrize("command", ["/nowhere/doveadm", ""])
def test_it_tries_again_when_dovecot_was_away(node: Node, command: str) -> None:
    node.doveadm_code.write_text("75")
    result = node.once("--doveadm", command or node.doveadm())
    assert result.code == 0
    assert "could not end 4 sessions" in result.out
    assert "4 sessions to end" in node.status()
    node.kicked.unlink(missing_ok=True)
    node.doveadm_code.write_text("0")
    assert "could not" not in node.once("--doveadm", node.doveadm()).out
    assert sorted(node.kicks()) == KICKED
    assert "sessions to end" not in node.status()


def test_it_kicks_what_was_left_although_the_panel_is_away(node: Node, panel: FakePanel) -> None:
    node.once("--doveadm", "/nowhere/doveadm")
    panel.always(b"", status=500)
    assert node.once("--doveadm", node.doveadm()).code == 1
    assert sorted(node.kicks()) == KICKED


def test_it_survives_a_crash_between_commit_and_kick(node: Node) -> None:
    doveadm = node.doveadm("kill -9 $PPID")
    process = node.start("once", *node.options("--doveadm", doveadm))
    process.communicate(timeout=60)
    assert process.returncode == -9
    assert node.meta()["revision"] == "2"
    node.kicked.unlink()
    assert "up to date" in node.once("--doveadm", node.doveadm()).out
    assert sorted(node.kicks()) == KICKED


def test_it_kicks_nobody_when_an_answer_is_refused(node: Node, panel: FakePanel) -> None:
    panel.answer = export(users(1), revision=2, sha256="0" * 64)
    assert node.once("--doveadm", node.doveadm()).code == 1
    assert node.kicks() == []
