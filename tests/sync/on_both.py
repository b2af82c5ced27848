"""Fixtures of test files that run on SQLite and on PostgreSQL; they stand in for the folder's."""

from __future__ import annotations

import pytest

from tests.conftest import ON_BOTH, cast, settings

__all__ = ["cast", "database", "settings"]


@pytest.fixture(params=ON_BOTH)
def database(request: pytest.FixtureRequest) -> str:
    """SQLite, then PostgreSQL."""
    return str(request.param)
