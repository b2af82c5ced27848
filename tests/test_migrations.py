"""Migrations: the same tables as the models, up and down without a loss, whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from sqlalchemy import insert, inspect, text

from app import backup, create_app, schema, upgrade
from app.config import Settings
from app.extensions import Base, db
from app.models import (
    Domain,
    Mailbox,
    Membership,
    Passkey,
    PasskeyChallenge,
    Person,
    Project,
)
from tests.applications import let_go
from tests.conftest import JUST_MIGRATED, ON_BOTH, cheap_settings
from tests.databases import (
    MIGRATIONS,
    NEWEST,
    contents,
    downgrade,
    new_panel,
    newer_migrations,
    no_room,
    postgres_database,
    without_feed,
)

HASH = "{BLF-CRYPT}$2y$04$" + "a" * 53


@pytest.fixture(params=ON_BOTH)
def database(request: pytest.FixtureRequest) -> str:
    """SQLite, in the instance folder, then PostgreSQL."""
    return str(request.param)


@pytest.fixture
def url(database: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database."""
    with url_of(database, request, "template0") as database_url:
        yield database_url


@contextmanager
def url_of(database: str, request: pytest.FixtureRequest, like: str) -> Iterator[str]:
    if database == "sqlite":
        yield ""
        return
    with postgres_database(request.getfixturevalue("postgres_url"), like) as database_url:
        yield database_url


@pytest.fixture
def empty(url: str, tmp_path: Path) -> Iterator[Flask]:
    """The application, on a database without a table; its context is there."""
    app = create_app(cheap_settings(tmp_path / "instance", url))
    with app.app_context():
        yield app
    let_go(app)


@pytest.fixture
def to_come(filled: Flask, tmp_path: Path) -> Iterator[Path]:
    """The migrations of a version to come, which the application does not know yet."""
    with newer_migrations(tmp_path) as directory:
        yield directory


