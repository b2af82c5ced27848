"""What all commands have in common: where they work, and how they fail."""

from __future__ import annotations

import os
import pwd
import re
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import pytest

from app.cli import commands
from app.config import Settings
from tests.conftest import needs_postgres

from .mailcote import Mailcote

ON_A_NEW_PANEL = [
    ("project", "add", "Bakery"),
    ("person", "add", "alice@example.nl"),
    ("token", "add", "--admin"),
    ("node", "add", "mpi01"),
    ("purge",),
    ("check",),
    ("confirm-shrink",),
]

DEMO = ("demo", "--port", "47113")  # refused before anything listens there


def walk(group: click.Group, *path: str) -> list[tuple[str, ...]]:
    """All commands, by the words they are called with."""
    found = []
    for name, command in group.commands.items():
        found.append((*path, name))
        if isinstance(command, click.Group):
            found.extend(walk(command, *path, name))
    return found


def test_these_are_the_commands() -> None:
    assert {" ".join(path) for path in walk(commands)} == {
        *("serve", "demo", "backup", "restore", "purge", "check", "confirm-shrink"),
        "audit-log",
        *("check-dns", "project", "project add", "person", "person add", "person reset-two-factor"),
        *("domain", "domain link", "domain verify", "domain records", "domain check"),
        "domain unlink",
        *("token", "token add", "token list", "token revoke", "node", "node add"),
    }


@pytest.mark.parametrize("path", walk(commands), ids=" ".join)
def test_it_explains_itself(new_mailcote: Mailcote, path: tuple[str, ...]) -> None:
    assert new_mailcote.done(*path, "--help").out.startswith(f"Usage: mailcote {' '.join(path)} ")
    assert not new_mailcote.settings.instance.exists()


def test_it_says_which_version_it_is(new_mailcote: Mailcote) -> None:
    assert re.fullmatch(r"mailcote \d+\.\d+\.\d+\n", new_mailcote.done("--version").out)


@pytest.mark.parametrize("path", [(), ("backup",), ("token", "add")])
def test_it_explains_itself_in_short_too(new_mailcote: Mailcote, path: tuple[str, ...]) -> None:
    assert new_mailcote.done(*path, "-h").out == new_mailcote.done(*path, "--help").out


def test_it_does_not_know_other_commands(new_mailcote: Mailcote) -> None:
    assert "No such command" in new_mailcote.used_wrongly("sevre")
    assert "No such command" in new_mailcote.used_wrongly("token", "remove")


@pytest.mark.parametrize("arguments", ON_A_NEW_PANEL, ids=" ".join)
def test_it_works_on_a_new_panel(new_mailcote: Mailcote, arguments: tuple[str, ...]) -> None:
    new_mailcote.done(*arguments)


def test_what_it_makes_is_for_its_owner_only(new_mailcote: Mailcote) -> None:
    new_mailcote.done("check")
    instance = new_mailcote.settings.instance
    assert stat.S_IMODE(instance.stat().st_mode) == 0o700
    for name in ("panel.db", "secret_key"):
        assert stat.S_IMODE((instance / name).stat().st_mode) == 0o600


def test_domain_link_backup_and_restore_work_on_a_new_panel(
    new_mailcote: Mailcote, tmp_path: Path
) -> None:
    assert new_mailcote.refused("domain", "link", "example.nl", "--project", "1")
    new_mailcote.done("backup", str(tmp_path / "backup"))
    new_mailcote.done("restore", str(tmp_path / "backup"))


# What cannot be used

BROKEN = [*ON_A_NEW_PANEL, ("backup", "b"), ("restore", "b"), ("serve",)]


@pytest.mark.parametrize("arguments", BROKEN, ids=" ".join)
def test_it_refuses_a_file_that_is_no_database(
    new_mailcote: Mailcote, arguments: tuple[str, ...]
) -> None:
    new_mailcote.settings.instance.mkdir()
    file = new_mailcote.settings.instance / "panel.db"
    file.write_bytes(b"my shopping list\n" * 1000)
    sentence = new_mailcote.refused(*arguments)
    assert sentence == "The database cannot be used: file is not a database"
    assert file.read_bytes() == b"my shopping list\n" * 1000


