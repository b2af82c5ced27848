"""The demo's processes: the panel, and where Dovecot is installed a mail node of its own."""

from __future__ import annotations

import contextlib
import math
import os
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .dovecot import DovecotError, PrivateDovecot, free_ports, missing_packages
from .example import ADMIN, BAKERY, CUSTOMER, Secrets

START_SECONDS = 60
_AGENT = Path(__file__).parents[1] / "agent.py"
Say = Callable[[str], object]


class CannotRun(Exception):
    """The demo does not start; the message says why."""


class _Stop:
    """Remembers TERM and INT. To raise there and then could leave a process that just started."""

    def __init__(self) -> None:
        self.is_asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, _signal: int, _frame: object) -> None:
        self.is_asked = True

    def wait_until(self, is_so: Callable[[], bool], seconds: float = math.inf) -> None:
        """Wait until something is so, somebody asks to stop, or time is up."""
        deadline = time.monotonic() + seconds
        while not self.is_asked and not is_so() and time.monotonic() < deadline:
            time.sleep(0.05)


def run(
    secrets: Secrets, server: list[str], environment: Mapping[str, str], port: int, say: Say
) -> None:
    """Run until TERM or INT, or until the panel ends. Raises CannotRun."""
    stop = _Stop()
    [imap_port] = [0] if missing_packages() else free_ports(1)  # the pages show it
    environment = {**environment, "MAILCOTE_DEMO_IMAP_PORT": str(imap_port)}
    with ExitStack() as everything:
        panel = everything.enter_context(_process(server, environment))
        stop.wait_until(lambda: _answers(port) or panel.poll() is not None, START_SECONDS)
        if not stop.is_asked:
            _introduce(panel, secrets, port, say)
            _add_node(everything, stop, secrets, (port, imap_port), say)
            say("\nStop it with Ctrl-C.")
        stop.wait_until(lambda: panel.poll() is not None)
        if not stop.is_asked:
            raise CannotRun("The panel has ended by itself.")


def _add_node(
    everything: ExitStack, stop: _Stop, secrets: Secrets, ports: tuple[int, int], say: Say
) -> None:
    """Its ports are the panel's, which it asks, and the one that mail programs ask."""
    try:
        node = everything.enter_context(_node(stop, secrets, *ports))
    except DovecotError as error:
        say(f"\nNo mail node is running: {error}")
    else:
        _introduce_node(node, secrets, say)


@contextmanager
def _node(stop: _Stop, secrets: Secrets, port: int, imap_port: int) -> Iterator[PrivateDovecot]:
    """A node in a folder of its own, gone at the end: Dovecot, and the agent that feeds it."""
    if missing := missing_packages():
        raise DovecotError(f"to see one, apt-get install {' '.join(missing)}")
    with tempfile.TemporaryDirectory(prefix="mailcote-demo.") as folder:
        state = Path(folder, "state")
        key = Path(folder, "sync.key")
        key.touch(mode=0o600)
        key.write_text(secrets.sync_key)
        with PrivateDovecot.temporary(state / "users.db", imap_port=imap_port) as dovecot:
            agent = [
                *(sys.executable, str(_AGENT), "run", "--panel", f"http://127.0.0.1:{port}"),
                *("--key-file", str(key), "--state", str(state)),
                *("--doveadm", dovecot.doveadm),
            ]
            with _process(agent, os.environ):
                stop.wait_until(lambda: _has_mailboxes(state / "users.db"), START_SECONDS)
                yield dovecot


def _has_mailboxes(users_db: Path) -> bool:
    """Whether the agent has written its first state: the file is there, and empty, before that."""
    with contextlib.suppress(sqlite3.Error):
        address = f"{users_db.as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True)) as held:
            [found] = held.execute("SELECT EXISTS (SELECT 1 FROM users)").fetchone()
            return bool(found)
    return False


@contextmanager
def _process(
    command: list[str], environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=35)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False


def _introduce(panel: subprocess.Popen[bytes], secrets: Secrets, port: int, say: Say) -> None:
    if panel.poll() is not None or not _answers(port):
        raise CannotRun("The panel did not start.")
    address = f"http://127.0.0.1:{port}"
    call = f"{address}/iapi/project/1/email_account"
    authorization = f"-H 'Authorization: Bearer {secrets.project_token}'"
    body = shlex.quote(f'{{"email": "new@{BAKERY}", "password": "a long pass phrase"}}')
    say(f"\nMailcote is at {address}\n")
    say(f"  customer       {CUSTOMER}   password {secrets.customer_password}")
    say(f"  admin          {ADMIN}  password {secrets.admin_password}")
    say(f"  project token  {secrets.project_token}")
    say(f"  admin token    {secrets.admin_token}")
    say("\nTry it:\n")
    say(f"  curl {authorization} \\\n    {call}/list-users")
    say(
        f"  curl {authorization} \\\n    -H 'Content-Type: application/json' -d {body} \\\n"
        f"    {call}/add-user"
    )
    say(f"  curl {address}/iapi/openapi.json")


def _introduce_node(node: PrivateDovecot, secrets: Secrets, say: Say) -> None:
    say("\nA mail node is running: sign in with any mail program, no encryption, or with\n")
    user = shlex.quote(f"info@{BAKERY}:{secrets.mailbox_password}")
    say(f"  curl -u {user} imap://127.0.0.1:{node.imap_port}/INBOX -X 'STATUS INBOX (MESSAGES)'\n")
    say(f"  IMAP           127.0.0.1:{node.imap_port}")
    say(f"  mailbox        info@{BAKERY}   password {secrets.mailbox_password}")
