"""`mailcote backup` and `mailcote restore`, on both databases."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app import backup, clock, create_app, schema, upgrade
from app.caller import command_line
from app.config import Settings
from app.database import write_transaction
from app.errors import OperationError
from app.extensions import Base, db
from app.models import (
    Assistant,
    Feed,
    KeyOffer,
    Node,
    OAuthClient,
    OAuthCode,
    OAuthToken,
    Person,
    WebSession,
    ZoneJob,
)
from app.operations import OPERATIONS, fleet
from app.operations.access import welcomed
from app.operations.links import linked
from tests.applications import let_go
from tests.conftest import JUST_MIGRATED, ON_BOTH, PASSWORD, Cast
from tests.databases import (
    NEWEST,
    contents,
    downgrade,
    libpq,
    new_panel,
    newer_migrations,
    no_room,
    postgres_database,
    without_feed,
)

from .mailcote import Mailcote


@pytest.fixture(params=ON_BOTH)
def database(request: pytest.FixtureRequest) -> str:
    """SQLite, then PostgreSQL."""
    return str(request.param)


@pytest.fixture
def settings(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Settings]:
    """A panel on a database of its own: a restored one is not what other tests begin with."""
    if database == "sqlite":
        yield new_panel(tmp_path / "instance")
        return
    with postgres_database(request.getfixturevalue("postgres_url"), JUST_MIGRATED) as url:
        yield new_panel(tmp_path / "instance", url)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the backup goes."""
    return tmp_path / "a backup?#%.db"


on_sqlite = pytest.mark.parametrize("database", ON_BOTH[:1])
on_postgres = pytest.mark.parametrize("database", ON_BOTH[1:])


def add_mailboxes(app: Flask, *names: str) -> None:
    with app.app_context():
        for name in names:
            OPERATIONS["add-user"](
                command_line().in_project(1), email=f"{name}@example.nl", password=PASSWORD
            )


@contextmanager
def four_writers(app: Flask) -> Iterator[list[str]]:
    """Four threads that make and remove mailboxes all the time; the addresses that were made."""
    enough, made = Event(), list[str]()

    def write(who: int) -> None:
        number = 0
        while not enough.is_set():
            number += 1
            email = f"writer{who}-{number}@example.nl"
            with app.app_context():
                caller = command_line().in_project(1)
                try:
                    OPERATIONS["add-user"](caller, email=email, password=PASSWORD)
                    made.append(email)
                    if number % 3 == 0:
                        OPERATIONS["remove-user"](caller, email=email)
                except OperationError as error:  # a restore took away what it was working on
                    assert error.code in ("MAILBOX_NOT_FOUND", "TRY_LATER"), error.code

    with ThreadPoolExecutor(4) as pool:
        writers: list[Future[None]] = [pool.submit(write, who) for who in range(4)]
        try:
            yield made
        finally:
            enough.set()
        for writer in writers:
            writer.result()


def restored_elsewhere(settings: Settings, file: Path, folder: Path) -> Settings:
    """Another panel, into which the backup is restored; on PostgreSQL it replaces an empty one."""
    other = new_panel(folder, settings.database_url)
    Mailcote(other).done("restore", str(file))
    return other


def assert_consistent(settings: Settings) -> None:
    """The counts, the revision and the audit log are of one moment."""
    rows = contents(settings)
    [(_, _, revision, users, *_)] = rows["feed"]
    names = Base.metadata.tables["mailboxes"].columns.keys()
    mailboxes = [dict(zip(names, row, strict=True)) for row in rows["mailboxes"]]
    assert users == sum(mailbox["purge_at"] is None for mailbox in mailboxes)
    assert revision == max(mailbox["revision"] for mailbox in mailboxes)
    audit = [entry[-1] for entry in rows["audit_entries"]]
    assert max(audit) == revision
    assert len(audit) == len(set(rows["audit_entries"]))
    assert set(audit) >= {mailbox["revision"] for mailbox in mailboxes}


# Backing up


