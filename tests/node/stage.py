"""The whole of it, live: a served panel, and nodes that follow it by long-poll.

Everything is what an operator has: `mailcote serve`, `agent.py run`, Dovecot and Postfix.
"""

from __future__ import annotations

import hashlib
import imaplib
import json
import os
import smtplib
import sqlite3
import ssl
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from tests.node.clients import MAIL, TIMEOUT, Reply, imap_login
from tests.node.mail_server import APP, MailServer, program, short_folder
from tests.node.served_panel import ServedPanel
from tests.processes import eventually, process

DOMAIN = "bakery.nl"
DISKS = ("state", "mail")
TREE = "MAILCOTE_LIVE_TREE"
# The agent as it is, which tries again after a second rather than up to a minute.
IMPATIENT = f"""
import sys
sys.path.insert(0, {str(APP)!r})
import agent
agent.LONGEST_BACKOFF = 1.0
sys.exit(agent.main())
"""
OLD, NEW = "an old pass phrase", "a new pass phrase"


class Held(NamedTuple):
    """Which state a node holds."""

    epoch: str
    revision: int
    sha256: str
    counts: dict[str, int]


class LiveNode(MailServer):
    """A node that follows a served panel; its agent comes and goes."""

    def __init__(self, root: Path, panel: ServedPanel, key: str) -> None:
        super().__init__(root, key)
        self.panel, self.key = panel, key
        self.has_small_disks = False
        self._agent = ExitStack()

    def follow(self) -> subprocess.Popen[bytes]:
        """Start the agent, which waits for news as it does by default."""
        return self._agent.enter_context(process(self._running(), os.environ))

    def leave(self) -> None:
        """Stop the agent, if it runs."""
        self._agent.close()

    def status(self) -> str:
        """What the agent tells of itself."""
        command = self._command("status")
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def held(self) -> Held | None:
        """What the agent says it holds; None before the first answer."""
        if not self._database.exists():
            return None
        with self._state() as rows:
            if not rows("SELECT 1 FROM sqlite_master WHERE name = 'meta'"):
                return None
            meta = dict(rows("SELECT k, v FROM meta"))
            counts = {
                name: rows(f"SELECT count(*) FROM {name}")[0][0]
                for name in ("domains", "users", "aliases")
            }
            return Held(meta["epoch"], int(meta["revision"]), meta["sha256"], counts)

    def knows(self, email: str) -> bool:
        """Whether the mailbox is in the agent's database."""
        with self._state() as rows:
            return (email,) in rows("SELECT email FROM users")

    def holds_no_hash_of(self, domain: str) -> bool:
        """Whether no mailbox of a domain has a password here."""
        with self._state() as rows:
            return rows(f"SELECT 1 FROM users WHERE email LIKE '%@{domain}'") == []

    def way_of(self, domain: str) -> str:
        """Where Postfix passes its mail on to; empty when it is for Dovecot."""
        return self._mapped("relays", [domain]).get(domain, "")

    def arrays(self) -> list[list[Any]]:
        """Its domains and users, as Dovecot reads them, in the form of an export."""
        names = ("email", "id", "password", "quota_mb", "login", "deliver")
        with self._state() as rows:
            users = [
                dict(zip(names, row, strict=True))
                for row in rows(f"SELECT {', '.join(names)} FROM users ORDER BY id")
            ]
            domains = [name for (name,) in rows("SELECT name FROM domains ORDER BY name")]
        for user in users:
            user["login"], user["deliver"] = bool(user["login"]), bool(user["deliver"])
        return [domains, users]

    def holds_what_the_panel_has(self) -> bool:
        """Whether its rows, and what it says of them, are those of the panel's export."""
        export = self.panel.export(self.key)
        told = Held(*(export[name] for name in ("epoch", "revision", "sha256", "counts")))
        if self.held() != told:
            return False
        arrays = self.arrays()
        text = json.dumps([*arrays, []], sort_keys=True, separators=(",", ":"))
        is_as_told = hashlib.sha256(text.encode()).hexdigest() == told.sha256
        return is_as_told and arrays == [export["domains"], export["users"]]

    def mapped(self, name: str, keys: Iterable[str]) -> set[str]:
        """Which of these keys are in one of Postfix's maps."""
        return set(self._mapped(name, keys))

    def _mapped(self, name: str, keys: Iterable[str]) -> dict[str, str]:
        place = self.folder("state") / "maps" / name
        command = [program("postmap"), "-c", str(self.root / "postfix"), "-q", "-", f"cdb:{place}"]
        done = subprocess.run(
            command, input="\n".join(keys), check=False, capture_output=True, text=True
        )
        return dict(line.split("\t", 1) for line in done.stdout.splitlines())

    def rcpt(self, email: str, size: int = 0) -> int:
        """The code that a stranger's server gets who has mail for somebody."""
        with smtplib.SMTP("127.0.0.1", self.ports["smtp"], timeout=TIMEOUT) as client:
            client.ehlo("elsewhere.test")
            client.mail("charlie@elsewhere.test", [f"SIZE={size}"] if size else [])
            return client.rcpt(email)[0]

    def receive(self, email: str, message: str = MAIL) -> int:
        """The code for a whole message of a stranger."""
        with smtplib.SMTP("127.0.0.1", self.ports["smtp"], timeout=TIMEOUT) as client:
            client.ehlo("elsewhere.test")
            return _envelope(client, "charlie@elsewhere.test", email, message).code

    def send(self, email: str, to: str, password: str = OLD) -> Reply:
        """The answer to a message by a mail program; a refused password is its code too."""
        port = self.ports["submissions"]
        with smtplib.SMTP_SSL("localhost", port, context=self.trust(), timeout=TIMEOUT) as client:
            try:
                client.login(email, password)
            except smtplib.SMTPAuthenticationError as refusal:
                return Reply(refusal.smtp_code, str(refusal.smtp_error))
            return _envelope(client, email, to, MAIL)

    def trust(self) -> ssl.SSLContext:
        """That of a mail program which was told of its certificate."""
        return ssl.create_default_context(cafile=str(self.folder("etc") / "tls.crt"))

    def imap(self, email: str, password: str = OLD) -> imaplib.IMAP4:
        """A session of somebody, signed in."""
        return imap_login(self.ports["imap"], email, password)

    def signs_in(self, email: str, password: str = OLD) -> bool:
        """Whether IMAP lets somebody in."""
        try:
            self.imap(email, password).logout()
        except imaplib.IMAP4.error as refusal:
            # A mailbox that goes between the password's look-up and the user's is no clear answer.
            return "UNAVAILABLE" in str(refusal) and self.signs_in(email, password)
        return True

    def messages(self, email: str) -> list[bytes]:
        """The messages in somebody's inbox."""
        with self.imap(email) as session:
            number = int(session.select("INBOX", readonly=True)[1][0] or b"0")
            texts = session.fetch(f"1:{number}", "(BODY[])")[1] if number else []
            return [part[1] for part in texts if isinstance(part, tuple)]

    @contextmanager
    def full(self, name: str) -> Iterator[None]:
        """While not one byte more fits on the disk of `state` or of `mail`."""
        filler = self.folder(name) / "filler"
        try:
            with suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 512)
            yield
        finally:
            filler.unlink()

    def deliver_what_waits(self) -> None:
        """Have Postfix try again at once, rather than in some minutes."""
        postqueue = [program("postqueue"), "-c", str(self.root / "postfix"), "-f"]
        subprocess.run(postqueue, check=True)

    def _command(self, verb: str) -> list[str]:
        doveadm = f"{program('doveadm')} -c {self.config}"
        told = self.root / "told"
        return self.agent(
            *(verb, self.panel.address, "--doveadm", doveadm, "--mail", str(self.root / "mail")),
            *("--usage", str(told / "usage"), "--logins", str(told / "logins")),
        )

    def _running(self) -> list[str]:
        python, _agent, *arguments = self._command("run")
        return [python, "-c", IMPATIENT, *arguments]

    @property
    def _database(self) -> Path:
        return self.folder("state") / "users.db"

    @contextmanager
    def _state(self) -> Iterator[Callable[[str], list[Any]]]:
        """Queries of the agent's database, all of one moment."""
        address = f"{self._database.as_uri()}?mode=rw"  # nothing is made that is not there
        with closing(sqlite3.connect(address, uri=True, timeout=TIMEOUT)) as database:
            database.execute("BEGIN")
            yield lambda query: database.execute(query).fetchall()


