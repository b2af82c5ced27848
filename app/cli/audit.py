"""`mailcote audit-log`: who did what, for whoever keeps or searches that elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime

import click

from ..caller import command_line
from ..models import AuditEntry
from ..operations import audit_log as log
from ..spreadsheets import csv_lines
from .running import commands, with_panel

_MOMENT = "%Y-%m-%dT%H:%M:%SZ"


@commands.command("audit-log")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", _MOMENT]),
    help="From this day or moment on, in UTC.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv"]),
    default="jsonl",
    show_default=True,
    help="A JSON object a line, or what spreadsheets open.",
)
@with_panel
def audit_log(since: datetime | None, form: str) -> None:
    """Write out the audit log, the oldest entry first."""
    entries = log.oldest_first(command_line(), since.strftime(_MOMENT) if since else "")
    lines = csv_lines(log.COLUMNS, entries) if form == "csv" else _json_lines(entries)
    for line in lines:
        click.echo(line, nl=False)


def _json_lines(entries: Iterable[AuditEntry]) -> Iterator[str]:
    """JSON escapes what is no ASCII, and so whatever could make two lines of one."""
    for entry in entries:
        yield json.dumps({name: getattr(entry, name) for name in log.COLUMNS}) + "\n"
