"""Fixtures of test files that run on SQLite and on PostgreSQL; they stand in for the folder's."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.conftest import ON_BOTH, Cast, set_the_stage, settings

__all__ = ["cast", "database", "settings"]


@pytest.fixture(params=ON_BOTH)
def database(request: pytest.FixtureRequest) -> str:
    """SQLite, then PostgreSQL."""
    return str(request.param)


@pytest.fixture
def cast(app: Flask) -> Cast:
    """The cast, put on stage anew: the copy is SQLite's only."""
    return set_the_stage(app)
