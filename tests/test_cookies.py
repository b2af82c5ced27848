"""People have a session, programs and nodes have none."""

from __future__ import annotations

import pytest
from flask import Flask, session


@pytest.mark.parametrize(
    "path",
    [
        *("/iapi/project/1/integrations", "/papi/x", "/sync/v1/export", "/mcp", "/mcp-token"),
        *("/oauth/token", "/oauth/register", "/oauth/revoke"),
        *("/.well-known/oauth-protected-resource/mcp", "/mail/config-v1.1.xml"),
    ],
)
def test_programs_have_none(app: Flask, path: str) -> None:
    with app.test_request_context(path), pytest.raises(RuntimeError):
        session["person"] = 1


def test_people_have_one(app: Flask) -> None:
    with app.test_request_context("/"):
        session["person"] = 1
        assert session["person"] == 1
