"""The panel's and the agent's units under a real systemd, on a computer that is switched on."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.node import install_script
from tests.deploy import booted
from tests.deploy.booted import Computer
from tests.node.debian_tree import RELEASES
from tests.processes import eventually

LACKING = booted.lacking()
pytestmark = [
    pytest.mark.real,
    pytest.mark.long,
    pytest.mark.skipif(bool(LACKING), reason=f"THE UNITS ARE NOT TESTED under systemd: {LACKING}"),
]

ADDRESS = "http://127.0.0.1:8000"
PASSWORD, NEW = "correct horse battery staple", "a new pass phrase"
PANEL, AGENT = "mailcote.service", "mailcote-agent.service"
STATUS = ("python3", "-I", "/usr/local/lib/mailcote/agent.py", "status")
SERVED = ["dovecot.service", "postfix.service", AGENT, PANEL]


class Panel:
    """The panel on that computer: one project, and an admin's token."""

    def __init__(self, computer: Computer) -> None:
        self.computer = computer
        self.project = self.mailcote("project", "add", "The bakery")
        self.token = self.mailcote("token", "add", "--admin")
        self.call("add-domain", domain="example.nl", project_id=int(self.project))
        self.call("enable-email", domain="example.nl")

    def mailcote(self, *arguments: str) -> str:
        """The operator's command; the last line it prints."""
        return self.computer.says("mailcote", *arguments).splitlines()[-1]

    def call(self, endpoint: str, **fields: Any) -> dict[str, Any]:
        """Call an operation, which has to succeed; its data."""
        request = [
            *("--header", f"Authorization: Bearer {self.token}"),
            *("--header", "Content-Type: application/json", "--data", json.dumps(fields)),
            f"{ADDRESS}/iapi/project/{self.project}/email_account/{endpoint}",
        ]
        answer = json.loads(self.computer.says("curl", "-sS", *request))
        assert answer["success"], answer
        data: dict[str, Any] = answer["data"]
        return data

    def add(self, name: str, **fields: Any) -> str:
        """A mailbox; its address."""
        email = f"{name}@example.nl"
        self.call("add-user", email=email, password=PASSWORD, **fields)
        return email


@pytest.fixture(scope="module", params=RELEASES)
def panel(request: pytest.FixtureRequest) -> Iterator[Panel]:
    """A panel, which is a mail node of its own, too: both as their guides say."""
    try:
        with booted.panel(request.param) as computer:
            # Booted, it reaches nothing outside: what the installer installs is there by then.
            functions = install_script(ADDRESS).removesuffix('main "$@"\n')
            computer.prepare(functions, "with_packages=yes work=/tmp; install_packages")
            computer.switch_on()
            made = Panel(computer)
            made.add("info", quota_mb=7)
            made.add("no-login")
            made.call("update-user", email="no-login@example.nl", can_login=False)
            key = made.mailcote("node", "add", "mpi01", "--ip", "127.0.0.1")
            command = f"curl -fsS {ADDRESS}/sync/v1/install.sh | sh -s -- --key {key}"
            computer.says("sh", "-c", command)
            yield made
    except OSError as error:
        pytest.skip(f"THE UNITS ARE NOT TESTED under systemd on {request.param}: {error}")


def signs_in(panel: Panel, email: str, password: str = PASSWORD) -> bool:
    """Whether Dovecot takes somebody's password."""
    return panel.computer.run("doveadm", "auth", "test", email, password).returncode == 0


def is_running(panel: Panel, unit: str) -> bool:
    return panel.computer.run("systemctl", "is-active", unit).stdout == "active\n"


