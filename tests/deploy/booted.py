"""A whole Debian that is booted, in a folder: its own systemd, processes, users and network.

systemd-nspawn(1) starts it, without a systemd outside. What it cannot take from the kernel it
shares, such as limits where cgroups are of the first version, systemd does without.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.node import debian_tree
from tests.processes import PATIENCE, eventually

PACKAGES = ("systemd", "systemd-sysv", "dbus", "python3-venv", "curl")
TRUSTED = Path("/etc/ssl/certs/ca-certificates.crt")  # by who installs from here
SHARED = ("app", "templates", "static", "pyproject.toml", "README.md", "wsgi.py")
CHECKOUT = Path(__file__).parents[2]


def lacking() -> str:
    """Why nothing can be booted here; empty when it can be tried."""
    if why := debian_tree.lacking():
        return why
    return "" if shutil.which("systemd-nspawn") else "it needs systemd-container"


class Computer:
    """A system in this folder, and what runs while it is on."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._nspawn: subprocess.Popen[bytes] | None = None

    def prepare(self, *commands: str) -> None:
        """Run commands of a shell in the folder, on this computer's network, and have them
        succeed."""
        variables = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        script = "set -eu; export DEBIAN_FRONTEND=noninteractive LC_ALL=C\n" + "\n".join(commands)
        done = debian_tree.run(self.root, "sh", text=script, environment=variables)
        assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]

    def switch_on(self) -> None:
        """Boot, until everything that is enabled has been started."""
        self._nspawn = subprocess.Popen(
            [
                *("systemd-nspawn", "--boot", "--directory", str(self.root), "--quiet"),
                *("--register=no", "--keep-unit", "--private-network", "--console=pipe"),
                *("--machine", f"mailcote-{os.getpid()}"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # It lends the two versions of cgroups no longer to a system that knows only one.
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        )
        eventually(lambda: bool(self._first_process()))
        eventually(lambda: self.run("systemctl", "is-system-running").stdout in UP)

    def cut_power(self) -> None:
        """End all its processes at once, if it is on."""
        if self._nspawn:
            if first := self._first_process():
                with suppress(ProcessLookupError):
                    os.kill(int(first), 9)
            else:
                self._nspawn.kill()
            self._nspawn.wait(PATIENCE)
            self._nspawn = None

    def run(self, *command: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """A command in it."""
        return subprocess.run(
            [*self.inside(), *command],
            input=text,
            capture_output=True,
            text=True,
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        )

    def says(self, *command: str, text: str = "") -> str:
        """What a command says in it, which has to succeed."""
        done = self.run(*command, text=text)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout.strip()

    def inside(self) -> Sequence[str]:
        """The beginning of a command that runs in it."""
        return ("nsenter", "--all", "--target", self._first_process())

    def beside(self) -> Sequence[str]:
        """The beginning of a command that runs on its network, but outside of it."""
        return ("nsenter", f"--net=/proc/{self._first_process()}/ns/net")

    def shows(self, unit: str, name: str) -> str:
        """What systemd knows of a unit."""
        return self.says("systemctl", "show", "--value", "--property", name, unit)

    def _first_process(self) -> str:
        """The number of its systemd, out here; empty while there is none."""
        assert self._nspawn and self._nspawn.poll() is None, "it is off"
        task = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
        for child in task.read_text().split():
            with suppress(OSError):  # it has just ended
                if Path(f"/proc/{child}/comm").read_text() == "systemd\n":
                    return child
        return ""


UP = ("running\n", "degraded\n")


@contextmanager
def panel(release: str) -> Iterator[Computer]:
    """A computer that is off, with the panel installed as the guide says (_operating.html)."""
    with debian_tree.tree(release) as root:
        computer = Computer(root)
        if TRUSTED.exists():
            shutil.copy(TRUSTED, root / TRUSTED.relative_to("/"))
        for name in SHARED:
            source, target = CHECKOUT / name, root / "opt/mailcote" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        computer.prepare(*_INSTALL)
        try:
            yield computer
        finally:
            computer.cut_power()


_INSTALL = (
    f"apt-get update -q && apt-get install -y -q --no-install-recommends {' '.join(PACKAGES)}",
    "useradd --system --home-dir /var/lib/mailcote-panel --shell /usr/sbin/nologin mailcote",
    "cd /opt/mailcote && python3 -m venv .venv",
    ".venv/bin/pip install -q --require-hashes --only-binary=:all: -r app/deploy/requirements.lock",
    ".venv/bin/pip install -q --no-index --no-deps --no-build-isolation -e .",
    "install -d -m 0700 /etc/mailcote",
    "install -d -m 0700 -o mailcote -g mailcote /var/backups/mailcote",
    "install -m 0755 app/deploy/mailcote /usr/local/sbin/",
    "install -m 0644 app/deploy/mailcote.service /etc/systemd/system/",
    "systemctl enable mailcote",
)
