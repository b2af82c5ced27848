"""The private Dovecot, and through it the queries and settings that a node depends on."""

from __future__ import annotations

import imaplib
import poplib
import secrets
import shlex
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import pytest

from app.demo import dovecot as module
from app.demo.dovecot import DovecotError, PrivateDovecot, missing_packages
from app.passwords import hash_of_none
from tests.node.clients import MAIL, TIMEOUT, imap_login, lmtp_deliver

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        bool(missing_packages()),
        reason=f"NO DOVECOT HERE: sudo apt install {' '.join(missing_packages())}",
    ),
]

PASSWORD = "correct horse battery staple"
SCHEMA = """
PRAGMA journal_mode = wal;
CREATE TABLE users(email TEXT PRIMARY KEY, id TEXT NOT NULL, password TEXT NOT NULL,
  quota_mb INT NOT NULL, login INT NOT NULL, deliver INT NOT NULL) WITHOUT ROWID;
"""


@dataclass
class Node:
    """A Dovecot and the file that it reads, written here in the agent's place."""

    dovecot: PrivateDovecot
    users_db: Path

    def sql(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self.users_db)) as database, database:
            database.execute(statement, values)

    def add(
        self, email: str, *, quota_mb: int = 64, login: bool = True, deliver: bool = True
    ) -> str:
        """Add a mailbox with PASSWORD and return its id."""
        mailbox = secrets.token_hex(16)
        row = (email, mailbox, hashed(PASSWORD), quota_mb, login, deliver)
        self.sql("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?)", *row)
        return mailbox

    def login(self, email: str, password: str = PASSWORD) -> imaplib.IMAP4:
        return imap_login(self.dovecot.imap_port, email, password)

    def deliver(self, email: str, message: str = MAIL) -> int:
        return lmtp_deliver(self.dovecot.lmtp_port, email, message).code

    def messages(self, email: str) -> int:
        with self.login(email) as client:
            return int(client.select(readonly=True)[1][0] or b"")


def hashed(password: str) -> str:
    # PHP's prefix for the same hash, as the panel publishes it; cost 4 because tests are many.
    digest = bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=4)).decode()
    return "{BLF-CRYPT}" + digest.replace("$2b$", "$2y$", 1)


def create_schema(users_db: Path) -> None:
    with closing(sqlite3.connect(users_db)) as database:
        database.executescript(SCHEMA)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    users_db = tmp_path_factory.mktemp("state") / "users.db"
    create_schema(users_db)
    users_db.chmod(0o640)
    with PrivateDovecot.temporary(users_db) as dovecot:
        yield Node(dovecot, users_db)


def test_it_works(node: Node) -> None:
    node.add("info@example.nl")
    assert node.deliver("info@example.nl") == 250
    assert node.deliver("Info+shop@Example.NL") == 250
    assert node.messages("INFO@example.nl") == 2


def test_pop3_reads_the_same_mailbox(node: Node) -> None:
    node.add("pop@example.nl")
    node.deliver("pop@example.nl")
    with closing(poplib.POP3("127.0.0.1", node.dovecot.pop3_port, timeout=TIMEOUT)) as client:
        client.user("pop@example.nl")
        client.pass_(PASSWORD)
        assert client.stat()[0] == 1
        client.quit()


def test_it_rejects_a_wrong_password(node: Node) -> None:
    node.add("wrong@example.nl")
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        node.login("wrong@example.nl", "not this one")


def test_it_rejects_a_stranger(node: Node) -> None:
    assert node.deliver("stranger@example.nl") == 550
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        node.login("stranger@example.nl")


def test_many_wrong_passwords_do_not_slow_down_the_others(node: Node) -> None:
    node.add("sprayed@example.nl")
    for _ in range(4):
        with pytest.raises(imaplib.IMAP4.error):
            node.login("sprayed@example.nl", "not this one")
    begin = time.monotonic()
    assert node.messages("sprayed@example.nl") == 0
    assert time.monotonic() - begin < 3


def test_the_quota_is_the_mailboxs_own(node: Node) -> None:
    node.add("quota@example.nl", quota_mb=7)
    with node.login("quota@example.nl") as client:
        _, (roots, quotas) = client.getquotaroot("INBOX")
    assert roots == [b'INBOX "User quota"']
    assert quotas == [b'"User quota" (STORAGE 0 7168)']


def test_it_rejects_mail_for_a_full_mailbox(node: Node) -> None:
    node.add("full@example.nl", quota_mb=1)
    line = "x" * 70 + "\r\n"
    assert node.deliver("full@example.nl", MAIL + line * 10_000) == 250
    assert node.deliver("full@example.nl", MAIL + line * 10_000) == 552


