"""Operations are tested on both databases."""

from __future__ import annotations

import pytest

from tests.conftest import ON_BOTH


@pytest.fixture(params=ON_BOTH)
def database(request: pytest.FixtureRequest) -> str:
    """SQLite, then PostgreSQL."""
    return str(request.param)