def test_everything_is_in_it(
    settings: Settings, app: Flask, cast: Cast, file: Path, tmp_path: Path, database: str
) -> None:
    add_mailboxes(app, "info", "sales")
    before = contents(settings)
    said = Mailcote(settings).done("backup", str(file))
    assert said.out == f"Everything is in {file}.\n"
    if database == "sqlite":
        other = restored_elsewhere(settings, file, tmp_path / "other")
    else:
        add_mailboxes(app, "later")
        Mailcote(settings).done("restore", str(file))
        other = settings
    after = contents(other)
    assert without_feed(after) == without_feed(before)
    [(_, old_epoch, old_revision, old_users, *_)] = before["feed"]
    [(_, new_epoch, new_revision, new_users, shrink_is_meant, *_)] = after["feed"]
    assert new_epoch != old_epoch
    assert (new_revision, new_users) == (old_revision, old_users)
    assert not shrink_is_meant


def test_it_is_consistent_while_four_write(
    settings: Settings, app: Flask, cast: Cast, tmp_path: Path
) -> None:
    mailcote = Mailcote(settings)
    files = [tmp_path / f"round{number}" for number in range(4)]
    with four_writers(app) as made:
        for file in files:
            so_far = len(made)
            while len(made) < so_far + 4:
                assert not time_is_up()
            mailcote.done("backup", str(file))
    revisions = []
    for file in files:
        mailcote.done("restore", str(file))
        assert_consistent(settings)
        revisions.append(contents(settings)["feed"][0][2])
    assert revisions == sorted(set(revisions))


def time_is_up() -> bool:
    """Lets the writers write; only writers that never come along would be waited for in vain."""
    Event().wait(0.01)
    return False


def test_it_is_for_its_owner_only(settings: Settings, file: Path, app: Flask) -> None:
    file.touch(mode=0o666)
    before = os.umask(0)
    try:
        Mailcote(settings).done("backup", str(file))
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_it_takes_the_place_of_an_older_one_in_one_step(
    settings: Settings, file: Path, app: Flask, cast: Cast
) -> None:
    Mailcote(settings).done("backup", str(file))
    older = file.read_bytes()
    with file.open("rb") as opened:
        add_mailboxes(app, "info")
        Mailcote(settings).done("backup", str(file))
        assert opened.read() == older
    assert file.read_bytes() != older
    assert [path for path in file.parent.iterdir() if path.is_file()] == [file]


def test_it_follows_a_link(settings: Settings, file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    Mailcote(settings).done("backup", str(link))
    assert link.is_symlink()
    assert file.is_file()


def test_it_leaves_nothing_behind_when_the_disk_is_full(
    settings: Settings, file: Path, tmp_path: Path, database: str
) -> None:
    file.write_bytes(b"an older backup")
    there = sorted(tmp_path.rglob("*"))
    room = 65536 if database == "sqlite" else 4096  # less than any backup; SQLite's -shm fits
    with no_room(room):
        sentence = Mailcote(settings).refused("backup", str(file))
    assert "failed: " in sentence
    assert file.read_bytes() == b"an older backup"
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in there] == []


def test_it_refuses_what_no_backup_can_be_written_to(
    settings: Settings, tmp_path: Path, database: str
) -> None:
    mailcote = Mailcote(settings)
    os.mkfifo(tmp_path / "fifo")
    assert "not an ordinary file" in mailcote.refused("backup", str(tmp_path))
    assert "not an ordinary file" in mailcote.refused("backup", str(tmp_path / "fifo"))
    absent = tmp_path / "absent"
    assert f"There is no folder {absent}." in mailcote.refused("backup", str(absent / "file"))
    assert "too long" in mailcote.refused("backup", str(tmp_path / ("x" * 256)))
    assert mailcote("backup").code == 2


@on_sqlite
@pytest.mark.parametrize("end", ["", "-wal", "-shm", ".lock"])
def test_it_never_replaces_the_database_itself(
    settings: Settings, tmp_path: Path, database: str, end: str
) -> None:
    live = settings.instance / "panel.db"
    before = live.stat().st_ino
    link = tmp_path / "link"
    link.symlink_to(f"{live}{end}")
    for name in (f"{live}{end}", str(link)):
        assert "own database" in Mailcote(settings).refused("backup", name)
    assert live.stat().st_ino == before


