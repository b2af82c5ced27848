"""A domain's records: as the DNS has them by now, and to take elsewhere."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, make_response, request

from .. import clock
from ..addresses import domain_in_unicode
from ..caller import Caller
from ..dns.zone_file import plain_text, zone_file
from ..errors import Busy
from ..models import Domain
from ..operations import OPERATIONS, provisioning
from .access import access
from .pages import go, my_project, render
from .searches import domain_named, whole

bp = Blueprint("records", __name__, url_prefix="/domains")

# A page that stays open asks again so often, and after a while less.
SECONDS, LATER_SECONDS, A_WHILE = 20, 60, 600


def records_shown(caller: Caller, domain: Domain, opened: int = 0) -> dict[str, Any]:
    """What the part with the records needs; the page was `opened` so many seconds since 1970."""
    found = OPERATIONS["list-records"](caller, domain=domain.name)
    records = [one.record for one in found.verdicts]
    text = plain_text(domain.name, records)
    shown = domain_in_unicode(domain.name)
    now = clock.epoch_of(clock.now())
    opened = opened or now
    is_early = 0 <= now - opened < A_WHILE
    return {
        "found": found,
        "opened": opened,
        "pause": SECONDS if is_early else LATER_SECONDS,
        "text": text,
        "mail": f"mailto:?subject={quote(f'Records for the mail of {shown}')}&body={quote(text)}",
        "job": provisioning.state_of(domain.name) if domain.is_registered_here else None,
    }


@bp.get("/<name>/records")
@access("person")
def polled(name: str) -> Response:
    """The records as they are found just now, for a page that is open."""
    caller, name = my_project(), domain_named(name)
    with suppress(Busy):  # what was found before is shown, and asked for again in a moment
        OPERATIONS["check-domain"](caller, domain=name)
    domain = caller.domain(name)
    opened = whole(request.args.get("opened", ""), 0)
    return render("domains/_records.html", domain=domain, **records_shown(caller, domain, opened))


@bp.post("/<name>/check")
@access("person")
def check(name: str) -> Response:
    """Look at once, and show the domain again."""
    found = OPERATIONS["check-domain"](my_project(), domain=domain_named(name))
    return go("domains.show", name=found.name, _anchor="records")


@bp.get("/<name>/zone-file")
@access("person")
def download(name: str) -> Response:
    """The records as a zone file."""
    found = OPERATIONS["list-records"](my_project(), domain=domain_named(name))
    response = make_response(zone_file(found.name, [one.record for one in found.verdicts]))
    response.mimetype = "text/dns"  # RFC 4027
    response.headers["Content-Disposition"] = f'attachment; filename="{found.name}.zone"'
    return response
