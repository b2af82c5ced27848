"""The command line, on an SQLite panel unless a file of tests says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config import Settings

from .mailcote import Mailcote


@pytest.fixture
def mailcote(settings: Settings) -> Mailcote:
    """The command, on a panel that is up to date and empty."""
    return Mailcote(settings)


@pytest.fixture
def new_mailcote(tmp_path: Path) -> Mailcote:
    """The command, on an instance folder that is not there yet."""
    return Mailcote(Settings(instance=tmp_path / "new", person_bcrypt_cost=4))