@on_sqlite
def test_it_refuses_to_back_up_what_is_damaged(
    settings: Settings, app: Flask, cast: Cast, file: Path, database: str
) -> None:
    let_go(app)
    with closing(sqlite3.connect(settings.instance / "panel.db")) as panel:
        panel.execute("UPDATE tokens SET project_id = 77 WHERE project_id = 2")
        panel.commit()
    assert "damaged" in Mailcote(settings).refused("backup", str(file))
    assert not file.exists()


@on_postgres
def test_passwords_are_not_in_the_arguments_of_other_programs(
    settings: Settings,
    file: Path,
    tmp_path: Path,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    programs, notes = tmp_path / "bin", tmp_path / "notes"
    programs.mkdir()
    for name in ("pg_dump", "pg_restore", "psql"):
        spy = programs / name
        spy.write_text(f'#!/bin/sh\necho "$0 $@" >> {notes}\nexec {shutil.which(name)} "$@"\n')
        spy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    url = make_url(settings.database_url)
    for with_password in (
        url.set(password="geheim/geheim"),
        url.update_query_dict({"password": "geheim/geheim"}),
    ):
        database_url = with_password.render_as_string(hide_password=False)
        mailcote = Mailcote(replace(settings, database_url=database_url))
        mailcote.done("backup", str(file))
        mailcote.done("restore", str(file))
    called = notes.read_text()
    assert called.count("pg_dump") == 4
    assert "psql" in called
    assert "geheim" not in called


@on_postgres
def test_it_names_the_package_that_is_missing(
    settings: Settings, file: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "postgresql-client" in Mailcote(settings).refused("backup", str(file))


# Restoring


def test_an_older_state_comes_back_and_the_present_one_is_kept(
    settings: Settings, app: Flask, cast: Cast, file: Path
) -> None:
    mailcote = Mailcote(settings)
    add_mailboxes(app, "info")
    mailcote.done("backup", str(file))
    older = contents(settings)
    add_mailboxes(app, "sales", "support")
    present = contents(settings)

    said = mailcote.done("restore", str(file))
    restored = contents(settings)
    assert without_feed(restored) == without_feed(older)
    assert restored["feed"][0][2] < present["feed"][0][2]
    assert restored["feed"][0][1] not in (older["feed"][0][1], present["feed"][0][1])
    assert "mailcote confirm-shrink" in said.out

    [kept] = settings.instance.glob("before-restore-*")
    assert str(kept) in said.out
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    mailcote.done("restore", str(kept))
    assert without_feed(contents(settings)) == without_feed(present)
    assert len(list(settings.instance.glob("before-restore-*"))) == 2
    assert not list(settings.instance.glob("restore-*"))


def export(app: Flask, cast: Cast, etag: str = "") -> tuple[int, str, dict[str, object]]:
    answer = app.test_client().get(
        "/sync/v1/export",
        headers={"Authorization": f"Bearer {cast.sync_key}", "If-None-Match": etag},
    )
    return answer.status_code, answer.headers["ETag"], json.loads(answer.data or b"{}")


def addresses(app: Flask, cast: Cast) -> list[str]:
    answer = app.test_client().get(
        "/iapi/project/1/email_account/list-users",
        headers={"Authorization": f"Bearer {cast.tokens['alice']}"},
    )
    return [user["email"] for user in answer.json["data"]["users"]]  # type: ignore[index]


def test_a_running_panel_serves_the_restored_state_at_once(
    settings: Settings, app: Flask, cast: Cast, file: Path
) -> None:
    names = [f"box{number}" for number in range(12)]
    mailcote = Mailcote(settings)
    add_mailboxes(app, *names[:2])
    mailcote.done("backup", str(file))
    add_mailboxes(app, *names[2:])
    running = create_app(settings)
    for server in (app, running):
        assert len(addresses(server, cast)) == 12
    _, etag, _ = export(running, cast)
    export(running, cast, etag)  # the node follows the epoch
    _, etag, told = export(running, cast)
    assert told["allow_shrink"]
    assert export(running, cast, etag)[0] == 304

    mailcote.done("restore", str(file))
    for server in (app, running):
        assert addresses(server, cast) == ["box0@example.nl", "box1@example.nl"]
        status, _, restored = export(server, cast, etag)
        assert status == 200
        assert restored["epoch"] != told["epoch"]
        assert restored["counts"] == {"domains": 2, "users": 2, "aliases": 0}
        assert restored["allow_shrink"] is False

    mailcote.done("confirm-shrink")
    for server in (app, running):
        confirmed = export(server, cast)[2]
        assert confirmed["allow_shrink"] is True
        assert confirmed["epoch"] == restored["epoch"]
    add_mailboxes(running, "later")
    assert len(addresses(app, cast)) == 3
    let_go(running)


def let_in(transaction: Session, person_id: int) -> None:
    """An assistant with a code and a token."""
    client = OAuthClient(client_id="wpc_x", name="Helper", redirect_uris="")
    transaction.add(client)
    transaction.flush()
    assistant = Assistant(client_id=client.id, person_id=person_id, scope="read", resource="x")
    transaction.add(assistant)
    transaction.flush()
    held = {"digest": "2" * 64, "assistant_id": assistant.id, "expires_at": clock.now()}
    transaction.add(OAuthCode(**held, redirect_uri="x", challenge="x"))
    transaction.add(OAuthToken(**held, kind="access", scope="read"))


def test_sessions_and_one_time_links_do_not_come_back(
    settings: Settings, app: Flask, cast: Cast, file: Path
) -> None:
    run = OPERATIONS["add-person"]
    with app.app_context():
        person_id = run(command_line(), email="root@example.org", password=PASSWORD).person.id
        link = run(command_line(), email="guest@example.org").welcome
        session = WebSession(digest="1" * 64, person_id=person_id, address="::1", user_agent="")
        with write_transaction() as transaction:
            transaction.add(session)
            let_in(transaction, person_id)
        caller = command_line().in_project(1)
        invited = OPERATIONS["invite-user"](caller, email="owner@example.nl").link.url
        OPERATIONS["add-node"](caller, name="mpi02", key_as_link=True)
        owners = invited.rpartition("/")[2]
        assert welcomed(link) and linked(owners)
    mailcote = Mailcote(settings)
    mailcote.done("backup", str(file))
    said = mailcote.done("restore", str(file))
    assert "tokens and sync keys that were revoked since then work again" in said.out
    with app.app_context():
        assert welcomed(link) is None and linked(owners) is None
        for model in (WebSession, KeyOffer, OAuthCode, OAuthToken):
            assert db.session.scalars(db.select(model)).all() == []
        person = db.session.get(Person, person_id)
        assert person and person.password_hash


def test_zones_are_written_anew(settings: Settings, app: Flask, cast: Cast, file: Path) -> None:
    """What was written into them, or taken back, since the backup was made is not in it."""
    del cast
    with app.app_context(), write_transaction() as session:
        session.add(ZoneJob(name="example.nl", is_wanted=True, done_at=clock.now()))
    mailcote = Mailcote(settings)
    mailcote.done("backup", str(file))
    mailcote.done("restore", str(file))
    with app.app_context():
        assert db.session.scalars(db.select(ZoneJob.done_at)).all() == [None]


def test_nodes_have_one_change_to_apply_and_all_that_follow(
    settings: Settings, app: Flask, cast: Cast, file: Path
) -> None:
    add_mailboxes(app, "info", "sales")
    mailcote = Mailcote(settings)
    mailcote.done("backup", str(file))
    add_mailboxes(app, "later")
    with app.app_context():
        feed = db.session.scalars(sa.select(Feed)).one()
        values = {"applied_epoch": feed.epoch, "applied_revision": feed.revision}
    mailcote.done("restore", str(file))
    with app.app_context(), write_transaction() as session:  # what it asks with until it follows
        session.execute(sa.update(Node).where(Node.name == "mpi01").values(values))
    for names, changes in (((), 1), (("one", "two"), 3)):
        add_mailboxes(app, *names)
        with app.app_context():
            assert fleet.node(command_line(), "mpi01").behind == changes
            assert [row.behind for row in fleet.nodes(command_line())] == [changes]
        told = app.test_client().get("/metrics", headers={"Host": "127.0.0.1:8000"})
        assert f'mailcote_node_revisions_behind{{node="mpi01"}} {changes}.0\n' in told.text


def test_it_restores_while_four_write(
    settings: Settings, app: Flask, cast: Cast, file: Path
) -> None:
    mailcote = Mailcote(settings)
    add_mailboxes(app, "info")
    mailcote.done("backup", str(file))
    with four_writers(app) as made:
        for _ in range(4):
            so_far = len(made)
            while len(made) < so_far + 4:
                assert not time_is_up()
            mailcote.done("restore", str(file))
    assert_consistent(settings)
    mailcote.done("check")
    add_mailboxes(app, "after")


def refuses_to_restore(settings: Settings, file: Path, reason: str) -> None:
    """Restoring says why not, and changes nothing."""
    before = contents(settings)
    there = sorted(settings.instance.rglob("*"))
    assert reason in Mailcote(settings).refused("restore", str(file))
    assert contents(settings) == before
    left = {path.name for path in set(settings.instance.rglob("*")) - set(there)}
    assert not {name for name in left if "restore" in name or "backup" in name}


def test_it_refuses_what_is_no_backup(
    settings: Settings, app: Flask, cast: Cast, tmp_path: Path, database: str
) -> None:
    (tmp_path / "text").write_text("my shopping list\n" * 1000)
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "fifo")
    name = "SQLite" if database == "sqlite" else "PostgreSQL"
    for absent in ("absent", "absent/file", "", "fifo"):
        refuses_to_restore(settings, tmp_path / absent, "There is no file ")
    too_long = tmp_path / ("a" * 300)
    refuses_to_restore(settings, too_long, f"The restore failed: {too_long}: File name too long.")
    refuses_to_restore(settings, tmp_path / "text", f"not a backup of a panel on {name}")
    refuses_to_restore(settings, tmp_path / "empty", "not ")
    assert Mailcote(settings)("restore").code == 2


def test_it_says_of_a_file_that_cannot_be_read_that_it_cannot(
    settings: Settings, app: Flask, cast: Cast
) -> None:
    """As who lacks the right to, or has a disk that fails; root can read all but this."""
    reason = "/mem cannot be read: Input/output error."
    refuses_to_restore(settings, Path("/proc/self/mem"), reason)


def test_it_refuses_another_programs_database(
    settings: Settings, app: Flask, cast: Cast, tmp_path: Path, database: str, postgres_url: str
) -> None:
    file = tmp_path / "foreign"
    if database == "sqlite":
        with closing(sqlite3.connect(file)) as foreign:
            foreign.execute("CREATE TABLE feed (id INTEGER)")
            foreign.commit()
    else:
        with postgres_database(postgres_url) as url:
            with psycopg.connect(libpq(url)) as foreign_server:
                foreign_server.execute("CREATE TABLE feed (id INTEGER)")
            command = ["pg_dump", "--format=custom", f"--file={file}", libpq(url)]
            subprocess.run(command, check=True)
    refuses_to_restore(settings, file, "not one of Mailcote")


def test_it_refuses_the_backup_of_the_other_database(
    settings: Settings, app: Flask, cast: Cast, tmp_path: Path, database: str
) -> None:
    file = tmp_path / "other"
    if database == "sqlite":
        file.write_bytes(b"PGDMP\x01\x0e\x00\x04\x08\x01\x01" + b"\x00" * 5000)
    else:
        shutil.copy(new_panel(tmp_path / "sqlite").instance / "panel.db", file)
    refuses_to_restore(settings, file, "not a backup of a panel on ")


@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_it_refuses_a_damaged_backup(
    settings: Settings, app: Flask, cast: Cast, file: Path, part: float, database: str
) -> None:
    add_mailboxes(app, *(f"box{number}" for number in range(20)))
    Mailcote(settings).done("backup", str(file))
    whole = file.read_bytes()
    middle = int(len(whole) * part)
    file.write_bytes(whole[:middle])
    refuses_to_restore(settings, file, "")
    if database == "sqlite":
        file.write_bytes(whole[:middle] + os.urandom(4096) + whole[middle + 4096 :])
        refuses_to_restore(settings, file, "")


def test_it_refuses_a_backup_of_a_newer_version(
    settings: Settings, app: Flask, cast: Cast, file: Path, newer: Newer
) -> None:
    with newer.app_context():
        upgrade.bring_up_to_date()
        backup.back_up(file)
        downgrade(NEWEST)
    refuses_to_restore(settings, file, "newer version of Mailcote")


def test_the_audit_log_is_append_only_afterwards(
    settings: Settings, app: Flask, cast: Cast, file: Path
) -> None:
    mailcote = Mailcote(settings)
    for _ in range(2):  # over what is there, and over what was restored
        mailcote.done("backup", str(file))
        mailcote.done("restore", str(file))
        for change in ("DELETE FROM audit_entries", "UPDATE audit_entries SET actor = 'x'"):
            with app.app_context(), pytest.raises(DBAPIError, match="append-only"):
                db.session.execute(sa.text(change))
            with app.app_context():
                db.session.rollback()
    *_, last = mailcote.done("audit-log").out.splitlines()
    assert json.loads(last)["action"] == "restore"


def test_a_backup_of_an_older_version_is_brought_up_to_date(
    settings: Settings, app: Flask, cast: Cast, file: Path, newer: Newer
) -> None:
    add_mailboxes(app, "info")
    with newer.app_context():
        backup.back_up(file)
    older = contents(settings)
    with newer.app_context():
        upgrade.bring_up_to_date()
        with db.engine.begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO notes SELECT 1, id, 'of a parent that will be gone' FROM mailboxes"
            )
        notes = sa.Table("notes", Base.metadata)  # a version that makes a table knows it
        try:
            backup.restore(file)
        finally:
            Base.metadata.remove(notes)
        assert schema.present() == "9001"
        with db.engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT motto FROM feed").scalar() == "none"
            assert connection.exec_driver_sql("SELECT count(*) FROM notes").scalar() == 0
        feed = db.session.scalars(db.select(Feed)).one()
        assert feed.epoch != older["feed"][0][1]
    assert without_feed(contents(settings)) == without_feed(older)


