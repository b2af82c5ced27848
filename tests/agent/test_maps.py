"""What Postfix reads: never an address that Dovecot would refuse."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from .fake_panel import OTHER_HASH, FakePanel, export, user, users
from .mail_node import Node

ALIAS = {"address": "sales@example.nl", "goto": ["user0@example.nl", "x@else.example"]}
COPY = """for a; do case "$a" in
cdb:*/mailboxes) cp "${a#cdb:}" {}/copy$(wc -l < {}/mapped);; esac; done"""


@pytest.fixture
def watched(node: Node) -> tuple[str, ...]:
    """Each state of the mailboxes is kept as copy1, copy2 and so on, beside what Dovecot's file
    then held."""
    script = COPY.replace("{}", str(node.folder))
    script += f"\ncp {node.database}* {node.folder}/ 2>/dev/null; true"
    return node.with_maps(script)


def copy(node: Node, number: int) -> list[str]:
    return sorted((node.folder / f"copy{number}").read_text().replace(" OK", "").split())


def test_it_works(node: Node, panel: FakePanel) -> None:
    quiet = user("quiet@example.nl", deliver=False)
    panel.publish(export([*users(2), quiet], revision=1, aliases=(ALIAS,)))
    assert node.once(*node.with_maps()).code == 0
    assert node.map("domains") == {"example.nl": "OK"}
    assert node.map("mailboxes") == {"user0@example.nl": "OK", "user1@example.nl": "OK"}
    assert node.map("aliases") == {"sales@example.nl": "user0@example.nl, x@else.example"}
    assert node.map("senders") == node.map("aliases")
    assert sorted(path.name for path in node.maps.iterdir()) == [
        f"{name}.cdb" for name in ("aliases", "domains", "mailboxes", "relays", "senders")
    ]


def test_it_leaves_the_maps_alone_when_no_address_changes(node: Node, panel: FakePanel) -> None:
    maps = node.with_maps()
    panel.publish(export(users(2), revision=1))
    node.once(*maps)
    changed = [user("user0@example.nl", password=OTHER_HASH, quota_mb=7, login=False), users(2)[1]]
    panel.publish(export(changed, revision=2))
    node.once(*maps)
    node.once(*maps)
    assert node.maps_written() == 1
    panel.publish(export([{**changed[0], "deliver": False}, changed[1]], revision=3))
    node.once(*maps)
    assert node.maps_written() == 2
    assert list(node.map("mailboxes")) == ["user1@example.nl"]


def test_postfix_forgets_before_dovecot_and_learns_after(
    node: Node, panel: FakePanel, watched: tuple[str, ...]
) -> None:
    panel.publish(export(users(3), revision=1))
    node.once(*watched)
    panel.publish(export([*users(2), user("new@example.nl")], revision=2))
    node.once(*watched)
    assert copy(node, 2) == ["user0@example.nl", "user1@example.nl"]
    assert copy(node, 3) == ["new@example.nl", "user0@example.nl", "user1@example.nl"]


def test_removing_takes_one_writing(node: Node, panel: FakePanel, watched: tuple[str, ...]) -> None:
    """It is done while the rows are still there."""
    panel.publish(export(users(3), revision=1))
    node.once(*watched)
    panel.publish(export(users(2), revision=2))
    node.once(*watched)
    assert node.maps_written() == 2
    assert len(copy(node, 2)) == 2
    node.database = node.folder / "users.db"
    assert len(node.emails()) == 3


def test_an_alias_keeps_its_goal_until_the_new_one_is_there(node: Node, panel: FakePanel) -> None:
    maps = node.with_maps('for a; do case "$a" in cdb:*/aliases) cat "${a#cdb:}" >&9; esac; done')
    script = Path(maps[3])
    script.write_text(script.read_text().replace(">&9", f">> {node.folder}/aliases"))
    panel.publish(export(users(2), revision=1, aliases=(ALIAS,)))
    node.once(*maps)
    moved = {"address": "sales@example.nl", "goto": ["new@example.nl"]}
    panel.publish(export([users(2)[0], user("new@example.nl")], revision=2, aliases=(moved,)))
    node.once(*maps)
    old = "sales@example.nl user0@example.nl, x@else.example"
    seen = (node.folder / "aliases").read_text().splitlines()
    assert seen == [old, old, "sales@example.nl new@example.nl"]


@pytest.mark.parametrize("script", ["echo 'fatal: no such type' >&2; exit 1", "exit 0", "/x"])
def test_a_postmap_that_fails_is_told_and_tried_again(
    node: Node, panel: FakePanel, script: str
) -> None:
    panel.publish(export(users(3), revision=1))
    node.once(*node.with_maps())
    broken = ("--maps", str(node.maps), "--postmap", "/nowhere/postmap")
    panel.publish(export([*users(2), user("new@example.nl")], revision=2))
    result = node.once(*(broken if script == "/x" else node.with_maps(script)))
    assert result.code == 1
    assert "maps for Postfix are not up to date" in result.err
    assert node.meta()["revision"] == "2"
    assert "user2@example.nl" in node.map("mailboxes")
    assert "maps for Postfix" in node.status()
    assert panel.reports[-1]["error"] == node.note()["problem"]
    assert panel.reports[-1]["revision"] == 2
    assert node.once(*node.with_maps()).code == 0
    assert sorted(node.map("mailboxes")) == node.emails()
    assert panel.reports[-1]["error"] is None


@pytest.mark.parametrize("writing", [2, 3])
def test_a_crash_in_between_is_mended(node: Node, panel: FakePanel, writing: int) -> None:
    """While the addresses that go, or those that come, are written."""
    panel.publish(export(users(3), revision=1))
    node.once(*node.with_maps())
    panel.publish(export([*users(2), user("new@example.nl")], revision=2))
    crash = node.with_maps(f"test $(wc -l < {node.mapped}) != {writing} || kill -9 $PPID")
    process = node.start("once", *node.options(*crash))
    process.communicate(timeout=60)
    assert process.returncode == -9
    panel.always(b"", status=503)
    node.once(*node.with_maps())
    assert sorted(node.map("mailboxes")) == node.emails()
    panel.behaviour = panel.serve
    assert node.once(*node.with_maps()).code == 0
    assert sorted(node.map("mailboxes")) == node.emails()
    assert "new@example.nl" in node.emails()
    assert len(list(node.maps.iterdir())) == 5


def test_maps_that_are_missing_are_made(node: Node, panel: FakePanel) -> None:
    panel.publish(export(users(3), revision=1))
    node.once()
    assert node.once(*node.with_maps()).code == 0
    (node.maps / "aliases.cdb").unlink()
    node.once(*node.with_maps())
    assert node.map("aliases") == {}


def test_status_tells_of_the_maps(node: Node, panel: FakePanel) -> None:
    maps = node.with_maps()
    told = ("status", "--state", str(node.state), *maps)
    assert "not all of them" in node.call(*told).out
    node.once(*maps)
    assert f"maps      in {node.maps}, written 2" in node.call(*told).out
    panel.publish(export(users(3), revision=2))
    node.once()
    assert "to be written again" in node.call(*told).out


@pytest.mark.real
@pytest.mark.skipif(not shutil.which("postmap"), reason="NO POSTFIX HERE: apt install postfix-cdb")
def test_postfix_finds_what_is_there(node: Node, panel: FakePanel) -> None:
    etc = node.folder / "etc"
    etc.mkdir()
    (etc / "main.cf").write_text("compatibility_level = 3.6\n")
    (etc / "master.cf").touch()
    maps = ("--maps", str(node.maps), "--postmap", f"postmap -c {etc}")
    panel.publish(export(users(3), revision=1, aliases=(ALIAS,)))
    assert node.once(*maps).code == 0
    panel.publish(export([*users(2), user("new@example.nl")], revision=2, aliases=(ALIAS,)))
    assert node.once(*maps).code == 0

    def found(key: str, name: str) -> str:
        command = ["postmap", "-c", str(etc), "-q", key, f"cdb:{node.maps}/{name}"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    assert found("example.nl", "domains") == "OK"
    assert found("new@example.nl", "mailboxes") == "OK"
    assert found("user2@example.nl", "mailboxes") == ""
    assert found("sales@example.nl", "aliases") == "user0@example.nl, x@else.example"