def test_it_works(panel: Panel) -> None:
    computer = panel.computer
    assert all(is_running(panel, unit) for unit in SERVED)
    assert computer.says("systemctl", "--failed", "--plain", "--no-legend") == ""
    visit = ("-m", "tests.node.visit", f"{computer.root}/etc/mailcote/tls.crt", PASSWORD)
    command = [*computer.beside(), sys.executable, *visit]
    visited = subprocess.run(command, capture_output=True, text=True)
    assert visited.returncode == 0, visited.stderr
    answers = json.loads(visited.stdout)
    assert (answers["info"], answers["as info"], answers["nobody"]) == (250, 250, 550)
    assert (answers["messages"], answers["login refused"]) == (3, True)
    email = panel.add("anna")
    eventually(lambda: signs_in(panel, email))
    assert "ok     nodes are told" in computer.says("mailcote", "check")
    backup = "/var/backups/mailcote/Mon"
    panel.mailcote("backup", backup)
    assert computer.says("stat", "-c", "%a %U", backup) == "600 mailcote"
    database = "/var/lib/mailcote-panel/panel.db"
    assert computer.says("stat", "-c", "%a %U", database) == "600 mailcote"


@pytest.mark.parametrize(("unit", "most"), {PANEL: 20, AGENT: 40}.items())
def test_systemd_finds_nothing_wrong_with_a_unit(panel: Panel, unit: str, most: int) -> None:
    verified = panel.computer.run("systemd-analyze", "verify", "--man=no", unit)
    assert unit not in verified.stderr
    judged = panel.computer.run("systemd-analyze", "security", f"--threshold={most}", unit)
    assert judged.returncode == 0, judged.stdout[-200:]


def test_the_panel_has_no_more_than_its_folder(panel: Panel) -> None:
    """The kernel's word for it (https://man7.org/linux/man-pages/man5/proc_pid_status.5.html)."""
    main = panel.computer.shows(PANEL, "MainPID")
    told = dict(
        line.split(":\t", 1)
        for line in panel.computer.says("cat", f"/proc/{main}/status").splitlines()
        if ":\t" in line
    )
    assert (told["NoNewPrivs"], told["Seccomp"]) == ("1", "2")
    assert int(told["CapEff"], 16) == int(told["CapBnd"], 16) == 0
    there = f"/proc/{main}/root"
    mounts = panel.computer.says("cat", f"/proc/{main}/mountinfo").splitlines()
    options = {fields[4]: fields[5].split(",") for fields in map(str.split, mounts)}
    assert "ro" in options["/"]
    assert "rw" in options["/var/lib/mailcote-panel"]
    assert panel.computer.run("ls", "-A", f"{there}/root").stdout == ""


ASKING = """
import http.client, json, sys, threading, time
path, token = sys.argv[1:]
codes, enough = {}, threading.Event()
def ask():
    while not enough.is_set():
        try:
            line = http.client.HTTPConnection("127.0.0.1", 8000, timeout=60)
            line.request("GET", path, headers={"Authorization": "Bearer " + token})
            answer = str(line.getresponse().status)
            line.close()
        except Exception as error:
            answer = repr(error)
        codes[answer] = codes.get(answer, 0) + 1
asking = threading.Thread(target=ask)
asking.start()
sys.stdin.read()
so_far = sum(codes.values())
while sum(codes.values()) < so_far + 10:
    time.sleep(0.01)
enough.set()
asking.join()
print(json.dumps(codes))
"""


@contextmanager
def being_asked(panel: Panel, answers: dict[str, int]) -> Iterator[None]:
    """One call after the other, and ten in the end; `answers` is then how often each came."""
    path = f"/iapi/project/{panel.project}/email_account/list-users"
    command = [*panel.computer.beside(), sys.executable, "-c", ASKING, path, panel.token]
    asking = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield
    finally:
        answers.update(json.loads(asking.communicate()[0]))


def workers(panel: Panel) -> set[str]:
    """The processes that answer, once all of them are there."""
    main = panel.computer.shows(PANEL, "MainPID")
    return set(panel.computer.says("cat", f"/proc/{main}/task/{main}/children").split())


