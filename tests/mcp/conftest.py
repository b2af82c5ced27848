"""These tests begin with a copy of one panel, and talk to it as an assistant's client does."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.conftest import Cast
from tests.mcp.client import Assistant
from tests.staged import cast, settings

__all__ = ["cast", "settings"]


@pytest.fixture
def mcp(app: Flask, cast: Cast) -> Assistant:
    """An assistant of the revision without a handshake."""
    return Assistant(app.test_client(), cast)


@pytest.fixture
def old(app: Flask, cast: Cast) -> Assistant:
    """An assistant of a revision that begins with a handshake."""
    return Assistant(app.test_client(), cast, is_modern=False)
