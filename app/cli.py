"""FACE: the `mailcote` command; the same commands also answer to `flask`.

Exit codes: 0 done, 1 refused (the reason on standard error), 2 wrong usage.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import update_wrapper
from pathlib import Path
from typing import Any

import click
from flask import Flask
from flask.cli import ScriptInfo
from sqlalchemy.exc import SQLAlchemyError

from . import backup as backups
from . import checks, schema
from .caller import command_line
from .config import Settings, WrongSetting
from .demo import example
from .demo.run import CannotRun
from .demo.run import run as run_demo
from .errors import Invalid, OperationError
from .extensions import settings
from .operations import OPERATIONS

_SERVER = Path(__file__).with_name("server.py")
_MAX_PASSWORD = 1024  # bytes; a policy that is stricter says so itself
_MAX_DAYS = 3650


class CannotServe(Exception):
    """The server cannot listen where it was told to; the message says why."""


class NobodyReads(Exception):
    """There is no standard output for what is shown once; nothing was made."""


_REFUSALS = (
    OperationError,
    WrongSetting,
    schema.CannotUpgrade,
    backups.CannotBackUp,
    CannotRun,
    CannotServe,
    NobodyReads,
)


def main() -> None:
    """The entry point of `mailcote`."""
    from . import create_app  # the factory registers these commands, so it imports this module

    commands.main(prog_name="mailcote", obj=ScriptInfo(create_app=create_app))


def register(app: Flask) -> None:
    """Offer the commands to `flask` as well."""
    for command in commands.commands.values():
        app.cli.add_command(command)


@click.group()
def commands() -> None:
    """Mailcote: mailboxes on your own domains, live on every mail node."""


def _with_panel(function: Callable[..., None]) -> Callable[..., None]:
    """Run a command in the application, its database up to date, and report refusals plainly."""

    @click.pass_context
    def run(context: click.Context, /, *arguments: Any, **options: Any) -> None:
        with _refusing():
            app = context.ensure_object(ScriptInfo).load_app()
            with app.app_context():
                schema.bring_up_to_date()
                context.invoke(function, *arguments, **options)

    return update_wrapper(run, function)


@contextmanager
def _refusing() -> Iterator[None]:
    """Say why something cannot be done, rather than show where in the program that was noticed."""
    try:
        yield
    except OperationError as error:
        _refuse(str(error), error.recovery or "")
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


@commands.command()
@click.option("--host", default=None, help="The address to listen on; default 127.0.0.1.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@_with_panel
def serve(host: str | None, port: int) -> None:
    """Run the production server."""
    environment = {**os.environ, "MAILCOTE_HOST": host or settings.host}
    listen_on = Settings.from_environment(environment).host
    environment["MAILCOTE_INSTANCE"] = str(settings.instance)  # the server runs in another folder
    _refuse_where_nobody_can_listen(listen_on, port)
    command = _server(listen_on, port)
    click.echo(f"Mailcote listens on {listen_on}, port {port}.", err=True)
    os.execve(command[0], command, environment)


@commands.command()
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
def demo(port: int) -> None:
    """Run a panel with example data of its own, and a mail node where Dovecot is installed."""
    from . import create_app  # the factory registers these commands, so it imports this module

    with _refusing():
        folder = Settings.from_environment().instance / "demo"
        environment = {
            **os.environ,
            "MAILCOTE_INSTANCE": str(folder),
            "MAILCOTE_DATABASE_URL": f"sqlite:///{folder / 'demo.db'}",
            "MAILCOTE_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "MAILCOTE_HOST": "127.0.0.1",
        }
        _refuse_where_nobody_can_listen("127.0.0.1", port)
        with example.one_at_a_time(folder):
            secrets = example.secrets_of(folder)
            if secrets is None:
                for left_over in folder.glob("demo.db*"):
                    left_over.unlink()
            with create_app(Settings.from_environment(environment)).app_context():
                schema.bring_up_to_date()
                secrets = secrets or example.set_up(folder)
        run_demo(secrets, _server("127.0.0.1", port), environment, port, click.echo)


def _refuse_where_nobody_can_listen(host: str, port: int) -> None:
    """Find out before the server does, which tries for some seconds and then shows its log."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "that is no name of a host"
        raise CannotServe(f"Cannot listen on {host}, port {port}: {reason}.") from error


def _server(host: str, port: int) -> list[str]:
    """The command that runs the production server.

    Where it is started there may be another folder named `app`; -P and --chdir keep it from being
    taken for this one.
    """
    bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    gunicorn = ["-P", "-m", "gunicorn", "--config", f"file:{_SERVER}", "--bind", bind]
    where = ["--chdir", str(_SERVER.parents[1])]
    return [sys.executable, *gunicorn, *where, "app:create_app()"]


@commands.group()
def project() -> None:
    """Projects, to which customers and domains belong."""


@project.command("add")
@click.argument("name")
@_with_panel
def add_project(name: str) -> None:
    """Create a project; its id is on the last line."""
    _refuse_if_nobody_reads()
    click.echo(OPERATIONS["add-project"](command_line(), name=name).id)


@commands.group()
def person() -> None:
    """People who sign in to the panel."""


