"""How every command runs: in the application, its database up to date, refusing plainly."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import update_wrapper
from importlib.metadata import version
from typing import Any

import click
from flask.cli import ScriptInfo
from sqlalchemy.exc import SQLAlchemyError

from .. import backup, schema, upgrade
from ..config import WrongSetting
from ..demo.run import CannotRun
from ..errors import OperationError
from ..operations import OPERATIONS


class CannotServe(Exception):
    """The server cannot listen where it was told to; the message says why."""


class NobodyReads(Exception):
    """There is no standard output for what is shown once; nothing was made."""


VERSION = version("mailcote")

# Calls of programs that a hint may name, and the commands that do the same.
_COMMANDS = {
    "link-domain": "domain link --prove",
    "unlink-domain": "domain unlink",
    "check-domain": "domain check",
}
_NAMES = "|".join(map(re.escape, OPERATIONS))
_CALL = re.compile(rf"(?P<alone> \()?\b(?P<name>{_NAMES})\b(?(alone)\))")

_REFUSALS = (
    OperationError,
    WrongSetting,
    schema.CannotUpgrade,
    backup.CannotBackUp,
    CannotRun,
    CannotServe,
    NobodyReads,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, message="%(prog)s %(version)s")
def commands() -> None:
    """Mailcote: mailboxes on your own domains, live on every mail node."""


def with_panel(function: Callable[..., None]) -> Callable[..., None]:
    """Run a command in the application, its database up to date, and report refusals plainly."""

    @click.pass_context
    def run(context: click.Context, /, *arguments: Any, **options: Any) -> None:
        with refusing():
            app = context.ensure_object(ScriptInfo).load_app()
            with app.app_context():
                upgrade.bring_up_to_date()
                context.invoke(function, *arguments, **options)

    return update_wrapper(run, function)


@contextmanager
def refusing() -> Iterator[None]:
    """Say why something cannot be done, rather than show where in the program that was noticed."""
    try:
        yield
    except OperationError as error:
        _refuse(str(error), for_terminals(error.recovery or ""))
    except _REFUSALS as error:
        _refuse(str(error))
    except SQLAlchemyError as error:
        _refuse(f"The database cannot be used: {schema.reason(error)}")
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        _refuse("PostgreSQL needs one more package: pip install 'mailcote[postgres]'")
    except OSError as error:
        if error.errno == errno.EPIPE:  # nobody reads any more, and click knows what to do then
            raise
        where = f"{error.filename}: " if error.filename else ""
        _refuse(f"{where}{error.strerror or error}")


def for_terminals(hint: str) -> str:
    """What to do, by the names of commands; what programs call and no command does has none."""

    def named(match: re.Match[str]) -> str:
        command = _COMMANDS.get(match["name"])
        if command is None:
            return "" if match["alone"] else match[0]
        return f" (mailcote {command})" if match["alone"] else f"mailcote {command}"

    return _CALL.sub(named, hint)


def _refuse(reason: str, recovery: str = "") -> None:
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError:  # what cannot be written now could not be at the end either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    click.echo(f"mailcote: {reason}", err=True)
    if recovery:
        click.echo(recovery, err=True)
    sys.exit(1)


def refuse_if_nobody_reads() -> None:
    if sys.stdout is None:  # closed by who started this: what is shown once would be lost
        raise NobodyReads("There is no standard output to show the result on.")
