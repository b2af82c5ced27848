"""`mailcote demo`: a panel with example data, and a mail node where Dovecot is installed."""

from __future__ import annotations

import http.client
import imaplib
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

from app import agent
from app.config import Settings
from app.demo import example
from app.demo.dovecot import is_installed, missing_packages
from tests.processes import eventually, free_port

from .mailcote import COMMAND, Mailcote, environment

needs_dovecot = pytest.mark.skipif(
    not is_installed(), reason=f"NOT TESTED: apt-get install {' '.join(missing_packages())}"
)
AGENT = Path(agent.__file__)
LAST_LINE = "Stop it with Ctrl-C."


@dataclass
class Demo:
    """A running demo, and what it has said so far."""

    process: subprocess.Popen[str]
    port: int
    lines: list[str] = field(default_factory=list)

    @property
    def mark(self) -> str:
        """What the environment of its panel's processes has."""
        return f"MAILCOTE_PUBLIC_URL=http://127.0.0.1:{self.port}"

    @property
    def text(self) -> str:
        """All that it has said."""
        return "\n".join(self.lines)

    def named(self, name: str) -> str:
        """The rest of the line that begins with this name."""
        [found] = re.findall(rf"^  {name}  +(.*)$", self.text, re.MULTILINE)
        return str(found)

    def listen(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.text
        return LAST_LINE in self.lines

    def ask(self, endpoint: str, token: str) -> tuple[int, object]:
        """The status and data of an operation without fields."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with closing(connection):
            headers = {"Authorization": f"Bearer {token}"}
            connection.request("GET", f"/iapi/project/1/email_account/{endpoint}", None, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def stop(self, number: int) -> int:
        """Its exit code after this signal."""
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def demo(instance: Path, program: list[str] = COMMAND, **changed: str) -> Iterator[Demo]:
    """A demo from its start; processes that it leaves behind are a failure."""
    port = free_port()
    variables = environment(Settings(instance=instance), MAILCOTE_WORKERS="1", **changed)
    process = subprocess.Popen(
        [*program, "demo", "--port", str(port)],
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    running = Demo(process, port)
    listener = threading.Thread(target=running.listen)
    listener.start()
    try:
        yield running
    finally:
        with suppress(subprocess.TimeoutExpired, ProcessLookupError):
            process.terminate()
            process.wait(60)
        left = [*processes_with(running.mark), *processes_of_session(process.pid)]
        for number in left:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        process.kill()
        process.wait()
        listener.join()
        assert process.stdout
        process.stdout.close()
    assert left == []


def processes_with(variable: str) -> list[int]:
    """The processes that were started with this in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if variable in path.read_text(errors="replace").split("\0"):
                found.append(int(path.parent.name))
    return found


def processes_of_session(leader: int) -> list[int]:
    """The living processes that were started in a process's session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _parent, _group, session = path.read_text().rpartition(")")[2].split()[:4]
            if int(session) == leader and state != "Z":
                found.append(int(path.parent.name))
    return found


def dovecots_below(folder: Path) -> list[str]:
    """The Dovecots that run on a configuration below a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            command = path.read_text(errors="replace")
            if str(folder) in command and "dovecot" in command:
                found.append(command)
    return found


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder for temporary files whose name is short enough for sockets."""
    folder = Path("/tmp") / f"mc{os.getpid()}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.real
@needs_dovecot
def test_it_prints_what_works_and_prints_the_same_again(tmp_path: Path, short: Path) -> None:
    instance = tmp_path / "instance"
    with demo(instance, TMPDIR=str(short)) as first:
        eventually(first.is_ready)
        assert f"Mailcote is at http://127.0.0.1:{first.port}" in first.text
        shows_that_tokens_and_curl_work(first)
        shows_that_the_mailbox_opens(first)
        shows_that_its_node_waits_for_changes(first, short)
        said = {name: first.named(name) for name in NAMES}
        keeps_to_itself(instance)
        assert len(dovecots_below(short)) > 0
        assert first.stop(signal.SIGTERM) == 0
        assert dovecots_below(short) == []
    assert list(short.iterdir()) == []

    with demo(instance, TMPDIR=str(short)) as second:
        eventually(second.is_ready)
        assert {name: second.named(name) for name in NAMES} == said
        assert second.ask("list-users", second.named("project token"))[0] == 200
        with demo(instance, TMPDIR=str(short)) as beside:
            eventually(beside.is_ready)
            assert {name: beside.named(name) for name in NAMES} == said
            shows_that_the_mailbox_opens(beside)
            assert beside.stop(signal.SIGINT) == 0
        assert second.ask("list-users", second.named("project token"))[0] == 200
        shows_that_the_mailbox_opens(second)
        assert second.stop(signal.SIGINT) == 0
    assert list(short.iterdir()) == []
    keeps_to_itself(instance)


NAMES = ("customer", "admin", "project token", "admin token", "mailbox")


def shows_that_tokens_and_curl_work(demo: Demo) -> None:
    project, admin = demo.named("project token"), demo.named("admin token")
    assert demo.ask("list-nodes", project)[0] == 403
    status, answer = demo.ask("list-nodes", admin)
    assert (status, '"name": "demo"' in json.dumps(answer)) == (200, True)
    commands = re.findall(r"^  (curl (?:.*\\\n)*.*)$", demo.text, re.MULTILINE)
    assert len(commands) >= 3
    for command in commands:
        if "imap://" in command and not is_curl_able("imap"):
            continue
        ran = subprocess.run(
            ["sh", "-c", command.replace("curl ", "curl --silent --show-error --fail ", 1)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, f"{command}\n{ran.stderr}"
        assert ran.stdout


def is_curl_able(protocol: str) -> bool:
    """Whether curl is here and speaks a protocol."""
    said = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True)
    return protocol in said.stdout.split()


def shows_that_the_mailbox_opens(demo: Demo) -> None:
    host, _, port = demo.named("IMAP").partition(":")
    user, password = re.split(" +password +", demo.named("mailbox"))
    assert processes_with(f"MAILCOTE_DEMO_IMAP_PORT={port}")  # so that the pages show it
    with imaplib.IMAP4(host, int(port)) as mail:
        assert mail.login(user, password)[0] == "OK"
        assert mail.select("INBOX")[0] == "OK"


def shows_that_its_node_waits_for_changes(demo: Demo, folder: Path) -> None:
    """The panel answers it when there is news, so that a change is live at once."""
    [state] = folder.glob("mailcote-demo.*/state")
    command = [sys.executable, str(AGENT), "status", "--state", str(state)]

    def status() -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    eventually(lambda: "answers when there is news" in status())


def keeps_to_itself(instance: Path) -> None:
    """Nothing of a real panel is there, and its secrets are for their owner only."""
    assert [path.name for path in instance.iterdir()] == ["demo"]
    assert not list(instance.rglob("panel.db*"))
    for path in (instance / "demo" / "secrets.json", instance / "demo" / "demo.db"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


LACKING = """
from app.cli import main
from app.demo import run

run.missing_packages = lambda: ["dovecot-core", "dovecot-imapd"]
main()
"""
WITHOUT_DOVECOT = [sys.executable, "-c", LACKING]


@pytest.mark.real
def test_without_dovecot_it_names_the_packages_and_goes_on(tmp_path: Path) -> None:
    with demo(tmp_path, program=WITHOUT_DOVECOT) as running:
        eventually(running.is_ready)
        assert "apt-get install dovecot-core dovecot-imapd" in running.text
        assert "IMAP" not in running.text
        assert running.ask("list-users", running.named("project token"))[0] == 200
        assert running.stop(signal.SIGTERM) == 0


PANEL_THAT_NEVER_ANSWERS = """
from app.cli import main
from app.demo import run

run._answers = lambda port: False
main()
"""


@pytest.mark.real
def test_it_ends_when_asked_to_while_it_starts(tmp_path: Path) -> None:
    with demo(tmp_path, program=[sys.executable, "-c", PANEL_THAT_NEVER_ANSWERS]) as running:
        eventually(lambda: bool(processes_with(running.mark)))
        assert running.stop(signal.SIGTERM) == 0
        assert LAST_LINE not in running.lines


@pytest.mark.real
def test_it_ends_with_its_panel(tmp_path: Path) -> None:
    with demo(tmp_path, program=WITHOUT_DOVECOT) as running:
        eventually(running.is_ready)
        os.kill(min(processes_with(running.mark)), signal.SIGTERM)
        assert running.process.wait(60) == 1
        eventually(lambda: "mailcote: The panel has ended by itself." in running.lines)


def test_it_refuses_a_port_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILCOTE_INSTANCE", str(tmp_path / "instance"))
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        mailcote = Mailcote(Settings(), reads_environment=True)
        sentence = mailcote.refused("demo", "--port", str(port))
    assert sentence == f"Cannot listen on 127.0.0.1, port {port}: Address already in use."
    assert not (tmp_path / "instance").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"admin_token": "x", "more": 1}'])
def test_secrets_that_cannot_be_read_are_made_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "demo.db").touch()
    (tmp_path / "secrets.json").write_text(text)
    assert example.secrets_of(tmp_path) is None


def test_secrets_without_their_panel_are_made_anew(tmp_path: Path) -> None:
    secrets = example.Secrets("1", "2", "3", "4", "5", "6")
    (tmp_path / "secrets.json").write_text(json.dumps(asdict(secrets)))
    assert example.secrets_of(tmp_path) is None
    (tmp_path / "demo.db").touch()
    assert example.secrets_of(tmp_path) == secrets
