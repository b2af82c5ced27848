"""`mailcote serve` and `mailcote demo`: commands that become a server."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import click

from .. import upgrade
from ..config import Settings
from ..demo import example
from ..demo.run import run as run_demo
from ..extensions import settings
from ..turns import one_at_a_time
from .running import CannotServe, commands, refusing, with_panel

_SERVER = Path(__file__).parents[1] / "server.py"


@commands.command()
@click.option("--host", default=None, help="The address to listen on; default 127.0.0.1.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@with_panel
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
    from .. import create_app  # the factory registers these commands, so it imports this module

    with refusing():
        folder = Settings.from_environment().instance / "demo"
        environment = {
            **os.environ,
            "MAILCOTE_INSTANCE": str(folder),
            "MAILCOTE_DATABASE_URL": f"sqlite:///{folder / 'demo.db'}",
            "MAILCOTE_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "MAILCOTE_HOST": "127.0.0.1",
            "MAILCOTE_LOG_LEVEL": "warning",  # what it prints is to be read
        }
        _refuse_where_nobody_can_listen("127.0.0.1", port)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with one_at_a_time(folder / "demo.lock"):
            secrets = example.secrets_of(folder)
            if secrets is None:
                for left_over in folder.glob("demo.db*"):
                    left_over.unlink()
            with create_app(Settings.from_environment(environment)).app_context():
                upgrade.bring_up_to_date()
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
