"""The file that Dovecot reads: always exactly one revision, whole, and for the right eyes."""

from __future__ import annotations

import fcntl
import grp
import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import agent

from .fake_panel import EPOCH, OTHER_EPOCH, Export, FakePanel, Handler, export, user, users
from .mail_node import PROGRAM, Node, is_root, until


def test_it_works(node: Node, panel: FakePanel) -> None:
    """Beside a reader, as Dovecot is one, who keeps the file open."""
    panel.answer = export(users(3), revision=1)
    node.once()
    reader = sqlite3.connect(node.database)
    try:
        assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        cursor = reader.execute("SELECT email FROM users")
        cursor.fetchone()
        panel.answer = export(users(5), revision=2)
        assert node.once().code == 0
        assert len(cursor.fetchall()) == 2
        assert reader.execute("SELECT count(*) FROM users").fetchone() == (5,)
    finally:
        reader.close()


def test_files_are_for_dovecot_and_nobody_else(node: Node, panel: FakePanel) -> None:
    before = os.umask(0)
    try:
        node.once()
    finally:
        os.umask(before)
    reader = sqlite3.connect(node.database)
    try:
        reader.execute("SELECT * FROM users")
        panel.answer = export(users(1), revision=2)
        node.once()
        assert node.mode("") == 0o750
        assert [node.mode("users.db" + end) for end in ("", "-wal", "-shm")] == [0o640] * 3
    finally:
        reader.close()


def test_a_file_that_is_too_open_is_closed(node: Node, panel: FakePanel) -> None:
    node.once()
    node.database.chmod(0o666)
    panel.answer = export(users(1), revision=2)
    node.once()
    assert node.mode("users.db") == 0o640


@pytest.mark.skipif(not is_root(), reason="only root gives files away")
def test_files_of_root_belong_to_the_group_of_dovecot(node: Node, panel: FakePanel) -> None:
    try:
        group = grp.getgrnam("dovecot").gr_gid
    except KeyError:
        pytest.skip("no group dovecot here")
    node.once()
    reader = sqlite3.connect(node.database)
    try:
        reader.execute("SELECT * FROM users")
        panel.answer = export(users(1), revision=2)
        node.once()
        paths = [node.state, *(Path(f"{node.database}{end}") for end in ("", "-wal", "-shm"))]
        assert {(path.stat().st_uid, path.stat().st_gid) for path in paths} == {(0, group)}
    finally:
        reader.close()


def test_there_are_no_tables_before_the_first_good_answer(node: Node, panel: FakePanel) -> None:
    """An empty table would tell senders that nobody lives here."""
    panel.always(b"<html>")
    assert node.once().code == 1
    assert not node.database.exists()


def test_an_empty_file_that_dovecot_made_is_used(node: Node, panel: FakePanel) -> None:
    node.state.mkdir()
    node.database.touch()
    panel.answer = export(users(2))
    assert node.once().code == 0
    assert len(node.emails()) == 2


def test_the_same_revision_with_the_same_content_is_fine(node: Node, panel: FakePanel) -> None:
    answer = export(users(3), revision=5)
    panel.always(answer)
    node.once()
    before = node.everything()
    assert node.once().code == 0
    assert node.everything() == before


def test_a_restored_panel_may_start_lower(node: Node, panel: FakePanel) -> None:
    panel.answer = export(users(3), revision=500)
    node.once()
    panel.answer = export(users(2), revision=7, epoch=OTHER_EPOCH)
    assert node.once().code == 0
    assert node.meta()["epoch"] == OTHER_EPOCH
    assert len(node.emails()) == 2


@pytest.mark.parametrize(
    ("held", "left", "more", "code"),
    [
        (10, 8, {}, 0),
        (10, 7, {}, 1),
        (10, 0, {}, 1),
        (9, 0, {}, 0),
        (100, 80, {}, 0),
        (100, 79, {}, 1),
        (100, 79, {"allow_shrink": True}, 0),
        (100, 0, {"allow_shrink": True}, 0),
        (100, 79, {"epoch": OTHER_EPOCH}, 1),
    ],
)
def test_it_keeps_mailboxes_that_vanish_in_great_number(
    node: Node, panel: FakePanel, held: int, left: int, more: Export, code: int
) -> None:
    panel.answer = export(users(held), revision=1)
    node.once()
    panel.answer = export(users(left), revision=2, **more)
    assert node.once().code == code
    assert len(node.emails()) == (held if code else left)


