"""Options, the configuration file and the key file; what is wrong with them exits with 2."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .fake_panel import FakePanel
from .mail_node import KEY, PROGRAM, Node


def written(node: Node, *lines: str, section: str = "[agent]") -> str:
    path = node.folder / "agent.ini"
    path.write_text("\n".join([section, *lines, ""]))
    return str(path)


def rejects(node: Node, reason: str, *arguments: str) -> None:
    result = node.call(*arguments)
    assert (result.code, result.out) == (2, "")
    assert reason in result.err
    assert result.err.count("\n") == 1
    assert not node.state.exists()


def test_it_works(node: Node, panel: FakePanel) -> None:
    lines = [
        f"panel = {panel.url}/",
        f"key-file = {node.key_file}",
        f"state = {node.state}",
        f"maps = {node.folder}/maps",
        f"postmap = {node.postmap()} -c /etc/postfix",
        "doveadm =",
        "mail = /srv/mail",
        "usage = /run/mailcote/usage",
        "logins = /run/mailcote/logins",
        "wait = 25",
        "interval = 60",
        "timeout = 60",
    ]
    assert node.call("once", "--config", written(node, *lines)).code == 0
    assert node.database.exists()


def test_it_takes_every_option(node: Node) -> None:
    more = ("--maps", "/m", "--postmap", "", "--doveadm", "", "--mail", "/mail")
    assert node.once(*more, "--wait", "0", "--interval", "1.5", "--timeout", "9").code == 0


def test_an_option_wins_over_the_file(node: Node, panel: FakePanel) -> None:
    config = written(node, "panel = https://panel.invalid", f"state = {node.folder}/other")
    assert node.once("--config", config).code == 0
    assert node.database.exists()


def test_it_needs_nothing_but_this_one_file(tmp_path: Path) -> None:
    alone = shutil.copy(PROGRAM, tmp_path / "agent.py")
    command = [sys.executable, "-I", "-S", str(alone), "--version"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.startswith("mailcote-agent ")


@pytest.mark.parametrize("name", ["panel", "key-file", "state"])
def test_it_names_what_is_not_set(node: Node, name: str) -> None:
    rejects(node, f"{name} is not set", "once", *node.options(f"--{name}", ""))


def test_it_rejects_a_file_that_is_not_there(node: Node) -> None:
    rejects(node, "does not exist", "once", *node.options("--config", "/nowhere/agent.ini"))


@pytest.mark.parametrize(
    ("section", "line", "reason"),
    [
        ("[agent]", "pannel = https://panel.example", "unknown name: pannel"),
        ("[agent]", f"key = {KEY}", "unknown name: key"),
        ("[agent]", f"{KEY}", "not a valid INI file"),
        ("[agent]", "wait = 1\nwait = 2", "not a valid INI file"),
        ("[agents]", "wait = 1", "one section, [agent]"),
        ("", "wait = 1", "not a valid INI file"),
    ],
)
def test_it_rejects_a_file_with_a_mistake(node: Node, section: str, line: str, reason: str) -> None:
    config = written(node, line, section=section)
    rejects(node, reason, "once", *node.options("--config", config))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("wait", "56"),
        ("wait", "-1"),
        ("wait", "soon"),
        ("interval", "0"),
        ("interval", "nan"),
        ("timeout", "inf"),
        ("timeout", ""),
        ("doveadm", "doveadm 'kick"),
    ],
)
def test_it_rejects_a_value(node: Node, option: str, value: str) -> None:
    rejects(node, option, "once", *node.options(f"--{option}", value))


@pytest.mark.parametrize(
    "url",
    [
        "http://panel.example",
        "http://192.0.2.1",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "http://127.1",
        "ftp://127.0.0.1",
        "panel.example",
        "https://",
        "https://user@panel.example",
        "https://panel.example/?a=b",
        "https://panel.example/#a",
        "https://panel.example\r\nX: y",
        "https://panel.example:port",
        "https://[::1",
        "https://münchen.example",
    ],
)
def test_it_rejects_a_panel_that_would_see_the_key_in_the_open(node: Node, url: str) -> None:
    rejects(node, "panel", "once", *node.options("--panel", url))


def test_it_accepts_plain_http_on_loopback(node: Node, panel: FakePanel) -> None:
    port = panel.url.rpartition(":")[2]
    assert node.once("--panel", f"http://localhost:{port}").code == 0


@pytest.mark.parametrize("content", [b"", b"wpa_abc", b"mck_a b", b"mck_a\nmck_b", b"mck_\xc3\xa9"])
def test_it_rejects_a_key_file_without_a_key(node: Node, content: bytes) -> None:
    node.key_file.write_bytes(content)
    rejects(node, "does not hold a sync key", "once", *node.options())


def test_it_rejects_a_key_file_that_is_not_there(node: Node) -> None:
    rejects(node, "No such file", "once", *node.options("--key-file", "/nowhere/key"))


def test_it_does_not_repeat_a_key_in_the_wrong_place(node: Node) -> None:
    rejects(node, "mck_***", "once", *node.options("--key-file", KEY))
    rejects(node, "mck_***", "once", *node.options("--key", KEY))
    rejects(node, "mck_***", KEY)


def test_it_rejects_no_command(node: Node) -> None:
    rejects(node, "command", *node.options())
