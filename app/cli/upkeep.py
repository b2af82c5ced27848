"""What an operator does now and then: backups, purging, and checking the panel."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .. import backup as backups
from .. import checks, domain_notices
from ..caller import command_line
from ..errors import Busy
from ..operations import OPERATIONS, linking, zone_checks
from ..outbox import send_what_waits
from .running import commands, with_panel


@commands.command()
@click.argument("file", type=click.Path(path_type=Path))
@with_panel
def backup(file: Path) -> None:
    """Write a consistent backup; the panel may be in use."""
    backups.back_up(file)
    click.echo(f"Everything is in {file}.")
    try:
        OPERATIONS["record-backup"](command_line(), name=_printable(file.name))
    except Busy as error:  # a database that cannot be written may need its backup most
        click.echo(f"It is not in the audit log: {error}", err=True)


def _printable(name: str) -> str:
    """A file's name as a name for people: what is none of its characters is a question mark."""
    return "".join(char if char.isprintable() else "?" for char in name).strip()[:100] or "?"


@commands.command()
@click.argument("file", type=click.Path(path_type=Path))
@with_panel
def restore(file: Path) -> None:
    """Replace everything by a backup, and begin a new epoch; the panel may be in use."""
    present = backups.restore(file)
    click.echo(f"Restored from {file}. What was here before is in {present}.")
    click.echo("Everybody has to sign in again, and one-time links have to be made again;")
    click.echo("tokens and sync keys that were revoked since then work again.")
    click.echo("If it holds far fewer mailboxes than the nodes do, they keep theirs until you run")
    click.echo("mailcote confirm-shrink")


@commands.command("confirm-shrink")
@with_panel
def confirm_shrink() -> None:
    """Tell the nodes that the present mailboxes are meant, however few."""
    OPERATIONS["confirm-shrink"](command_line())
    click.echo("Nodes will take over the present mailboxes.")


@commands.command()
@with_panel
def purge() -> None:
    """Let go of the mailboxes that are past their grace period."""
    done = OPERATIONS["purge"](command_line())
    click.echo(f"Mailboxes gone: {done.mailboxes}. Purge orders sent out: {done.orders}.")


@commands.command("check-dns")
@click.option("--all", "is_all", is_flag=True, help="Every domain, not only those that are due.")
@with_panel
def check_dns(is_all: bool) -> None:
    """Look at the domains in the DNS that are due; several hosts may do so at once."""
    if is_all:
        zone_checks.check_all()
    linking.link_what_is_proven()
    domains = changed = 0
    while (done := zone_checks.check_due()).domains:
        domains, changed = domains + done.domains, changed + done.changed
    domain_notices.write_what_is_new()
    send_what_waits()
    click.echo(f"Domains checked: {domains}. Changed: {changed}.")


@commands.command()
@with_panel
def check() -> None:
    """Check the panel itself; exit code 1 when something is wrong."""
    verdicts = list(checks.run())
    for verdict, sentence in verdicts:
        click.echo(f"{verdict:6} {sentence}")
    if "WRONG" in dict(verdicts):
        sys.exit(1)
