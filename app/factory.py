"""The application factory: settings, extensions, faces. Wiring only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, abort, request
from werkzeug.middleware.proxy_fix import ProxyFix

from . import api, cli, database, doors, health, mcp, oauth, request_log, sync, web
from .calls import Calls
from .config import Settings
from .cookies import Sessions
from .envelope import failure_of
from .extensions import csrf, db
from .network import host_name, is_text
from .routes import Route
from .web.pages import answer_error

_ROOT = Path(__file__).resolve().parent.parent

__all__ = ["create_app"]


def create_app(config: Settings | None = None) -> Flask:
    """The panel as a WSGI application. Raises WrongSetting when a setting cannot be used."""
    config = config or Settings.from_environment()
    config.instance.mkdir(mode=0o700, parents=True, exist_ok=True)
    app = Flask(
        "app",
        instance_path=str(config.instance),
        template_folder=str(_ROOT / "templates"),
        static_folder=str(_ROOT / "static"),
    )
    app.url_rule_class = Route
    # None of our functions is asynchronous; Flask would look at nine of them in each request.
    app.ensure_sync = _as_it_is  # type: ignore[method-assign, assignment]
    app.extensions["mailcote"] = config
    app.config.update(
        SQLALCHEMY_DATABASE_URI=config.database,
        SQLALCHEMY_ENGINE_OPTIONS=database.engine_options(config.database),
        MAX_CONTENT_LENGTH=64 * 1024,
    )
    db.init_app(app)
    app.secret_key = config.secret()
    request_log.keep(app)
    app.session_interface = Sessions()
    cli.register(app)
    web.set_up(app, config)
    for face in (api, mcp, oauth, sync, health):
        csrf.exempt(face.bp)  # programs bring a credential with each request, never a cookie
        app.register_blueprint(face.bp)
    app.extensions["calls"] = Calls()
    app.before_request(_refuse_other_hosts(config))
    app.before_request(doors.refuse_undeclared)
    app.register_error_handler(Exception, _answer_error)
    app.after_request(_harden)
    app.url_map.merge_slashes = False  # an address either is one of ours or is not
    with app.app_context():
        database.prepare(db.engine)
        db.engine.dispose()  # no connection may be open when the server forks its workers
    if config.trusted_proxies:
        hops = config.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    return app


def _as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def _refuse_other_hosts(config: Settings) -> Callable[[], None]:
    """Refuse a request for a host that somebody made up: links could be built with its name.

    And one whose query is no text, before somebody wants to read it. Mail programs ask for their
    settings by the name of the domain.
    """
    public = urlsplit(config.public_url).hostname
    accepted = {"localhost", "127.0.0.1", "::1", config.host, public}

    def refuse() -> None:
        is_ours = host_name(request) in accepted or web.is_for_a_domain()
        if not is_ours or not is_text(request.query_string):
            abort(400)

    return refuse


_FOR_PROGRAMS = (
    *("/iapi", "/papi", "/sync", "/mcp", "/oauth", "/.well-known"),
    *("/healthz", "/readyz", "/metrics"),
)


def _answer_error(error: Exception) -> Any:
    """Errors outside of any face's routes: in JSON where programs ask, else as a page."""
    is_for_programs = request.path.startswith(_FOR_PROGRAMS)
    return failure_of(error) if is_for_programs else answer_error(error)


_CONTENT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _CONTENT,
    "X-Content-Type-Options": "nosniff",
    # not no-referrer: the protection against forged forms checks the referrer on https
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), camera=(), microphone=()",
}


def _harden(response: Response) -> Response:
    """The headers that keep browsers from doing what no page of ours needs."""
    headers = response.headers
    there = {name.lower() for name, _ in headers}  # asking for each would read them all each time
    for name, value in _HEADERS.items():
        if name.lower() not in there:
            headers.add(name, value)
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
    return response
