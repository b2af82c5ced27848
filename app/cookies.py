"""Who has a session: people, whose browsers send a signed cookie. Programs and nodes have none.

They come with a credential in each request, so a cookie means nothing there, and looking for one
would take as long as the rest of a node's poll.
"""

from __future__ import annotations

from flask import Flask, Request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

# People are asked at /oauth/authorize; the rest of /oauth is for programs. What mail programs ask
# for at /mail/ any cache may keep: a session in it would be anybody's.
_OF_PROGRAMS = (
    *("/iapi/", "/papi/", "/sync/", "/mcp", "/.well-known/", "/mail/"),
    *("/oauth/register", "/oauth/revoke", "/oauth/token"),
    *("/healthz", "/readyz", "/metrics"),
)


class Sessions(SecureCookieSessionInterface):
    """Flask's signed cookies, for the pages only."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """The session of a person; None makes Flask use one that is empty and cannot be filled."""
        if request.path.startswith(_OF_PROGRAMS):
            return None
        return super().open_session(app, request)