def test_a_reload_refuses_no_request(panel: Panel) -> None:
    answers: dict[str, int] = {}
    main, before = panel.computer.shows(PANEL, "MainPID"), workers(panel)
    assert before
    with being_asked(panel, answers):
        panel.computer.says("systemctl", "reload", PANEL)
        eventually(lambda: len(workers(panel) - before) == len(before) == len(workers(panel)))
    assert answers.keys() == {"200"}
    assert panel.computer.shows(PANEL, "MainPID") == main


def test_whoever_is_killed_is_started_again(panel: Panel) -> None:
    before = {unit: panel.computer.shows(unit, "MainPID") for unit in (PANEL, AGENT)}
    for process in before.values():
        panel.computer.says("sh", "-c", f"kill -KILL {process}")
    for unit, process in before.items():
        eventually(
            lambda unit=unit, process=process: (
                is_running(panel, unit)  # type: ignore[misc]
                and panel.computer.shows(unit, "MainPID") not in (process, "0")
            )
        )
    eventually(lambda: panel.computer.run("curl", "-fsS", f"{ADDRESS}/readyz").returncode == 0)
    email = panel.add("killed")
    eventually(lambda: signs_in(panel, email))


SESSION = """
import imaplib, sys, time
client = imaplib.IMAP4("127.0.0.1", 143, timeout=60)
client.starttls(__import__("ssl")._create_unverified_context())
client.login(*sys.argv[1:])
print("in", flush=True)
try:
    while True:
        client.noop()
        time.sleep(0.1)
except (imaplib.IMAP4.abort, OSError):
    print("ended")
"""


def test_the_agent_can_do_all_its_work(panel: Panel) -> None:
    """End sessions, measure, and put away stored mail: each needs something of the computer."""
    computer, email = panel.computer, panel.add("worked-on")
    eventually(lambda: signs_in(panel, email))
    command = [*computer.beside(), sys.executable, "-c", SESSION, email, PASSWORD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as session:
        assert session.stdout
        assert session.stdout.readline() == "in\n"
        panel.call("update-password", email=email, password=NEW)
        guard = threading.Timer(60, session.kill)
        guard.start()
        assert session.stdout.readline() == "ended\n"
        guard.cancel()
    eventually(lambda: signs_in(panel, email, NEW))
    stored = computer.says("doveadm", "user", "-f", "home", email)
    computer.says("doveadm", "mailbox", "create", "-u", email, "Kept")
    assert Path(stored).parent == Path("/var/vmail")
    panel.call("remove-user", email=email, hard_delete=True)
    eventually(lambda: computer.run("test", "-e", stored).returncode == 1)
    assert computer.says("ls", "/var/vmail/.purged").startswith(Path(stored).name)
    eventually(lambda: "wrong     nothing" in computer.says(*STATUS))
    [node] = panel.call("list-nodes")["nodes"]
    assert node["state"] == "up"


def test_all_comes_back_after_a_power_cut(panel: Panel) -> None:
    email = panel.add("lasting")
    eventually(lambda: signs_in(panel, email))
    panel.computer.cut_power()
    panel.computer.switch_on()
    eventually(lambda: all(is_running(panel, unit) for unit in SERVED))
    assert signs_in(panel, email)
    later = panel.add("later")
    eventually(lambda: signs_in(panel, later))
    assert panel.computer.says("ls", "/run/mailcote") == "logins\nusage"


def test_uninstalling_stops_what_it_started(panel: Panel) -> None:
    installer = ("sh", "-s", "--")
    [key] = panel.computer.says("cat", "/etc/mailcote/sync.key").split()
    script = install_script(ADDRESS)
    panel.computer.says(*installer, "--uninstall", text=script)
    assert not is_running(panel, AGENT)
    assert not is_running(panel, "postfix.service"), "there was none before"
    assert panel.computer.run("systemctl", "cat", AGENT).returncode != 0
    assert is_running(panel, PANEL)
    panel.computer.says(*installer, "--key", key, text=script)
    assert all(is_running(panel, unit) for unit in SERVED)
    again = panel.computer.says(*installer, "--key", key, text=script)
    assert "Nothing had to be changed" in again
    assert signs_in(panel, "info@example.nl")
