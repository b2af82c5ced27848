"""For folders of many tests: a copy of one panel with the cast in place, made in no time."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest

from app.config import Settings
from tests.applications import Applications
from tests.conftest import Cast, cheap_settings


@pytest.fixture
def settings(applications: Applications, staged_panel: tuple[Path, Cast]) -> Settings:
    """Cheap hashes and no rate limits, on a copy of the panel with the cast."""
    applications.begin_with(staged_panel[0])
    return cheap_settings(applications.folder)


@pytest.fixture
def cast(settings: Settings, staged_panel: tuple[Path, Cast]) -> Cast:
    """The cast, which is in the copy already."""
    return deepcopy(staged_panel[1])
