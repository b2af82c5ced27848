"""What was acknowledged is kept, whatever is killed and whenever."""

from __future__ import annotations

import pytest
from flask import Flask

from app.config import Settings
from tests.conftest import Cast, needs_postgres
from tests.storm import lost, rage

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("database", "seconds"),
    [
        ("sqlite", 2),
        *(
            pytest.param(name, seconds, marks=[pytest.mark.long, needs_postgres])
            for name, seconds in (("postgresql", 2), ("postgresql", 30), ("sqlite", 30))
        ),
    ],
)
def test_nothing_that_was_acknowledged_is_lost(
    app: Flask, settings: Settings, cast: Cast, seconds: int
) -> None:
    storm = rage(settings, cast.tokens["alice"], seconds)
    assert storm.acknowledged
    assert storm.workers
    assert storm.refused <= {503}
    assert lost(app, storm) == set()
