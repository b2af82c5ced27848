"""The command as a real process: its streams, its user, and its second name `flask`."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.config import Settings

from .mailcote import COMMAND, environment

pytestmark = pytest.mark.real


def run(
    *arguments: str, settings: Settings, program: list[str] = COMMAND, **options: Any
) -> subprocess.CompletedProcess[str]:
    """A real process; what it says of a failure is never a traceback."""
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.PIPE)
    ran = subprocess.run(
        [*program, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        **{"env": environment(settings), **options},
    )
    assert "Traceback" not in ran.stderr
    assert "Exception ignored" not in ran.stderr
    return ran


def test_it_runs_as_a_program(settings: Settings) -> None:
    ran = run("project", "add", "Bakery", settings=settings)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "1\n", "")


def test_it_reads_a_password_as_a_program(settings: Settings) -> None:
    ran = run(
        *("person", "add", "alice@example.nl", "--password-stdin"),
        settings=settings,
        stdin=None,
        input="correct horse battery\n",
    )
    assert (ran.returncode, ran.stdout) == (0, "alice@example.nl can sign in.\n")


def test_it_answers_to_flask_too(settings: Settings) -> None:
    flask = [sys.executable, "-m", "flask", "--app", "wsgi"]
    ran = run("project", "add", "Bakery", settings=settings, program=flask)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "1\n", "")


def test_it_refuses_under_flask_as_well(settings: Settings) -> None:
    flask = [sys.executable, "-m", "flask", "--app", "wsgi"]
    ran = run("token", "add", "--project", "7", settings=settings, program=flask)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "mailcote: There is no such project.\n"


def closed(number: int) -> list[str]:
    """The program, started as by a shell's `1>&-`."""
    return ["sh", "-c", f'exec "$@" {number}>&-', "sh", *COMMAND]


def tokens(settings: Settings) -> int:
    with closing(sqlite3.connect(settings.instance / "panel.db")) as database:
        count: int = database.execute("SELECT count(*) FROM tokens").fetchone()[0]
        return count


def test_it_makes_no_token_that_nobody_would_see(settings: Settings) -> None:
    ran = run("token", "add", "--admin", settings=settings, program=closed(1))
    assert ran.returncode == 1
    assert "no standard output" in ran.stderr
    assert tokens(settings) == 0


def test_it_checks_without_a_standard_output(settings: Settings) -> None:
    assert run("check", settings=settings, program=closed(1)).returncode == 0


def test_it_refuses_without_a_standard_error(settings: Settings) -> None:
    ran = run("token", "add", "--project", "7", settings=settings, program=closed(2))
    assert (ran.returncode, ran.stdout) == (1, "")


def test_it_takes_no_password_from_a_closed_standard_input(settings: Settings) -> None:
    arguments = ("person", "add", "alice@example.nl", "--password-stdin")
    ran = run(*arguments, settings=settings, program=closed(0))
    assert ran.returncode == 1
    assert "too short" in ran.stderr


def test_it_says_when_its_output_cannot_be_written(settings: Settings) -> None:
    with Path("/dev/full").open("w") as full:
        ran = run("token", "add", "--admin", settings=settings, stdout=full)
    assert ran.returncode == 1
    assert re.match("mailcote: .*No space left", ran.stderr)


def test_it_ends_quietly_when_nobody_reads_on(settings: Settings) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as broken:
        ran = run("check", settings=settings, stdout=broken)
    assert (ran.returncode, ran.stderr) == (1, "")