@pytest.fixture
def filled(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """The application on a panel with 1000 mailboxes; its context is there."""
    with url_of(database, request, JUST_MIGRATED) as database_url:
        app = create_app(new_panel(tmp_path / "instance", database_url))
        with app.app_context():
            fill()
            yield app
        let_go(app)


def fill() -> None:
    with db.engine.begin() as connection:
        connection.execute(insert(Project), [{"id": 1, "name": "Bakery"}])
        connection.execute(insert(Person), [{"id": 1, "email": "alice@example.nl"}])
        connection.execute(insert(Membership), [{"person_id": 1, "project_id": 1}])
        connection.execute(
            insert(Domain),
            [{"id": 1, "name": "example.nl", "project_id": 1, "email_enabled": True}],
        )
        connection.execute(
            insert(Mailbox),
            [
                {
                    "domain_id": 1,
                    "email": f"box{number}@example.nl",
                    "password_hash": HASH,
                    "quota_mb": number + 1,
                    "purge_at": "2030-01-01T00:00:00Z" if number % 7 == 0 else None,
                }
                for number in range(1000)
            ],
        )


def tables() -> dict[str, list[str]]:
    """The tables with their columns, constraints and indexes, as the database tells them."""
    inspector = inspect(db.engine)
    return {
        name: sorted(
            repr(part)
            for parts in (
                inspector.get_columns(name),
                inspector.get_foreign_keys(name),
                inspector.get_indexes(name),
                inspector.get_unique_constraints(name),
                inspector.get_check_constraints(name),
            )
            for part in parts
        )
        for name in inspector.get_table_names()
    }


def test_the_tables_are_those_of_the_models(empty: Flask) -> None:
    upgrade.bring_up_to_date()
    with db.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []
    schema.offer_commands(empty)
    checked = empty.test_cli_runner().invoke(args=["db", "check"])
    assert checked.exit_code == 0, checked.output


def test_a_second_time_changes_nothing(filled: Flask) -> None:
    settings = filled.extensions["mailcote"]
    before = contents(settings)
    upgrade.bring_up_to_date()
    schema.upgrade(settings.database)
    assert contents(settings) == before


def test_all_the_way_down_and_up_again(filled: Flask) -> None:
    before = tables()
    downgrade("base")
    assert list(tables()) == ["alembic_version"]
    assert schema.present() is None
    upgrade.bring_up_to_date()
    assert tables() == before
    assert len(contents(filled.extensions["mailcote"])["feed"]) == 1


def test_no_row_is_lost_on_the_way_up_down_and_up(filled: Flask, to_come: Path) -> None:
    settings = filled.extensions["mailcote"]
    before, tables_before = contents(settings), tables()
    schema.scripts = to_come

    upgrade.bring_up_to_date()
    assert "notes" in tables()
    assert contents(settings) == before
    downgrade(NEWEST)
    assert tables() == tables_before
    assert contents(settings) == before
    upgrade.bring_up_to_date()
    assert schema.present() == "9001"
    assert contents(settings) == before
    refuse_to_orphan()


def test_passkeys_go_up_down_and_up(filled: Flask) -> None:
    """Below 0012 only what tells of copies goes; below 0010 they do, and nothing else."""
    settings, later = filled.extensions["mailcote"], ("passkeys", "passkey_challenges")
    credential = bytes(range(256))
    passkey = {"person_id": 1, "digest": "d", "credential": credential, "sign_count": 2**32 - 1}
    with db.engine.begin() as connection:
        connection.execute(
            insert(Passkey), [{**passkey, "name": "Télé", "copied_at": "2030-01-01T00:00:00Z"}]
        )
        connection.execute(insert(PasskeyChallenge), [{"digest": "c", "asked": "a"}])
    before, tables_before = contents(settings), tables()

    downgrade("0011")
    upgrade.bring_up_to_date()
    ((*kept, copied_at, copied_from, told_at),) = contents(settings)["passkeys"]
    assert kept == list(before["passkeys"][0][:-3])
    assert (credential in kept, copied_at, copied_from, told_at) == (True, None, None, None)
    assert contents(settings)["passkey_challenges"] == before["passkey_challenges"]

    downgrade("0009")
    assert not set(later) & set(tables())
    upgrade.bring_up_to_date()
    assert tables() == tables_before
    assert contents(settings) == {**before, **{name: [] for name in later}}
    with db.engine.begin() as connection:
        connection.execute(insert(Passkey), [{**passkey, "name": "Again"}])
    refuse_to_orphan()


def refuse_to_orphan() -> None:
    """References hold again once migrations are done: a parent does not go before its children."""
    with pytest.raises(Exception, match=r"(?i)foreign key"), db.engine.begin() as connection:
        connection.execute(text("DELETE FROM domains"))


BROKEN = {
    "a statement that fails": "op.execute('SELECT nonsense FROM nowhere')",
    "a constraint that does not hold": (
        "op.execute(\"UPDATE mailboxes SET quota_mb = 0 WHERE email LIKE 'box5%'\")"
    ),
    "a child without its parent": "op.execute('DELETE FROM domains')",
    "an error of Python": "raise CommandError('no')",
}

AFTER_IT = """
from alembic import op
from alembic.util import CommandError
import sqlalchemy as sa

revision = "9002"
down_revision = "9001"


def upgrade() -> None:
    op.create_table("half", sa.Column("id", sa.Integer(), primary_key=True))
    op.execute("INSERT INTO half VALUES (1)")
    op.execute("UPDATE mailboxes SET quota_mb = 7")
    with op.batch_alter_table("mailboxes") as batch_op:
        batch_op.drop_column("updated_at")
    {break_it}
"""


@pytest.mark.parametrize("how", BROKEN)
def test_one_that_fails_in_the_middle_leaves_everything_as_it_was(
    filled: Flask, to_come: Path, how: str
) -> None:
    settings = filled.extensions["mailcote"]
    before, tables_before = contents(settings), tables()
    schema.scripts = to_come
    broken = AFTER_IT.replace("{break_it}", BROKEN[how])
    (to_come / "versions" / "9002_broken.py").write_text(broken)

    with pytest.raises(schema.CannotUpgrade, match="cannot be brought up to date"):
        upgrade.bring_up_to_date()
    assert schema.present() == NEWEST
    assert tables() == tables_before
    assert contents(settings) == before

    (to_come / "versions" / "9002_broken.py").unlink()
    upgrade.bring_up_to_date()
    assert schema.present() == "9001"
    assert contents(settings) == before


# A backup first


def test_what_there_was_is_kept_before_and_can_be_restored(filled: Flask, to_come: Path) -> None:
    settings = filled.extensions["mailcote"]
    before = contents(settings)
    assert kept(filled) == []  # the first tables were made in an empty database
    schema.scripts = to_come
    upgrade.bring_up_to_date()
    upgrade.bring_up_to_date()
    [file] = kept(filled)
    assert file.stat().st_mode & 0o777 == 0o600

    downgrade(NEWEST)
    with db.engine.begin() as connection:
        connection.execute(text("DELETE FROM mailboxes"))
    schema.scripts = MIGRATIONS  # the version before
    backup.restore(file)
    assert without_feed(contents(settings)) == without_feed(before)


def test_without_a_backup_nothing_is_changed(
    filled: Flask, to_come: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = filled.extensions["mailcote"]
    before = contents(settings)
    schema.scripts = to_come
    with (
        no_room(65536),
        pytest.raises(
            schema.CannotUpgrade,
            match=r"first: .*[a-z]\. Put that right; .* MAILCOTE_BACKUP_BEFORE_UPGRADE=no",
        ),
    ):
        upgrade.bring_up_to_date()
    assert schema.present() == NEWEST
    assert contents(settings) == before
    without = replace(settings, backup_before_upgrade="no")
    monkeypatch.setitem(filled.extensions, "mailcote", without)
    upgrade.bring_up_to_date()
    assert schema.present() == "9001"
    assert kept(filled) == []


def kept(app: Flask) -> list[Path]:
    """The backups made before upgrades."""
    return sorted(app.extensions["mailcote"].instance.glob("before-upgrade-*"))


# Eight processes with one import of the program, let go at the same moment.
EIGHT = """
import os, sys
from pathlib import Path
from alembic import command  # once for all of them; the panel loads it where a migration runs
from app import create_app, schema, upgrade
from app.config import Settings

folder, database_url = sys.argv[1:]
wait, go = os.pipe()
children = []
for _ in range(8):
    child = os.fork()
    if not child:
        os.close(go)
        os.read(wait, 1)  # returns when the other end is closed
        app = create_app(Settings(instance=Path(folder), database_url=database_url))
        with app.app_context():
            upgrade.bring_up_to_date()
            os._exit(0 if schema.present() == schema.newest() else 3)
    children.append(child)
os.close(go)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
assert codes == [0] * 8, codes
"""


@pytest.mark.real
@pytest.mark.parametrize("first", ["nothing", "an older version"])
def test_eight_processes_at_once_all_succeed(url: str, tmp_path: Path, first: str) -> None:
    if first == "an older version":
        app = create_app(Settings(instance=tmp_path, database_url=url))
        with app.app_context():
            upgrade.bring_up_to_date()
            downgrade("0010")
        let_go(app)
    command = [sys.executable, "-c", EIGHT, str(tmp_path), url]
    environment = {**os.environ, "PYTHONPATH": str(Path(schema.__file__).parents[1])}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    backups = 0 if first == "nothing" else 1
    assert len(list(tmp_path.glob("before-upgrade-*"))) == backups
