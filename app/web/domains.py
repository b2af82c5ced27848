"""Domains: the list, one of them, its e-mail on and off, and the records it needs."""

from __future__ import annotations

from flask import Blueprint, Response

from ..addresses import domain_in_unicode, parse_domain
from ..dns.records import Platform, expected_records
from ..errors import Invalid, NotFound, OperationError
from ..extensions import settings
from ..operations import OPERATIONS, browse, mailbox_search
from ..operations.browse import DomainRow
from .access import access
from .pages import go, my_project, render

bp = Blueprint("domains", __name__, url_prefix="/domains")

MAX_MAILBOXES = 10


@bp.get("")
@access("person")
def index() -> Response:
    """All domains of the project."""
    return render("domains/index.html", rows=browse.domains(my_project()))


@bp.get("/<name>")
@access("person")
def show(name: str) -> Response:
    """One domain: what works now, its first mailboxes, the records it needs."""
    row = _find(name)
    caller, domain = my_project(), row.domain
    home = row.home.host if row.home else None
    platform = Platform(settings.mail_host, settings.platform_spf, settings.dkim_domain)
    return render(
        "domains/show.html",
        row=row,
        domain=domain,
        mailboxes=mailbox_search.first_mailboxes(caller, domain, MAX_MAILBOXES),
        records=expected_records(domain.name, platform, browse.mail_nodes(caller), home),
    )


@bp.post("/<name>/enable")
@access("person")
def enable(name: str) -> Response:
    """Turn e-mail on."""
    name = OPERATIONS["enable-email"](my_project(), domain=name).domain.name
    return go("domains.show", name=name, said=f"E-mail is on for {domain_in_unicode(name)}.")


@bp.get("/<name>/disable")
@access("person")
def confirm_disable(name: str) -> Response:
    """Ask before e-mail is turned off, or say what has to go first."""
    return _disable_page(_find(name))


@bp.post("/<name>/disable")
@access("person")
def disable(name: str) -> Response:
    """Turn e-mail off."""
    try:
        name = OPERATIONS["disable-email"](my_project(), domain=name).domain.name
    except OperationError as error:
        if error.code != "MAILBOXES_EXIST":
            raise
        return _disable_page(_find(name), status=error.status)
    return go("domains.show", name=name, said=f"E-mail is off for {domain_in_unicode(name)}.")


def _disable_page(row: DomainRow, status: int = 200) -> Response:
    return render(
        "domains/disable.html",
        part="domains/_disable.html",
        status=status,
        row=row,
        domain=row.domain,
        is_refused=status != 200,
    )


def _find(name: str) -> DomainRow:
    try:
        return browse.domain(my_project(), parse_domain(name))
    except Invalid:
        raise NotFound("DOMAIN_NOT_FOUND", "There is no such domain.") from None