@pytest.mark.parametrize("arguments", BROKEN, ids=" ".join)
def test_it_refuses_a_database_of_a_newer_version(
    mailcote: Mailcote, arguments: tuple[str, ...]
) -> None:
    with closing(sqlite3.connect(mailcote.settings.instance / "panel.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    assert mailcote.refused(*arguments) == (
        "The database is of a newer version of Mailcote than this one."
    )


def test_it_refuses_a_folder_in_place_of_the_database(new_mailcote: Mailcote) -> None:
    (new_mailcote.settings.instance / "panel.db").mkdir(parents=True)
    assert new_mailcote.refused("check")


@pytest.mark.parametrize("arguments", [("check",), ("token", "add", "--admin"), DEMO])
def test_it_refuses_an_instance_folder_that_cannot_be_made(
    tmp_path: Path, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    instance = tmp_path / "file" / "instance"
    monkeypatch.setenv("MAILCOTE_INSTANCE", str(instance))
    mailcote = Mailcote(Settings(), reads_environment=True)
    assert mailcote.refused(*arguments).startswith("MAILCOTE_INSTANCE takes a folder ")


@contextmanager
def without_power() -> Iterator[None]:
    """As a user whom the modes of files concern: root may read and write everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def others_instance() -> Iterator[Path]:
    """An instance folder outside pytest's own, which nobody else may enter."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.parametrize(
    "arguments", [("check",), ("project", "add", "Bakery"), ("backup", "b"), DEMO]
)
@pytest.mark.parametrize("mode", [0o000, 0o500, 0o555])
def test_it_refuses_an_instance_folder_it_may_not_use(
    others_instance: Path,
    arguments: tuple[str, ...],
    mode: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MAILCOTE_INSTANCE", str(others_instance))
    mailcote = Mailcote(Settings(instance=others_instance))
    mailcote.done("check")  # as root, so that all that is ever imported is imported
    others_instance.chmod(mode)
    with without_power():
        assert "ermission denied" in mailcote.refused(*arguments)
    others_instance.chmod(0o700)


@pytest.mark.parametrize("arguments", [("check",), ("backup", "b"), ("token", "add", "--admin")])
def test_it_refuses_a_postgresql_that_is_down(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    down = "postgresql+psycopg://panel:geheim-geheim@127.0.0.1:1/panel"
    sentence = Mailcote(Settings(instance=tmp_path, database_url=down)).refused(*arguments)
    assert sentence.startswith("The database cannot be used: ")
    assert "refused" in sentence
    assert "geheim" not in sentence


@needs_postgres
@pytest.mark.real
def test_it_refuses_a_postgresql_database_that_is_not_there(
    tmp_path: Path, postgres_url: str
) -> None:
    absent = postgres_url.replace("/postgres?", "/absent?")
    sentence = Mailcote(Settings(instance=tmp_path, database_url=absent)).refused("check")
    assert '"absent" does not exist' in sentence


# What is set wrongly

WRONG = {
    "MAILCOTE_GRACE_DAYS": ("soon", "0 to 3650"),
    "MAILCOTE_PERSON_BCRYPT_COST": ("3", "4 to 14"),
    "MAILCOTE_TRUSTED_PROXIES": ("-1", "0 to 10"),
    "MAILCOTE_WORKERS": ("many", "0 to 64"),
    "MAILCOTE_PUBLIC_URL": ("panel.example.nl", "https://panel.example.nl"),
    "MAILCOTE_DATABASE_URL": ("mysql://x", "sqlite:///FILE or postgresql://"),
    "MAILCOTE_SECRET_KEY": ("geheimpje", "at least 32 characters"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("arguments", [("check",), DEMO], ids=" ".join)
def test_a_wrong_setting_stops_it_with_its_name_and_what_is_accepted(
    tmp_path: Path, name: str, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    value, accepted = WRONG[name]
    monkeypatch.setenv("MAILCOTE_INSTANCE", str(tmp_path / "instance"))
    monkeypatch.setenv(name, value)
    mailcote = Mailcote(Settings(), reads_environment=True)
    sentence = mailcote.refused(*arguments)
    assert sentence.startswith(f"{name} takes ")
    assert accepted in sentence
    assert "geheimpje" not in sentence
    assert not (tmp_path / "instance").exists()
