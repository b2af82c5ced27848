"""FACE: the `mailcote` command; the same commands also answer to `flask`.

Exit codes: 0 done, 1 refused (the reason on standard error), 2 wrong usage.
"""

from __future__ import annotations

from flask import Flask
from flask.cli import ScriptInfo

from . import audit, domains, nouns, serving, upkeep
from .running import commands

__all__ = ["audit", "commands", "domains", "main", "nouns", "register", "serving", "upkeep"]


def main() -> None:
    """The entry point of `mailcote`."""
    from .. import create_app  # the factory registers these commands, so it imports this package

    commands.main(prog_name="mailcote", obj=ScriptInfo(create_app=create_app))


def register(app: Flask) -> None:
    """Offer the commands to `flask` as well."""
    for command in commands.commands.values():
        command.context_settings.update(commands.context_settings)  # -h, whoever asks first
        app.cli.add_command(command)
