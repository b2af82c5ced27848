"""What was acknowledged is kept, whatever is killed and whenever."""

from __future__ import annotations

import pytest
from flask import Flask

from app.config import Settings
from tests.conftest import ON_BOTH, Cast
from tests.storm import lost, rage

pytestmark = pytest.mark.real


@pytest.mark.parametrize("database", ON_BOTH)
@pytest.mark.parametrize("seconds", [2, pytest.param(30, marks=pytest.mark.long)])
def test_nothing_that_was_acknowledged_is_lost(
    app: Flask, settings: Settings, cast: Cast, seconds: int
) -> None:
    storm = rage(settings, cast.tokens["alice"], seconds)
    assert storm.acknowledged
    assert storm.workers
    assert storm.refused <= {503}
    assert lost(app, storm) == set()