def spoil(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


OK = {"allow_shrink": True}


@pytest.fixture(params=["head", "pages", "text"])
def damaged(request: pytest.FixtureRequest, node: Node, panel: FakePanel) -> int:
    """The database with a head of zeroes, with spoilt pages, and replaced by a text."""
    panel.answer = export(users(200), revision=3)
    assert node.once().code == 0
    if request.param == "text":
        node.database.write_text("this was a database once\n" * 100)
    else:
        offset, size = (0, 100) if request.param == "head" else (4096, 20000)
        spoil(node.database, offset, b"\xff" * size)
    return node.database.stat().st_ino


def test_a_damaged_file_is_fetched_anew_whole(node: Node, panel: FakePanel, damaged: int) -> None:
    doveadm = node.doveadm()
    result = node.once("--doveadm", doveadm)
    assert result.code == 0
    assert "If-None-Match" not in panel.requests[-1]
    assert len(node.emails()) == 200
    assert node.rows("PRAGMA integrity_check") == [("ok",)]
    assert node.kicks() == ["[reload]"]
    assert node.mode("users.db") == 0o640
    node.once("--doveadm", doveadm)
    assert node.kicks() == ["[reload]"]


@pytest.mark.parametrize(("left", "more", "code"), [(150, {}, 1), (170, {}, 0), (150, OK, 0)])
def test_a_damaged_file_does_not_forget_how_many_there_were(
    node: Node, panel: FakePanel, damaged: int, left: int, more: Export, code: int
) -> None:
    panel.answer = export(users(left), revision=4, **more)
    assert node.once().code == code
    assert ("would go" in node.status()) == (code == 1)
    if code == 0:
        assert len(node.emails()) == left


def test_a_damaged_file_does_not_forget_its_revision(
    node: Node, panel: FakePanel, damaged: int
) -> None:
    panel.answer = export(users(200), revision=2)
    assert "fell from 3 to 2" in node.once().err


def test_a_file_that_is_gone_does_not_forget_either(node: Node, panel: FakePanel) -> None:
    panel.answer = export(users(200), revision=3)
    node.once()
    node.database.unlink()
    panel.answer = export(users(100), revision=4)
    assert "100 of 200" in node.once().err
    assert not node.database.exists()


def test_the_note_follows_changes(node: Node, panel: FakePanel) -> None:
    panel.publish(export(users(200), revision=3))
    node.once()
    panel.publish(export(users(20), revision=4))
    node.once()
    assert list(node.note()["held"]) == [EPOCH, 4, 20]


def test_a_damaged_file_stays_until_there_is_another(
    node: Node, panel: FakePanel, damaged: int
) -> None:
    panel.always(b"", status=503)
    assert node.once().code == 1
    assert node.database.stat().st_ino == damaged


def test_a_reload_that_failed_is_tried_again(node: Node, panel: FakePanel, damaged: int) -> None:
    doveadm = node.doveadm()
    node.doveadm_code.write_text("75")
    assert node.once("--doveadm", doveadm).code == 0
    assert "Dovecot to reload" in node.status()
    node.doveadm_code.write_text("0")
    assert node.once("--doveadm", doveadm).code == 0
    assert "Dovecot to reload" not in node.status()


def test_a_file_of_another_layout_is_fetched_anew(node: Node, panel: FakePanel) -> None:
    panel.answer = export(users(3))
    node.once()
    node.change("UPDATE meta SET v = '0' WHERE k = 'schema'; DROP TABLE aliases")
    assert node.once().code == 0
    assert node.rows("SELECT count(*) FROM aliases") == [(0,)]


def test_a_state_without_its_name_is_fetched_anew(node: Node, panel: FakePanel) -> None:
    panel.answer = export(users(3))
    node.once()
    node.change("DELETE FROM meta WHERE k = 'etag'; DELETE FROM users WHERE email LIKE 'user1@%'")
    assert node.once().code == 0
    assert len(node.emails()) == 3


@pytest.fixture
def full_disk(node: Node, panel: FakePanel) -> Iterator[Path]:
    """A file system of 1 MiB that holds a good state of three mailboxes."""
    if not is_root():
        pytest.skip("NOT TESTED: a full disk needs root, to mount one")
    node.state.mkdir(mode=0o750)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(node.state)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("NOT TESTED: a full disk needs the right to mount one")
    try:
        panel.answer = export(users(3), revision=1)
        assert node.once().code == 0
        yield node.state
    finally:
        subprocess.run(["umount", str(node.state)], check=True)


@pytest.mark.real
def test_a_full_disk_changes_nothing(node: Node, panel: FakePanel, full_disk: Path) -> None:
    panel.answer = export(users(5000), revision=2)
    result = node.once()
    assert result.code == 1
    assert "full" in result.err
    assert len(node.emails()) == 3
    assert "full" in node.status()
    panel.answer = export(users(50), revision=3)
    assert node.once().code == 0
    assert len(node.emails()) == 50


@pytest.mark.real
def test_a_disk_without_one_free_byte_changes_nothing(
    node: Node, panel: FakePanel, full_disk: Path
) -> None:
    filler = filled(full_disk)
    panel.answer = export(users(50), revision=2)
    result = node.once()
    assert result.code == 1
    assert "database" in result.err
    assert node.note()["problem"] in result.err
    assert node.note()["problem"] != ""
    filler.unlink()
    assert len(node.emails()) == 3
    assert node.once().code == 0
    assert len(node.emails()) == 50


@pytest.mark.real
def test_on_a_full_disk_others_still_read(node: Node, panel: FakePanel, full_disk: Path) -> None:
    """Who opens it last and closes it takes away what nobody can make again on a full disk."""
    before = len(panel.requests)
    running = node.start("run", *node.options("--wait", "0", "--interval", "0.05"))
    try:
        until(lambda: len(panel.requests) > before + 2)
        assert len(node.emails()) == 3
        filler = filled(full_disk)
        panel.answer = export(users(50), revision=2)
        until(lambda: "database" in node.note().get("problem", ""))
        assert len(node.emails()) == 3
        filler.unlink()
        until(lambda: len(node.emails()) == 50)
    finally:
        running.kill()
        running.communicate()


def filled(disk: Path) -> Path:
    """The file that takes up all that was left of it."""
    filler = disk / "filler"
    with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 512)
    return filler