class Stage:
    """A panel, the node that serves mail, and a domain with e-mail on."""

    def __init__(self, panel: ServedPanel, node: LiveNode) -> None:
        self.panel, self.node = panel, node
        self._numbers = count(2)

    @classmethod
    @contextmanager
    def set_up(cls, folder: Path) -> Iterator[Stage]:
        """All of it running; the panel's files in this folder.

        Where MAILCOTE_LIVE_TREE names a whole system, its node takes part (installed_node.py).
        """
        with ExitStack() as running:
            panel = ServedPanel(folder)
            running.callback(panel.stop)
            panel.start()
            panel.call("add-domain", domain=DOMAIN, project_id=int(panel.project))
            panel.call("enable-email", domain=DOMAIN)
            node = running.enter_context(new_node(panel, "mpi01", os.environ.get(TREE, "")))
            if not node.has_small_disks:
                disks = [running.enter_context(small_disk(node.folder(name))) for name in DISKS]
                node.has_small_disks = all(disks)
            running.callback(node.leave)
            node.follow()
            eventually(node.holds_what_the_panel_has)
            running.enter_context(node.dovecot())
            running.enter_context(node.postfix())
            yield cls(panel, node)

    @contextmanager
    def another_node(self) -> Iterator[LiveNode]:
        """One that follows for some time, without serving mail."""
        name = f"mpi{next(self._numbers):02}"
        with new_node(self.panel, name) as node:
            try:
                yield node
            finally:
                self.panel.call("remove-node", name=name)

    def add(self, name: str, **fields: Any) -> str:
        """Make a mailbox and wait until the node knows it; its address."""
        email = f"{name}@{DOMAIN}"
        self.panel.call("add-user", email=email, password=OLD, **fields)
        eventually(lambda: self.node.rcpt(email) == 250)
        return email

    def id_of(self, email: str) -> str:
        """Under which name its mail is kept."""
        [row] = self.panel.rows("SELECT id FROM mailboxes WHERE email = ?", email)
        return str(row[0])


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A file system of 16 MiB in place of a folder; False where it may not be mounted."""
    owner = folder.stat()
    options = f"size=16m,mode=0755,uid={owner.st_uid},gid={owner.st_gid}"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    is_mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield is_mounted
    finally:
        if is_mounted:  # whatever may still be open
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def new_node(panel: ServedPanel, name: str, tree: str = "") -> Iterator[LiveNode]:
    """A node that the panel knows; it follows when it is told to."""
    from tests.node.installed_node import InstalledNode  # which is made from what is here

    key = panel.call("add-node", name=name, ip_address="127.0.0.1")["node"]["sync_key"]
    with short_folder() as root:
        node = InstalledNode(Path(tree), panel, key) if tree else LiveNode(root, panel, key)
        try:
            yield node
        finally:
            node.leave()


def _envelope(client: smtplib.SMTP, sender: str, to: str, message: str) -> Reply:
    client.mail(sender)
    code, text = client.rcpt(to)
    if code == 250:
        code, text = client.data(message)
    return Reply(code, text.decode())
