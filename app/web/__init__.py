"""FACE: the dashboard, in HTML, for customers and admins. One file a noun; `set_up` wires them.

Every view says who may see it with `@access(…)`; one that does not, does not answer (`doors`).
"""

from __future__ import annotations

from flask import Flask, abort, request

from ..config import Settings
from ..doors import opens_to
from ..extensions import csrf, login_manager
from . import (
    account,
    admin_audit,
    admin_domains,
    admin_homes,
    admin_keys,
    admin_losses,
    admin_nodes,
    admin_people,
    admin_projects,
    approvals,
    auth,
    client_settings,
    connect,
    consent,
    docs,
    domains,
    mailbox_links,
    mailboxes,
    overview,
    passkeys,
    records,
    tokens,
    two_factor,
    welcome,
)
from .access import find_visitor, require_access, send_to_sign_in
from .client_settings import is_for_a_domain as is_for_a_domain
from .files import compress
from .pages import answer_error, finish, offer_to_templates
from .proof import require_proof

BLUEPRINTS = (
    auth.bp,
    welcome.bp,
    overview.bp,
    domains.bp,
    records.bp,
    client_settings.bp,
    mailboxes.bp,
    mailbox_links.bp,
    tokens.bp,
    approvals.bp,
    connect.bp,
    account.bp,
    two_factor.bp,
    passkeys.bp,
    consent.bp,
    docs.bp,
    admin_nodes.bp,
    admin_keys.bp,
    admin_losses.bp,
    admin_domains.bp,
    admin_homes.bp,
    admin_projects.bp,
    admin_people.bp,
    admin_audit.bp,
)

_NAMES = frozenset(blueprint.name for blueprint in BLUEPRINTS)

for _blueprint in BLUEPRINTS:  # once, however many applications they are registered with
    _blueprint.before_request(require_access)
    _blueprint.before_request(require_proof)
    _blueprint.after_request(finish)
    _blueprint.register_error_handler(Exception, answer_error)


def set_up(app: Flask, config: Settings) -> None:
    """Register the pages and what they share."""
    is_https = config.is_public_over_https
    app.config.update(
        SESSION_COOKIE_NAME="__Host-mailcote" if is_https else "mailcote",
        SESSION_COOKIE_SECURE=is_https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_TIME_LIMIT=None,  # a page may stay open for hours; the token ends with the session
        SEND_FILE_MAX_AGE_DEFAULT=365 * 24 * 3600,  # addresses of files change with their content
    )
    app.before_request(_refuse_other_forms)  # before their tokens are looked for in them
    csrf.init_app(app)
    login_manager.init_app(app, add_context_processor=False)  # g.caller says who it is
    login_manager.session_protection = None  # sessions are kept, and ended, in the database
    login_manager.user_loader(find_visitor)
    login_manager.unauthorized_handler(send_to_sign_in)
    offer_to_templates(app)
    compress(app)
    opens_to("nothing")(app.view_functions["static"])
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)


def _refuse_other_forms() -> None:
    """Refuse forms in parts: none of ours has a file, and Flask-WTF fails at a nameless part."""
    if request.blueprint in _NAMES and request.mimetype == "multipart/form-data":
        abort(415)