def test_a_file_that_may_not_grow_changes_nothing(node: Node, panel: FakePanel) -> None:
    panel.answer = export(users(3), revision=1)
    node.once()
    panel.answer = export(users(3000), revision=2)
    process = subprocess.run(
        [sys.executable, "-I", str(PROGRAM), "once", *node.options()],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 1
    assert "database" in process.stderr
    assert "Traceback" not in process.stderr
    assert len(node.emails()) == 3
    assert "database" in node.status()


def test_a_state_that_cannot_be_made_is_said(node: Node) -> None:
    node.state.write_text("a file is in the way")
    result = node.once()
    assert result.code == 1
    assert str(node.state) in result.err


def test_a_second_copy_waits_for_the_first_and_then_says_so(
    node: Node, panel: FakePanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "LOCK_PATIENCE", 0.1)
    node.once()
    with (node.state / "agent.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = node.once()
        assert (result.code, "another copy of the agent" in result.err) == (1, True)
    assert node.once().code == 0


@pytest.mark.parametrize("epoch", [EPOCH, OTHER_EPOCH])
def test_an_answer_that_was_overtaken_is_dropped(node: Node, panel: FakePanel, epoch: str) -> None:
    """While one copy still waits for an older answer, another applies a newer one."""
    newer = export(users(4), revision=8, epoch=epoch)

    def behaviour(handler: Handler) -> None:
        panel.answer = newer
        panel.behaviour = panel.serve
        assert agent.main(["once", *node.options()]) == 0
        panel.answer = export([user("old@example.nl")], revision=7)
        panel.serve(handler)

    panel.behaviour = behaviour
    result = node.once()
    assert result.code == 0
    assert "faster" in result.out
    assert len(node.emails()) == 4
    assert node.meta()["revision"] == "8"


def test_many_copies_at_once_are_harmless(node: Node, panel: FakePanel) -> None:
    panel.answer = export(users(300), revision=3)
    copies = [node.start("once", *node.options()) for _ in range(5)]
    results = [(*copy.communicate(timeout=60), copy.returncode) for copy in copies]
    assert [(err, code) for _, err, code in results] == [("", 0)] * 5
    assert len(node.emails()) == 300


def test_a_clock_that_is_set_back_a_year_changes_nothing_else(
    node: Node, panel: FakePanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of a Raspberry Pi, which has no battery, until it has asked for the time."""
    panel.answer = export(users(3), revision=1)
    assert node.once(*node.with_maps()).code == 0
    now, in_parts = time.time, time.gmtime
    a_year_ago = now() - 365 * 86400
    with monkeypatch.context() as back:
        back.setattr(time, "time", lambda: a_year_ago)
        back.setattr(time, "gmtime", lambda s=None: in_parts(a_year_ago if s is None else s))
        panel.answer = export(users(4), revision=2)
        assert node.once(*node.with_maps()).code == 0
        assert node.meta()["applied_at"] == time.strftime(agent.TIME_FORM, in_parts(a_year_ago))
    assert (len(node.emails()), len(node.map("mailboxes"))) == (4, 4)
    assert panel.reports[-1]["revision"] == 2
    panel.answer = export(users(5), revision=3)
    assert node.once(*node.with_maps()).code == 0
    assert (len(node.emails()), len(node.map("mailboxes"))) == (5, 5)
