"""The node that the installer made of a whole system in a folder, whose mail servers run already.

For the live tests: they then run on that system's network, with MAILCOTE_LIVE_TREE naming it.
"""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.node.served_panel import ServedPanel
from tests.node.stage import DISKS, LiveNode

FOLDERS = {
    "etc": "etc/mailcote",
    "state": "var/lib/mailcote",
    "mail": "var/vmail",
    "told": "run/mailcote",
    "queue": "var/spool/postfix",
}
LOG = "var/log/mail.log"


class InstalledNode(LiveNode):
    """Its folders and ports are those of any node; the agent is the installed one."""

    def __init__(self, root: Path, panel: ServedPanel, key: str) -> None:
        self.root, self.panel, self.key = root, panel, key
        self.ports = {"imap": 143, "smtp": 25, "submissions": 465}
        self.has_small_disks = all(self.folder(name).is_mount() for name in DISKS)
        key_file = self.folder("etc") / "live.key"
        key_file.touch(mode=0o600)
        key_file.write_text(key)
        self._agent = ExitStack()

    def folder(self, name: str) -> Path:
        """As the installer made it."""
        return self.root / FOLDERS[name]

    @contextmanager
    def dovecot(self) -> Iterator[None]:
        """It runs."""
        yield

    @contextmanager
    def postfix(self) -> Iterator[None]:
        """So does this."""
        yield

    @property
    def log(self) -> str:
        """What Postfix has said."""
        return (self.root / LOG).read_text(errors="replace")

    def trust(self) -> ssl.SSLContext:
        """Its certificate is for another name than this computer's."""
        context = super().trust()
        context.check_hostname = False
        return context

    def deliver_what_waits(self) -> None:
        """Have its Postfix try again."""
        subprocess.run(["chroot", str(self.root), "postqueue", "-f"], check=True)

    def _running(self) -> list[str]:
        return self._command("run")

    def _command(self, verb: str) -> list[str]:
        installed = ("python3", "-I", "/usr/local/lib/mailcote/agent.py")
        other = ("--panel", self.panel.address, "--key-file", "/etc/mailcote/live.key")
        return ["chroot", str(self.root), *installed, verb, *other]
