"""How transactions are written to the disk."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import text

from app.database import write_transaction

FULL, NORMAL = 2, 1  # https://www.sqlite.org/pragma.html#pragma_synchronous


def test_only_what_has_to_last_waits_for_the_disk(app: Flask) -> None:
    """One connection serves both kinds in turn, so what the one sets may not stay for the other."""
    with app.app_context():
        for is_lasting, expected in ((True, FULL), (False, NORMAL), (True, FULL)):
            with write_transaction(is_lasting=is_lasting) as session:
                assert session.scalar(text("PRAGMA synchronous")) == expected


def test_a_transaction_lasts_unless_told_otherwise(app: Flask) -> None:
    with app.app_context(), write_transaction() as session:
        assert session.scalar(text("PRAGMA synchronous")) == FULL


def test_one_transaction_cannot_be_begun_inside_another(app: Flask) -> None:
    with app.app_context(), pytest.raises(RuntimeError), write_transaction(), write_transaction():
        pass
