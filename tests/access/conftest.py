"""One panel with every kind of credential for all of these tests, which change nothing in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from app import create_app
from tests.access.keyring import METRICS_TOKEN, Keyring, cut_keys
from tests.api.answers import unchanged
from tests.applications import let_go
from tests.conftest import Cast, cheap_settings
from tests.web.conftest import peopled_panel

__all__ = ["peopled_panel"]


@pytest.fixture(scope="session")
def keyring(
    peopled_panel: Path,
    staged_panel: tuple[Path, Cast],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Keyring]:
    """The credentials, and the panel they are of."""
    folder = tmp_path_factory.mktemp("locked")
    shutil.copy(peopled_panel, folder / "panel.db")
    app = create_app(replace(cheap_settings(folder), metrics_token=METRICS_TOKEN))
    yield cut_keys(app, deepcopy(staged_panel[1]))
    let_go(app)


@pytest.fixture
def keys(keyring: Keyring) -> Iterator[Keyring]:
    """The same; whatever a test tries with them, nothing may change."""
    with unchanged(keyring.app):
        yield keyring


@pytest.fixture
def app(keyring: Keyring) -> Flask:
    """The panel."""
    return keyring.app
