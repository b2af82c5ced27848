"""`agent.py status` and `agent.py check`: what an operator sees, at no cost to the state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .fake_panel import EPOCH, FakePanel, export, users
from .mail_node import Node


def snapshot(folder: Path) -> dict[str, Any]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in sorted(folder.rglob("*"))
    }


def test_status_works(node: Node, panel: FakePanel) -> None:
    panel.answer = export(users(3), revision=4711)
    node.once()
    told = node.status()
    assert f"revision 4711 since {node.meta()['applied_at']}" in told
    assert EPOCH in told
    assert "1 domains, 3 mailboxes, 0 aliases" in told
    assert f"contact   {node.note()['contact']}" in told
    assert "wrong     nothing" in told
    assert len(told.splitlines()) < 24


def test_status_needs_only_the_state(node: Node) -> None:
    assert "nothing yet" in node.status()
    assert not node.state.exists()
    result = node.call("status")
    assert (result.code, "state is not set" in result.err) == (2, True)


def test_status_says_what_is_wrong_and_since_when(node: Node, panel: FakePanel) -> None:
    node.once()
    contact = node.note()["contact"]
    panel.always(b"", status=503)
    node.once()
    since = node.note()["since"]
    node.once()
    told = node.status()
    assert f"wrong     the panel answered 503 (since {since})" in told
    assert f"contact   {contact}" in told
    panel.behaviour = panel.serve
    node.once()
    assert "wrong     nothing" in node.status()


def test_status_says_that_the_file_is_damaged(node: Node) -> None:
    node.once()
    node.database.write_bytes(b"\xff" * 5000)
    assert "damaged" in node.status()


def test_status_changes_nothing(node: Node) -> None:
    node.once()
    before = snapshot(node.folder)
    node.status()
    assert snapshot(node.folder) == before


def test_status_outlives_a_note_that_is_spoilt(node: Node) -> None:
    node.once()
    (node.state / "agent.note").write_bytes(b"\xff\0[")
    assert "contact   never" in node.status()


def test_check_works(node: Node, panel: FakePanel) -> None:
    panel.answer = export(users(3), revision=7)
    node.once()
    before = snapshot(node.folder)
    result = node.check("--doveadm", "true")
    assert (result.code, result.err) == (0, "")
    assert result.out.count("ok ") == 6
    assert "nothing newer" in result.out
    assert snapshot(node.folder) == before


def test_check_works_before_the_first_attempt(node: Node, panel: FakePanel) -> None:
    panel.answer = export(users(3), revision=7)
    result = node.check()
    assert result.code == 0
    assert "revision 7 with 3 mailboxes" in result.out
    assert not node.state.exists()


def test_check_does_not_apply_what_is_newer(node: Node, panel: FakePanel) -> None:
    node.once()
    panel.answer = export(users(3), revision=7)
    assert node.check().code == 0
    assert node.emails() == []


def test_check_finds_everything_at_once(node: Node, panel: FakePanel) -> None:
    node.once()
    node.key_file.chmod(0o644)
    node.database.write_bytes(b"\xff" * 5000)
    panel.always(b"", status=503)
    result = node.check("--doveadm", "/nowhere/doveadm")
    assert result.code == 1
    for words in ("everybody", "damaged", "503", "no command /nowhere/doveadm"):
        assert words in result.out


def test_check_says_what_the_agent_would_refuse(node: Node, panel: FakePanel) -> None:
    panel.answer = export(users(20), revision=7)
    node.once()
    panel.answer = export(users(2), revision=8)
    result = node.check()
    assert result.code == 1
    assert "18 of 20 mailboxes would go" in result.out


def test_nobody_reading_is_no_reason_to_stop(node: Node) -> None:
    process = node.start("status", "--state", str(node.state))
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=60)
    assert err == ""
