"""The installer on whole Debian systems: it makes a node that serves mail, and undoes it."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import pytest

from app.node import install_script
from tests.agent.fake_panel import FakePanel, Handler, export, user
from tests.node import debian_tree
from tests.node.installed_node import FOLDERS, LOG
from tests.node.stage import DISKS, TREE, small_disk

LACKING = debian_tree.lacking()
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(bool(LACKING), reason=f"THE INSTALLER IS NOT TESTED on a Debian: {LACKING}"),
]

KEY = "mck_Zm9vYmFyYmF6cXV4MDEyMzQ1Njc4OQ"
PASSWORD = "correct horse battery staple"
LIVE = "tests/node/test_live.py"
APP = Path(__file__).parents[2] / "app"
CONFIGURED = ("dovecot-core", "dovecot-imapd", "postfix")
# Where a node's state is, and what changes by itself.
WATCHED = ("etc", "usr/local", "usr/sbin", "var/lib/mailcote/maps", "var/vmail")


@dataclass
class Computer:
    """A Debian, the panel it may be a node of, and what the first installation said."""

    root: Path
    panel: FakePanel
    series: str
    said: str = ""

    def install(self, *options: str, key: str = KEY) -> subprocess.CompletedProcess[str]:
        """Run what the panel sends, as its one command does."""
        script = install_script(self.panel.url)
        credential = ("--key", key) if "--uninstall" not in options else ()
        result = debian_tree.run(self.root, "sh", "-s", "--", *credential, *options, text=script)
        assert key not in result.stdout + result.stderr
        return result

    def files(self) -> dict[str, tuple[int, str]]:
        """Each file's mode and digest."""
        found = {}
        for folder in WATCHED:
            for path in sorted((self.root / folder).rglob("*")):
                if path.is_file() and not path.is_symlink():
                    digest = hashlib.sha256(path.read_bytes()).hexdigest()
                    found[str(path.relative_to(self.root))] = (path.stat().st_mode, digest)
        return found

    def mode(self, name: str) -> int:
        return stat.S_IMODE((self.root / name).stat().st_mode)


@pytest.fixture(scope="module", params=debian_tree.RELEASES)
def computer(request: pytest.FixtureRequest) -> Iterator[Computer]:
    panel = FakePanel()
    panel.behaviour = lambda handler: answer(panel, handler)
    digest = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    secret = "{BLF-CRYPT}" + digest.replace("$2b$", "$2y$", 1)
    boxes = [
        user("info@example.nl", password=secret, quota_mb=7),
        user("no-login@example.nl", password=secret, login=False),
    ]
    panel.answer = export(boxes)
    with closing(panel):
        try:
            with debian_tree.tree(request.param) as root:
                found = Computer(root, panel, debian_tree.RELEASES[request.param])
                first = found.install("--hostname", "mail.example.nl")
                assert first.returncode == 0, first.stdout + first.stderr
                found.said = first.stdout
                yield found
        except OSError as error:
            pytest.skip(f"THE INSTALLER IS NOT TESTED on {request.param}: {error}")


def answer(panel: FakePanel, handler: Handler) -> None:
    if handler.path == "/sync/v1/agent.py":
        program = (APP / "agent.py").read_bytes()
        handler.reply(200, {"Content-Type": "text/x-python"}, program)
    elif handler.headers["Authorization"] != f"Bearer {KEY}":
        handler.reply(401, {"Content-Type": "application/json"}, b"{}")
    else:
        panel.serve(handler)


def test_it_works(computer: Computer) -> None:
    assert "1 domains, 2 mailboxes, 0 aliases" in computer.said
    assert "nothing was started" in computer.said
    assert computer.mode("etc/mailcote/sync.key") == 0o600
    assert computer.mode("etc/mailcote/tls.key") == 0o600
    assert computer.mode("var/lib/mailcote/users.db") == 0o640
    assert computer.mode("var/lib/mailcote") == 0o750
    assert computer.mode("var/vmail") == 0o750
    assert (computer.root / "var/vmail").stat().st_uid == 5000
    config = (computer.root / "etc/dovecot/dovecot.conf").read_text()
    assert f"installer for Dovecot {computer.series}" in config
    assert (computer.root / "etc/dovecot/dovecot.conf.before-mailcote").exists()
    assert not (computer.root / "usr/sbin/policy-rc.d").exists()