@on_sqlite  # PostgreSQL's programs cannot prepare a copy; it is kept beside
def test_a_backup_that_cannot_be_brought_up_to_date_changes_nothing(
    settings: Settings,
    app: Flask,
    cast: Cast,
    file: Path,
    newer: Newer,
    database: str,
) -> None:
    add_mailboxes(app, "info")
    with newer.app_context():
        backup.back_up(file)
    with newer.app_context():
        upgrade.bring_up_to_date()
        before = contents(settings)
        versions = newer.scripts / "versions"
        text = (versions / "9001_newer.py").read_text()
        broken = text.replace('"9001"', '"9002"').replace(f'"{NEWEST}"', '"9001"')
        (versions / "9002_broken.py").write_text(broken)
        with pytest.raises(schema.CannotUpgrade):
            backup.restore(file)
        assert schema.present() == "9001"
    assert contents(settings) == before


@dataclass
class Newer:
    """The application of a version to come, on the same panel."""

    app: Flask
    scripts: Path

    @contextmanager
    def app_context(self) -> Iterator[None]:
        """Be that version for a while."""
        now = schema.scripts
        schema.scripts = self.scripts
        try:
            with self.app.app_context():
                yield
        finally:
            schema.scripts = now


@pytest.fixture
def newer(settings: Settings, tmp_path: Path) -> Iterator[Newer]:
    """See Newer."""
    newer = create_app(settings)
    with newer_migrations(tmp_path) as scripts:
        yield Newer(newer, scripts)
    let_go(newer)
