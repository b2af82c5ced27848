"""Every command: what the operator leaves behind by it, and that nobody else gets to use it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest

from app.cli import commands
from tests.access.table import COMMANDS, GROUPS_OF_COMMANDS, SERVING
from tests.cli.mailcote import Mailcote
from tests.cli.test_every_command import walk, without_power
from tests.conftest import Cast, cheap_settings

# What follows the command's own words.
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "project add": ("Bakery",),
    "person add": ("somebody@example.org",),
    "person reset-two-factor": ("guest@example.org",),
    "token add": ("--admin",),
    "token revoke": ("1",),
    "node add": ("mpi09",),
    "domain link": ("new.nl", "--project", "1"),
    "domain verify": ("example.nl", "--project", "1"),
    "domain records": ("example.nl",),
    "domain check": ("example.nl",),
    "domain unlink": ("parked.nl",),
    "demo": ("--port", "47114"),
}
MAY_FAIL = {"domain check"}  # where no name server answers, the domain lacks its records


@pytest.fixture
def panel(staged_panel: tuple[Path, Cast]) -> Iterator[Path]:
    """A panel with the cast and a guest, where other users of the machine can look for it."""
    with tempfile.TemporaryDirectory() as folder:
        instance = Path(folder) / "instance"
        instance.mkdir(mode=0o700)
        shutil.copy(staged_panel[0], instance / "panel.db")
        (instance / "panel.db").chmod(0o600)
        with closing(sqlite3.connect(instance / "panel.db")) as database, database:
            database.execute(
                "INSERT INTO people (email, is_admin, created_at)"
                " VALUES ('guest@example.org', 0, '2020-01-01T00:00:00Z')"
            )
        Path(folder).chmod(0o755)
        yield instance


@pytest.fixture
def mailcote(panel: Path) -> Mailcote:
    """The command."""
    return Mailcote(cheap_settings(panel))


def entries(panel: Path) -> list[tuple[str, str, str | None]]:
    """The audit log: who, from where, what."""
    with closing(sqlite3.connect(panel / "panel.db")) as database:
        return database.execute(
            "SELECT actor, action, address FROM audit_entries ORDER BY id"
        ).fetchall()


def words(name: str, folder: Path) -> list[str]:
    """The whole command."""
    file = (str(folder / "backup"),) if name in ("backup", "restore") else ()
    return [*name.split(), *ARGUMENTS.get(name, ()), *file]


def test_the_table_has_every_command_once_and_no_other() -> None:
    there = {" ".join(path) for path in walk(commands)}
    assert {*COMMANDS, *SERVING, *GROUPS_OF_COMMANDS} == there
    assert all(isinstance(commands.commands[name], click.Group) for name in GROUPS_OF_COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_it_leaves_its_entry_in_the_audit_log(
    mailcote: Mailcote, panel: Path, tmp_path: Path, name: str
) -> None:
    """By the operator, from no address; and what only tells something leaves no trace."""
    before = entries(panel)
    if name == "restore":  # which brings back what was there before its backup was noted
        mailcote.done("backup", str(tmp_path / "backup"))
    said = mailcote(*words(name, tmp_path))
    assert said.code == 0 or name in MAY_FAIL, said.err
    added = entries(panel)[len(before) :]
    assert added == [("command line", action, None) for action in COMMANDS[name]]


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: needs a second user, so root")
@pytest.mark.parametrize("name", [*COMMANDS, *SERVING])
def test_it_rejects_other_users_of_the_machine(
    mailcote: Mailcote, panel: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "backup").touch()
    before = _file(panel)
    with without_power():
        said = mailcote(*words(name, tmp_path))
    assert (said.code, said.out) == (1, ""), said
    assert "ermission denied" in said.err
    assert _file(panel) == before


def _file(panel: Path) -> bytes:
    return (panel / "panel.db").read_bytes()
