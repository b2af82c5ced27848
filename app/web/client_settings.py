"""What mail programs ask a domain for before they sign in: where its servers are.

https://datatracker.ietf.org/doc/draft-ietf-mailmaint-autoconfig/ (Thunderbird's config-v1.1.xml).
The domain's `autoconfig` record leads here. Nothing depends on the mailbox, so that nobody finds
out which there are.
"""

from __future__ import annotations

from flask import Blueprint, Response, abort, request

from ..errors import Invalid, NotFound
from ..network import host_name
from ..operations import zones
from .access import access
from .pages import render
from .searches import domain_named

bp = Blueprint("client_settings", __name__)

PATHS = ("/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml")
_PREFIX = "autoconfig."


@access("everyone")
def show() -> Response:
    """Where mail for a domain is read and sent; 404 for domains that are none of ours."""
    try:
        name = domain_named(_asked_about())
    except (NotFound, Invalid):
        abort(404)
    host = zones.client_host(name)
    if host is None:
        abort(404)
    answer = render("client_settings.xml", domain=name, host=host)
    answer.mimetype = "text/xml"
    answer.headers["Cache-Control"] = "public, max-age=3600"
    return answer


for _path in PATHS:
    bp.add_url_rule(_path, view_func=show)


def is_for_a_domain() -> bool:
    """Whether a request is one of these, for a domain's own name rather than the panel's."""
    return request.path in PATHS and (host_name(request) or "").startswith(_PREFIX)


def _asked_about() -> str:
    """The domain that the address names, or the e-mail address in it."""
    host = host_name(request) or ""
    if host.startswith(_PREFIX):
        return host.removeprefix(_PREFIX)
    return request.args.get("emailaddress", "").rpartition("@")[2]
