"""A private Dovecot on the loopback address that reads the agent's file, for a demo and for tests.

As root it keeps mail under the numeric owner 5000, as a node does; as an ordinary user everything
belongs to that user. Sources: https://doc.dovecot.org/2.3/ and https://doc.dovecot.org/2.4.0/.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Self

VMAIL = 5000
START_SECONDS = 15
STOP_SECONDS = 10
# The path of a unix socket has room for 107 bytes (unix(7)); Dovecot's own names take up to 30.
LONGEST_ROOT = 75
# Both paths end up inside SQL and inside Dovecot's configuration: nothing that has to be quoted.
PLAIN_PATH = re.compile(r"[A-Za-z0-9._/+@-]+")
# An ordinary user's PATH lacks /usr/sbin, where Debian keeps dovecot.
PROGRAMS = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])
LIBRARIES = [Path("/usr/lib/dovecot"), Path("/usr/libexec/dovecot"), Path("/usr/lib64/dovecot")]
# Debian's packages, and the file by which each is known to be there.
PACKAGES = {
    "dovecot-imapd": "imap",
    "dovecot-pop3d": "pop3",
    "dovecot-lmtpd": "lmtp",
    "dovecot-sqlite": "modules/auth/libdriver_sqlite.so",
}


class DovecotError(RuntimeError):
    """Dovecot is missing, is of an unknown version, or does not start; the message says which."""


def missing_packages() -> list[str]:
    """The Debian packages that have to be installed first; empty when all is there."""
    missing = [name for name, file in PACKAGES.items() if not _library(file)]
    return missing if _program("dovecot") and _program("doveadm") else ["dovecot-core", *missing]


def is_installed() -> bool:
    """Whether a private Dovecot can run here."""
    return not missing_packages()


class PrivateDovecot:
    """One Dovecot with its own folder, sockets and ports; a port of None or 0 is a free one.

    `users_db` is the file that the agent writes. It may come later: until then logins and mail
    get a temporary failure, and nothing has to be restarted once it is there.
    """

    def __init__(
        self,
        root: Path,
        users_db: Path,
        *,
        imap_port: int | None = None,
        lmtp_port: int | None = None,
        pop3_port: int | None = None,
    ) -> None:
        self.root = _plain(root.absolute())
        self.users_db = _plain(users_db.absolute())
        if len(os.fsencode(self.root)) > LONGEST_ROOT:
            raise DovecotError(
                f"{self.root} is too long for unix sockets: choose a shorter folder."
            )
        if missing := missing_packages():
            raise DovecotError(f"Dovecot is missing here: sudo apt install {' '.join(missing)}")
        free = free_ports(3)
        self.imap_port = imap_port or free[0]
        self.lmtp_port = lmtp_port or free[1]
        self.pop3_port = pop3_port or free[2]
        self.config = self.root / "dovecot.conf"
        self.mail = self.root / "mail"
        self._log = self.root / "dovecot.log"
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextlib.contextmanager
    def temporary(cls, users_db: Path, **ports: int | None) -> Iterator[Self]:
        """Run one in a short-lived folder; the folder and the mail in it go afterwards."""
        # A process that is just ending may still write: what is left then is not worth a failure.
        with (
            tempfile.TemporaryDirectory(prefix="mailcote-", ignore_cleanup_errors=True) as folder,
            cls(Path(folder), users_db, **ports) as dovecot,
        ):
            yield dovecot

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def doveadm(self) -> str:
        """The command that administers this Dovecot, as the agent's `--doveadm` takes it."""
        return shlex.join([_program("doveadm") or "doveadm", "-c", str(self.config)])

    @property
    def log(self) -> str:
        """All that Dovecot has written to its log so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def start(self) -> None:
        """Write the configuration, start, and return once IMAP and LMTP answer."""
        if self._process:
            raise DovecotError("This Dovecot is running already.")
        # Another server on the port would greet as well, and pass for this one.
        for port in (self.imap_port, self.lmtp_port, self.pop3_port):
            _require_bindable(port)
        self._lay_out()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [_program("dovecot") or "dovecot", "-F", "-c", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A Ctrl-C in the terminal is for the demo, which then stops this in its own order.
                start_new_session=True,
            )
        try:
            self._wait_for(self.imap_port, b"* OK")
            self._wait_for(self.lmtp_port, b"220 ")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop and wait for the end; harmless when it does not run."""
        process, self._process = self._process, None
        if not process:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _lay_out(self) -> None:
        for folder in (self.root, self.root / "run", self.root / "state", self.mail):
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        owner = _owner()
        if os.geteuid() == 0:
            # mkdtemp made the root for root alone, but mail and logins belong to other users.
            self.root.chmod(0o755)
            os.chown(self.mail, VMAIL, VMAIL)
        values = owner | {
            "root": str(self.root),
            "users_db": str(self.users_db),
            "imap_port": str(self.imap_port),
            "lmtp_port": str(self.lmtp_port),
            "pop3_port": str(self.pop3_port),
        }
        for source, target in _templates().items():
            text = Path(__file__).with_name(source).read_text()
            (self.root / target).write_text(Template(text).substitute(values))

    def _wait_for(self, port: int, greeting: bytes) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not _greeting(port).startswith(greeting):
            if not self._process or self._process.poll() is not None:
                raise DovecotError(f"Dovecot did not start:\n{self.log}")
            if time.monotonic() > deadline:
                raise DovecotError(f"Dovecot does not answer on port {port}:\n{self.log}")
            time.sleep(0.01)


def _program(name: str) -> str | None:
    return shutil.which(name, path=PROGRAMS)


def _library(file: str) -> bool:
    return any((folder / file).exists() for folder in LIBRARIES)


def _plain(path: Path) -> Path:
    if not PLAIN_PATH.fullmatch(str(path)):
        raise DovecotError(f"{path} holds characters that Dovecot's configuration cannot take.")
    return path


def _templates() -> dict[str, str]:
    """The configuration files for the version found: our file → its name in the root."""
    command = [_program("dovecot") or "dovecot", "--version"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    if answer.stdout.startswith("2.3."):
        return {"dovecot-2.3.conf": "dovecot.conf", "dovecot-2.3-sql.conf": "dovecot-sql.conf"}
    if answer.stdout.startswith("2.4."):
        return {"dovecot-2.4.conf": "dovecot.conf"}
    raise DovecotError(f"Dovecot 2.3 or 2.4 is needed; this is {answer.stdout.strip()}.")


def _owner() -> dict[str, str]:
    """Who runs the processes and owns the mail.

    https://doc.dovecot.org/2.3/configuration_manual/howto/rootless/ for an ordinary user.
    """
    if os.geteuid() == 0:
        return {
            "uid": str(VMAIL),
            "gid": str(VMAIL),
            "internal_user": "dovecot",
            "internal_group": "dovecot",
            "login_user": "dovenull",
            "lmtp_user": "root",
        }
    uid, gid = os.geteuid(), os.getegid()
    me, group = pwd.getpwuid(uid).pw_name, grp.getgrgid(gid).gr_name
    return {
        "uid": str(uid),
        "gid": str(gid),
        "internal_user": me,
        "internal_group": group,
        "login_user": me,
        "lmtp_user": me,
    }


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on, all different because all are held until the last is known."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _require_bindable(port: int) -> None:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError as error:
            raise DovecotError(f"Port {port} cannot be used: {error.strerror}") from error


def _greeting(port: int) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            return connection.recv(1024)
    except OSError:
        return b""