@person.command("add")
@click.argument("email")
@click.option("--admin", is_flag=True, help="May do everything.")
@click.option("--project", "projects", multiple=True, type=int, help="May be given repeatedly.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@_with_panel
def add_person(email: str, admin: bool, projects: tuple[int, ...], password_stdin: bool) -> None:
    """Let somebody sign in; without a password, by the one-time link on the last line."""
    _refuse_if_nobody_reads()
    given: dict[str, Any] = {"email": email, "is_admin": admin, "projects": list(projects)}
    if password_stdin:
        given["password"] = _line_from_standard_input()
    made = OPERATIONS["add-person"](command_line(), **given)
    click.echo(f"{made.person.email} can sign in.")
    if made.welcome:
        click.echo("This link works once, within 7 days, to choose a password:")
        click.echo(f"{settings.public_url}/welcome/{made.welcome}")


@commands.group()
def domain() -> None:
    """Mail domains."""


@domain.command("link")
@click.argument("domain")
@click.option("--project", "project_id", required=True, type=int)
@_with_panel
def link_domain(domain: str, project_id: int) -> None:
    """Link a domain to a project without the ownership check."""
    linked = OPERATIONS["assign-domain"](command_line(), domain=domain, project_id=project_id)
    click.echo(f"{linked.domain.name} is linked to project {project_id}.")


@commands.group()
def token() -> None:
    """Credentials for programs."""


@token.command("add")
@click.option("--project", "project_id", type=int)
@click.option("--admin", is_flag=True)
@click.option("--name", default="made on the command line", help="To recognise it by.")
@click.option("--scope", type=click.Choice(["read", "write"]), default="write", show_default=True)
@click.option(
    "--expires", "days", type=click.IntRange(1, _MAX_DAYS), metavar="DAYS", help="Days from now."
)
@_with_panel
def add_token(project_id: int | None, admin: bool, name: str, scope: str, days: int | None) -> None:
    """Make a token for one project or for an admin; it is on the last line, this once."""
    if admin == (project_id is not None):
        raise click.UsageError("Give either --project ID or --admin.")
    _refuse_if_nobody_reads()
    given = {"name": name, "scope": scope, "project_id": project_id, "days": days}
    given = {key: value for key, value in given.items() if value is not None}
    click.echo(OPERATIONS["add-token"](command_line(), **given).text)


@commands.group()
def node() -> None:
    """Mail nodes."""


@node.command("add")
@click.argument("name")
@click.option("--ip", "ip_address", help="The address or CIDR network it has to come from.")
@_with_panel
def add_node(name: str, ip_address: str | None) -> None:
    """Create a node; its sync key is on the last line, this once."""
    _refuse_if_nobody_reads()
    given = {"name": name} | ({} if ip_address is None else {"ip_address": ip_address})
    click.echo(OPERATIONS["add-node"](command_line(), **given).sync_key)


@commands.command()
@click.argument("file", type=click.Path(path_type=Path))
@_with_panel
def backup(file: Path) -> None:
    """Write a consistent backup; the panel may be in use."""
    backups.back_up(file)
    click.echo(f"Everything is in {file}.")


@commands.command()
@click.argument("file", type=click.Path(path_type=Path))
@_with_panel
def restore(file: Path) -> None:
    """Replace everything by a backup, and begin a new epoch; the panel may be in use."""
    present = backups.restore(file)
    click.echo(f"Restored from {file}. What was here before is in {present}.")
    click.echo("Everybody has to sign in again, and one-time links have to be made again;")
    click.echo("tokens and sync keys that were revoked since then work again.")
    click.echo("If it holds far fewer mailboxes than the nodes do, they keep theirs until you run")
    click.echo("mailcote confirm-shrink")


@commands.command("confirm-shrink")
@_with_panel
def confirm_shrink() -> None:
    """Tell the nodes that the present mailboxes are meant, however few."""
    OPERATIONS["confirm-shrink"](command_line())
    click.echo("Nodes will take over the present mailboxes.")


@commands.command()
@_with_panel
def purge() -> None:
    """Let go of the mailboxes that are past their grace period."""
    done = OPERATIONS["purge"](command_line())
    click.echo(f"Mailboxes gone: {done.mailboxes}. Purge orders sent out: {done.orders}.")


@commands.command()
@_with_panel
def check() -> None:
    """Check the panel itself; exit code 1 when something is wrong."""
    verdicts = list(checks.run())
    for is_fine, sentence in verdicts:
        click.echo(f"{'ok    ' if is_fine else 'WRONG '} {sentence}")
    if not all(is_fine for is_fine, _ in verdicts):
        sys.exit(1)


def _refuse_if_nobody_reads() -> None:
    if sys.stdout is None:  # closed by who started this: what is shown once would be lost
        raise NobodyReads("There is no standard output to show the result on.")


def _line_from_standard_input() -> str:
    """What is on standard input, less one line end."""
    typed = sys.stdin.buffer.read(_MAX_PASSWORD + 1) if sys.stdin else b""
    if len(typed) > _MAX_PASSWORD:
        raise Invalid("What is on standard input is too long for a password.")
    try:
        text = typed.decode()
    except UnicodeDecodeError:
        raise Invalid("The password on standard input is not UTF-8.") from None
    return text.removesuffix("\r\n" if text.endswith("\r\n") else "\n")


if __name__ == "__main__":
    main()
