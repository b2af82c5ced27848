"""Domains: the list, linking one, one of them, its e-mail on and off, and letting it go."""

from __future__ import annotations

from flask import Blueprint, Response

from ..addresses import domain_in_unicode
from ..errors import OperationError
from ..models import DomainClaim
from ..operations import OPERATIONS, browse, claims, mailbox_search
from ..operations.browse import DomainRow
from .access import access
from .forms import LinkDomainForm
from .pages import go, my_project, render
from .records import records_shown
from .searches import domain_named, no_such_domain

bp = Blueprint("domains", __name__, url_prefix="/domains")

MAX_MAILBOXES = 10


@bp.get("")
@access("person")
def index() -> Response:
    """All domains of the project, and those on their way."""
    caller = my_project()
    return render("domains/index.html", rows=browse.domains(caller), claims=claims.claims(caller))


@bp.get("/new")
@access("person")
def new() -> Response:
    """The form for a domain to link."""
    my_project()
    return render("domains/new.html", form=LinkDomainForm())


@bp.post("/new")
@access("person")
def link() -> Response:
    """Begin to link it."""
    form = LinkDomainForm()
    try:
        claim = OPERATIONS["link-domain"](my_project(), domain=form.domain.data or "")
    except OperationError as error:
        form.refuse(error)
        return render("domains/new.html", status=error.status, form=form)
    return go("domains.show", name=claim.name)


@bp.get("/<name>")
@access("person")
def show(name: str) -> Response:
    """One domain: what works now, its first mailboxes, the records it needs; or, on its way here,
    how to prove that it is one's own."""
    caller = my_project()
    row = browse.domain_or_none(caller, domain_named(name))
    if row is None:
        return _claim_page(name)
    return render(
        "domains/show.html",
        row=row,
        domain=row.domain,
        mailboxes=mailbox_search.first_mailboxes(caller, row.domain, MAX_MAILBOXES),
        **records_shown(caller, row.domain),
    )


@bp.post("/<name>/verify")
@access("person")
def verify(name: str) -> Response:
    """Look for the proof, and link the domain if it is there."""
    try:
        name = OPERATIONS["verify-domain"](my_project(), domain=name).domain.name
    except OperationError as error:
        if error.code not in ("DOMAIN_NOT_PROVEN", "DOMAIN_IN_USE"):
            raise
        return _claim_page(name, error)
    return go("domains.show", name=name, said=f"{domain_in_unicode(name)} is linked.")


@bp.get("/<name>/unlink")
@access("person")
def confirm_unlink(name: str) -> Response:
    """Ask before it is let go, or say what has to go first."""
    return _unlink_page(name)


@bp.post("/<name>/unlink")
@access("person", asks_for_proof=True)
def unlink(name: str) -> Response:
    """Let it go."""
    try:
        name = OPERATIONS["unlink-domain"](my_project(), domain=name).name
    except OperationError as error:
        if error.code != "MAILBOXES_EXIST":
            raise
        return _unlink_page(name, status=error.status)
    return go("domains.index", said=f"{domain_in_unicode(name)} is no longer linked.")


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


def _unlink_page(name: str, status: int = 200) -> Response:
    name = domain_named(name)
    row = browse.domain_or_none(my_project(), name)
    if row is None:
        _claim(name)
    return render(
        "domains/unlink.html",
        part="domains/_unlink.html",
        status=status,
        name=name,
        row=row,
        is_refused=status != 200,
    )


def _claim_page(name: str, error: OperationError | None = None) -> Response:
    claim = _claim(domain_named(name))
    return render(
        "domains/claim.html",
        status=error.status if error else 200,
        claim=claim,
        proof=claims.proof_of(claim),
        error=error,
    )


def _claim(name: str) -> DomainClaim:
    claim = claims.live_claim_of(my_project(), name)
    if claim is None:
        raise no_such_domain()
    return claim


def _find(name: str) -> DomainRow:
    row = browse.domain_or_none(my_project(), domain_named(name))
    if row is None:
        raise no_such_domain()
    return row