def test_without_login_it_still_receives(node: Node) -> None:
    node.add("paused@example.nl", login=False)
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        node.login("paused@example.nl")
    assert node.deliver("paused@example.nl") == 250


def test_who_waits_for_an_owner_receives_and_nobody_signs_in(node: Node) -> None:
    """The hash that no password has is one to Dovecot too: wrong, and no fault of the server's."""
    node.add("waiting@example.nl")
    nobodys = hash_of_none(4)
    node.sql("UPDATE users SET password = ? WHERE email = 'waiting@example.nl'", nobodys)
    assert node.deliver("waiting@example.nl") == 250
    for password in (PASSWORD, "." * 31, nobodys):
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            node.login("waiting@example.nl", password)
    chosen = hashed(PASSWORD)
    node.sql("UPDATE users SET password = ? WHERE email = 'waiting@example.nl'", chosen)
    assert node.messages("waiting@example.nl") == 1


def test_without_delivery_it_can_still_be_read(node: Node) -> None:
    node.add("archive@example.nl")
    assert node.deliver("archive@example.nl") == 250
    node.sql("UPDATE users SET deliver = 0 WHERE email = 'archive@example.nl'")
    assert node.deliver("archive@example.nl") == 550
    assert node.messages("archive@example.nl") == 1


def test_the_next_login_sees_a_changed_row(node: Node) -> None:
    node.add("changed@example.nl")
    assert node.messages("changed@example.nl") == 0
    changed = hashed("a new password")
    node.sql("UPDATE users SET password = ? WHERE email = 'changed@example.nl'", changed)
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        node.login("changed@example.nl")
    node.login("changed@example.nl", "a new password").logout()


def test_mail_lives_under_the_id(node: Node) -> None:
    old = node.add("moving@example.nl")
    node.deliver("moving@example.nl")
    assert len(list((node.dovecot.mail / old / "Maildir/new").iterdir())) == 1
    node.sql("UPDATE users SET email = 'moved@example.nl' WHERE id = ?", old)
    node.add("moving@example.nl")
    assert node.messages("moved@example.nl") == 1
    assert node.messages("moving@example.nl") == 0


def test_a_kick_drops_the_live_session_and_no_other(node: Node) -> None:
    node.add("kicked@example.nl")
    node.add("bystander@example.nl")
    with node.login("bystander@example.nl") as bystander:
        client = node.login("kicked@example.nl")
        command = [*shlex.split(node.dovecot.doveadm), "kick", "kicked@example.nl"]
        subprocess.run(command, check=True, capture_output=True)
        with pytest.raises(imaplib.IMAP4.abort):
            wait_for_the_end(client)
        client.shutdown()
        assert bystander.noop()[0] == "OK"


def wait_for_the_end(client: imaplib.IMAP4) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        client.noop()
        time.sleep(0.02)


def test_the_agents_file_may_come_later(tmp_path: Path) -> None:
    users_db = tmp_path / "users.db"
    with PrivateDovecot.temporary(users_db) as dovecot:
        node = Node(dovecot, users_db)
        assert node.deliver("info@example.nl") == 451
        with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
            node.login("info@example.nl")
        create_schema(users_db)
        node.add("info@example.nl")
        assert node.deliver("info@example.nl") == 250
        assert node.messages("info@example.nl") == 1


def test_it_rejects_a_folder_that_sockets_cannot_live_in(tmp_path: Path) -> None:
    with pytest.raises(DovecotError, match="shorter"):
        PrivateDovecot(tmp_path / ("long" * 30), tmp_path / "users.db")
    with pytest.raises(DovecotError, match="characters"):
        PrivateDovecot(Path("/tmp/it's"), tmp_path / "users.db")


def test_it_rejects_a_port_that_is_taken(node: Node, tmp_path: Path) -> None:
    taken = node.dovecot.imap_port
    with (
        pytest.raises(DovecotError, match="already in use"),
        PrivateDovecot.temporary(tmp_path / "users.db", imap_port=taken),
    ):
        pytest.fail("two servers cannot share a port")


def test_it_names_the_packages_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROGRAMS", "/nowhere")
    monkeypatch.setattr(module, "LIBRARIES", [])
    with pytest.raises(DovecotError, match=r"dovecot-core dovecot-imapd .* dovecot-sqlite"):
        PrivateDovecot(Path("/tmp/short"), tmp_path / "users.db")