def test_it_serves_mail(computer: Computer) -> None:
    certificate = computer.root / "etc/mailcote/tls.crt"
    with debian_tree.serving(computer.root) as beside:
        visit = [sys.executable, "-m", "tests.node.visit", str(certificate), PASSWORD]
        result = subprocess.run([*beside, *visit], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == {
        "info": 250,
        "info+tag": 250,
        "nobody": 550,
        "relay": 554,
        "open": [25, 143, 465, 587, 993, 995],
        "as info": 250,
        "as someone-else": 553,
        "messages": 3,
        "quota": '"User quota" (STORAGE 2 7168)',
        "login refused": True,
    }


def test_a_second_time_changes_nothing(computer: Computer) -> None:
    before = computer.files()
    result = computer.install()
    assert (result.returncode, result.stderr) == (0, "")
    assert "Nothing had to be changed" in result.stdout
    assert "the mail node mail.example.nl" in result.stdout  # its name is remembered
    assert computer.files() == before


def test_it_rejects_a_wrong_key(computer: Computer) -> None:
    before = computer.files()
    result = computer.install(key="mck_AAAABBBBCCCCDDDDEEEEFFFF")
    assert result.returncode == 1
    assert "401" in result.stderr
    assert "nothing was configured" in result.stderr
    assert computer.files() == before


def test_it_rejects_what_is_not_the_agent(computer: Computer) -> None:
    before, behaviour = computer.files(), computer.panel.behaviour
    computer.panel.always(b"<html>We are being repaired.</html>")
    result = computer.install()
    computer.panel.behaviour = behaviour
    assert result.returncode == 1
    assert "is not the agent" in result.stderr
    assert computer.files() == before


def test_it_rejects_another_system(computer: Computer) -> None:
    release = computer.root / "usr/lib/os-release"
    own = release.read_text()
    release.write_text('ID=ubuntu\nVERSION_ID="24.04"\n')
    result = computer.install()
    release.write_text(own)
    assert result.returncode == 1
    assert "this is 'ubuntu 24.04'" in result.stderr


@pytest.mark.parametrize("option", [(), ("--uninstall",)])
def test_it_rejects_a_folder_with_the_panels_own_data(
    computer: Computer, option: tuple[str, ...]
) -> None:
    panels = computer.root / "var/lib/mailcote/panel.db"
    panels.write_text("mailboxes")
    before = computer.files()
    result = computer.install(*option)
    assert result.returncode == 1
    assert "The panel keeps its data in /var/lib/mailcote" in result.stderr
    assert computer.files() == before
    assert panels.read_text() == "mailboxes"
    panels.unlink()


def test_settings_of_ones_own_and_a_real_certificate_stay(computer: Computer) -> None:
    own = computer.root / "etc/mailcote/dovecot-local.conf"
    own.write_text("mail_max_userip_connections = 7\n")
    before = computer.files()
    assert computer.install().returncode == 0
    assert computer.files() == before
    shown = debian_tree.run(computer.root, "doveconf", "-h", "mail_max_userip_connections")
    own.unlink()
    assert shown.stdout == "7\n"


def test_where_systemd_runs_it_starts_what_is_not_running(computer: Computer) -> None:
    """No systemd runs in a folder: a stand-in notes what it is told, and knows what runs."""
    stand_in = computer.root / "usr/local/bin/systemctl"
    stand_in.parent.mkdir(parents=True, exist_ok=True)
    stand_in.write_text(
        '#!/bin/sh\necho "$@" >>/tmp/told\n'
        'case $1 in is-active) grep -q "restart $3" /tmp/told ;; esac\n'
    )
    stand_in.chmod(0o755)
    systemd, told = computer.root / "run/systemd/system", computer.root / "tmp/told"
    systemd.mkdir(parents=True)
    first, second = computer.install(), computer.install()
    stand_in.unlink()
    systemd.rmdir()
    assert (first.returncode, first.stderr, second.returncode) == (0, "", 0)
    services = [f"{name}.service" for name in ("mailcote-agent", "dovecot", "postfix")]
    assert [line for line in first.stdout.splitlines() if line.startswith("Started")] == [
        f"Started {service}" for service in services
    ]
    assert "Nothing had to be changed" in second.stdout
    calls = told.read_text().splitlines()
    told.unlink()
    assert [call for call in calls if call.startswith("restart")] == [
        f"restart {service}" for service in services
    ]
    assert any(call.startswith("enable ") and services[0] in call for call in calls)


def test_uninstall_keeps_the_mail_and_puts_back_the_rest(computer: Computer) -> None:
    before = computer.files()
    letter = computer.root / "var/vmail/letter"
    letter.write_text("Dear Anna")
    former = {
        name: (computer.root / f"{name}.before-mailcote").read_text()
        for name in ("etc/dovecot/dovecot.conf", "etc/postfix/master.cf")
    }
    result = computer.install("--uninstall")
    assert (result.returncode, result.stderr) == (0, "")
    assert "rm -r /var/vmail" in result.stdout
    assert letter.read_text() == "Dear Anna"
    assert {name: (computer.root / name).read_text() for name in former} == former
    assert debian_tree.run(computer.root, "dpkg", "--verify", *CONFIGURED).stdout == ""
    assert not (computer.root / "etc/postfix/main.cf").exists()
    assert [*computer.root.rglob("*mailcote*")] == []
    bare = computer.files()
    second = computer.install("--uninstall")
    assert (second.returncode, second.stderr) == (0, "")
    assert "yours" not in second.stdout, "there is nothing left"
    assert computer.files() == bare
    letter.unlink()
    again = computer.install("--hostname", "mail.example.nl", "--no-packages")
    assert again.returncode == 0, again.stderr
    after = computer.files()
    for made in ("etc/mailcote/tls.crt", "etc/mailcote/tls.key"):
        assert after.pop(made) != before.pop(made), "made anew"
    assert after == before


def test_it_lives(computer: Computer) -> None:
    """All that the live tests try, with what this release brings."""
    state, mail = (computer.root / FOLDERS[name] for name in DISKS)
    # On the disks that are filled up, the agent makes its state anew.
    with (
        lively(computer),
        small_disk(state),
        small_disk(mail),
        debian_tree.serving(computer.root) as beside,
    ):
        live = [*beside, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", LIVE]
        environment = {**os.environ, TREE: str(computer.root)}
        done = subprocess.run(live, env=environment, capture_output=True, text=True)
    assert (done.returncode, "skipped" in done.stdout) == (0, False), done.stdout[-5000:]


@pytest.mark.long
def test_homes_and_backups_live(computer: Computer) -> None:
    """All of placement, with this release's Dovecot and Postfix."""
    done = debian_tree.run_tests(computer.root, "tests/node/test_placement.py")
    assert (done.returncode, "skipped" in done.stdout) == (0, False), done.stdout[-5000:]


@contextmanager
def lively(computer: Computer) -> Iterator[None]:
    """Its servers make nobody wait meanwhile, and their log is where tests can read it."""
    etc = computer.root / "etc"
    main, before = etc / "postfix/main.cf", (etc / "postfix/main.cf").read_text()
    local = etc / "mailcote/dovecot-local.conf"
    local.write_text("auth_failure_delay = 0\nmail_fsync = never\n")
    settings = ("maillog_file_prefixes=/var", f"maillog_file=/{LOG}")
    assert debian_tree.run(computer.root, "postconf", "-e", *settings).returncode == 0
    yield
    main.write_text(before)
    local.unlink()
    (etc / "mailcote/live.key").unlink(missing_ok=True)
