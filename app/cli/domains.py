"""`mailcote domain …`: linking domains, and what the DNS says of them."""

from __future__ import annotations

import sys

import click

from ..addresses import parse_domain
from ..caller import Caller, command_line
from ..dns.zone_file import zone_file
from ..errors import Invalid, NotFound
from ..operations import OPERATIONS
from ..operations.results import DomainRecords
from .running import commands, with_panel

_project = click.option(
    "--project", "project_id", type=int, help="Default: the one the domain is linked to."
)


@commands.group()
def domain() -> None:
    """Mail domains."""


@domain.command("link")
@click.argument("domain")
@click.option("--project", "project_id", required=True, type=int)
@click.option("--prove", is_flag=True, help="Ask for the proof of ownership customers give.")
@with_panel
def link_domain(domain: str, project_id: int, prove: bool) -> None:
    """Link a domain to a project, without the ownership check unless --prove is given."""
    if not prove:
        linked = OPERATIONS["assign-domain"](command_line(), domain=domain, project_id=project_id)
        click.echo(f"{linked.domain.name} is linked to project {project_id}.")
        return
    claim = OPERATIONS["link-domain"](command_line().in_project(project_id), domain=domain)
    fields = claim.to_dict()
    if fields["linked"]:
        click.echo(f"{fields['domain']} is linked to project {project_id}.")
        return
    proof = fields["proof"]
    click.echo(f"Add this record before {fields['expires_at']}, then run mailcote domain verify:")
    click.echo(f'{proof["full_name"]}. IN TXT "{proof["value"]}"')


@domain.command("verify")
@click.argument("domain")
@click.option("--project", "project_id", required=True, type=int)
@with_panel
def verify_domain(domain: str, project_id: int) -> None:
    """Look for the proof of ownership, and link the domain if it is there."""
    linked = OPERATIONS["verify-domain"](command_line().in_project(project_id), domain=domain)
    click.echo(f"{linked.domain.name} is linked to project {project_id}.")


@domain.command("records")
@click.argument("domain")
@_project
@click.option("--zone-file", "as_zone_file", is_flag=True, help="As a zone file.")
@with_panel
def list_records(domain: str, project_id: int | None, as_zone_file: bool) -> None:
    """List the records a domain needs, with what was last found of each."""
    found = OPERATIONS["list-records"](_in_its_project(domain, project_id), domain=domain)
    if as_zone_file:
        click.echo(zone_file(found.name, [one.record for one in found.verdicts]), nl=False)
    else:
        _tell(found)


@domain.command("check")
@click.argument("domain")
@_project
@with_panel
def check_domain(domain: str, project_id: int | None) -> None:
    """Ask the name servers which records are there; exit code 1 if mail lacks one."""
    found = OPERATIONS["check-domain"](_in_its_project(domain, project_id), domain=domain)
    _tell(found)
    if found.state != "ready":
        sys.exit(1)


@domain.command("unlink")
@click.argument("domain")
@_project
@with_panel
def unlink_domain(domain: str, project_id: int | None) -> None:
    """Take a domain out of its project, or give up linking it."""
    gone = OPERATIONS["unlink-domain"](_in_its_project(domain, project_id), domain=domain)
    click.echo(f"{gone.name} is no longer linked.")


def _in_its_project(name: str, project_id: int | None) -> Caller:
    """The operator, acting in a project: the one that was named, or the domain's own."""
    operator = command_line()
    if project_id is None:
        try:
            domain = parse_domain(name)
            project_id = operator.any_domain(domain).project_id
        except Invalid as error:
            raise Invalid(error.message, field="domain") from None
        except NotFound as error:
            sentence = f"{domain} is linked to no project; --project names one that asked for it."
            raise NotFound(error.code, sentence, field="domain") from None
    return operator if project_id is None else operator.in_project(project_id)


def _tell(found: DomainRecords) -> None:
    for one in found.verdicts:
        click.echo(
            f"{one.state:9}  {one.record.full_name(found.name)}. {one.record.type}"
            f" {one.record.data}"
        )
        for value in one.found if one.state != "ok" else ():
            click.echo(f"{'':9}  found: {value}")
        for text in (one.advice, one.merged and f"put this there: {one.merged}"):
            if text:
                click.echo(f"{'':9}  {text}")
    click.echo(found.summary)
