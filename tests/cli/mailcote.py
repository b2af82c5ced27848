"""The `mailcote` command, run in this process, as somebody at a terminal sees it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner
from flask import Flask
from flask.cli import ScriptInfo

from app import create_app
from app.cli import commands
from app.config import Settings
from app.extensions import db

COMMAND = [str(Path(sys.executable).with_name("mailcote"))]


@dataclass
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        """The last line on standard output, where a new credential stands alone."""
        return self.out.splitlines()[-1]


@dataclass
class Mailcote:
    """The command, with the settings of one panel or those of the environment."""

    settings: Settings
    reads_environment: bool = False

    def __call__(self, *arguments: str, typed: str | bytes = "") -> Said:
        """Run it. What it says is never a traceback, and no reason is on standard output."""
        apps: list[Flask] = []

        def create() -> Flask:
            apps.append(create_app(None if self.reads_environment else self.settings))
            return apps[0]

        ran = CliRunner().invoke(
            commands,
            arguments,
            input=typed,
            prog_name="mailcote",
            obj=ScriptInfo(create_app=create),
        )
        for app in apps:
            with app.app_context():
                db.session.remove()
                db.engine.dispose()
        if ran.exception and not isinstance(ran.exception, SystemExit):
            raise ran.exception
        return Said(ran.exit_code, ran.stdout, ran.stderr)

    def done(self, *arguments: str, typed: str | bytes = "") -> Said:
        """Run it, to succeed."""
        said = self(*arguments, typed=typed)
        assert said.code == 0, said.err
        return said

    def refused(self, *arguments: str, typed: str | bytes = "") -> str:
        """Run it, to be refused; the sentence that says why."""
        said = self(*arguments, typed=typed)
        assert said.code == 1, said
        assert said.out == ""
        first_line = said.err.splitlines()[0]
        assert first_line.startswith("mailcote: ")
        return first_line.removeprefix("mailcote: ")

    def used_wrongly(self, *arguments: str) -> str:
        """Run it, to be told how it is used."""
        said = self(*arguments)
        assert said.code == 2, said
        assert said.out == ""
        assert said.err.startswith("Usage: mailcote ")
        return said.err.splitlines()[-1]


def environment(settings: Settings, **changed: str) -> dict[str, str]:
    """The environment for a real process on the same panel."""
    return {
        **{name: text for name, text in os.environ.items() if not name.startswith("MAILCOTE_")},
        "MAILCOTE_INSTANCE": str(settings.instance),
        "MAILCOTE_DATABASE_URL": settings.database_url,
        "MAILCOTE_MAILBOX_BCRYPT_COST": "4",
        "MAILCOTE_PERSON_BCRYPT_COST": "4",
        **changed,
    }
