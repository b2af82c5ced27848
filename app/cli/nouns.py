"""The commands by noun: `mailcote project add`, `mailcote token revoke` and the like."""

from __future__ import annotations

import sys
from typing import Any

import click

from ..caller import command_line
from ..errors import Invalid
from ..extensions import settings
from ..models import Token
from ..operations import OPERATIONS, oversight
from .running import commands, refuse_if_nobody_reads, with_panel

_MAX_PASSWORD = 1024  # bytes; a policy that is stricter says so itself
_MAX_DAYS = 3650


@commands.group()
def project() -> None:
    """Projects, to which customers and domains belong."""


@project.command("add")
@click.argument("name")
@with_panel
def add_project(name: str) -> None:
    """Create a project; its id is on the last line."""
    refuse_if_nobody_reads()
    click.echo(OPERATIONS["add-project"](command_line(), name=name).id)


@commands.group()
def person() -> None:
    """People who sign in to the panel."""


@person.command("add")
@click.argument("email")
@click.option("--admin", is_flag=True, help="May do everything.")
@click.option("--project", "projects", multiple=True, type=int, help="May be given repeatedly.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@with_panel
def add_person(email: str, admin: bool, projects: tuple[int, ...], password_stdin: bool) -> None:
    """Let somebody sign in; without a password, by the one-time link on the last line."""
    refuse_if_nobody_reads()
    given: dict[str, Any] = {"email": email, "is_admin": admin, "projects": list(projects)}
    if password_stdin:
        given["password"] = _line_from_standard_input()
    made = OPERATIONS["add-person"](command_line(), **given)
    click.echo(f"{made.person.email} can sign in.")
    if made.welcome:
        click.echo("This link works once, within 7 days, to choose a password:")
        click.echo(f"{settings.public_url}/welcome/{made.welcome}")


@person.command("reset-two-factor")
@click.argument("email")
@with_panel
def reset_two_factor(email: str) -> None:
    """Take two-factor sign-in off somebody who lost the phone and the recovery codes."""
    person = OPERATIONS["reset-two-factor"](command_line(), email=email)
    click.echo(f"{person.email} signs in by the password alone until it is set up again.")


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
@with_panel
def add_token(project_id: int | None, admin: bool, name: str, scope: str, days: int | None) -> None:
    """Make a token for one project or for an admin; it is on the last line, this once."""
    if admin == (project_id is not None):
        raise click.UsageError("Give either --project ID or --admin.")
    refuse_if_nobody_reads()
    given = {"name": name, "scope": scope, "project_id": project_id, "days": days}
    given = {key: value for key, value in given.items() if value is not None}
    click.echo(OPERATIONS["add-token"](command_line(), **given).text)


@token.command("list")
@with_panel
def list_tokens() -> None:
    """List all tokens, those that still work first."""
    for found in oversight.tokens(command_line()):
        click.echo("  ".join(_told(found)))


def _told(found: Token) -> list[str]:
    reach = "admin" if found.project_id is None else f"project {found.project_id}"
    end = "never ends" if found.expires_at is None else f"ends {found.expires_at}"
    state = f"revoked {found.revoked_at}" if found.revoked_at else end
    used = f"last used {found.last_used_at}" if found.last_used_at else "never used"
    return [str(found.id), reach, found.scope, f"{found.hint}…", found.name, state, used]


@token.command("revoke")
@click.argument("token_id", type=int, metavar="ID")
@with_panel
def revoke_token(token_id: int) -> None:
    """End a token for good; `mailcote token list` shows their ids."""
    ended = OPERATIONS["revoke-token"](command_line(), token_id=token_id)
    click.echo(f"Token {ended.id} ({ended.name}) no longer works.")


@commands.group()
def node() -> None:
    """Mail nodes."""


@node.command("add")
@click.argument("name")
@click.option("--ip", "ip_address", help="The address or CIDR network it has to come from.")
@with_panel
def add_node(name: str, ip_address: str | None) -> None:
    """Create a node; its sync key is on the last line, this once."""
    refuse_if_nobody_reads()
    given = {"name": name} | ({} if ip_address is None else {"ip_address": ip_address})
    click.echo(OPERATIONS["add-node"](command_line(), **given).sync_key)


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
