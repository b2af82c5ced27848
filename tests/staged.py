"""For folders of many tests: a copy of one panel with the cast in place, made in no time."""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path

import pytest
from flask import Flask

from app.config import Settings
from tests.conftest import Cast, cheap_settings


@pytest.fixture
def settings(tmp_path: Path, staged_panel: tuple[Path, Cast]) -> Settings:
    """Cheap hashes and no rate limits, on a copy of the panel with the cast."""
    shutil.copy(staged_panel[0], tmp_path / "panel.db")
    return cheap_settings(tmp_path)


@pytest.fixture
def cast(app: Flask, staged_panel: tuple[Path, Cast]) -> Cast:
    """The cast, which is in the copy already."""
    return deepcopy(staged_panel[1])
