"""These tests begin with a panel on which the cast can sign in, and a program that wants in."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.conftest import Cast
from tests.oauth.program import Program
from tests.web.conftest import (
    alice,
    charlie,
    nobody,
    people,
    peopled_panel,
    root,
    settings,
    visitor,
)

__all__ = [
    "alice",
    "charlie",
    "nobody",
    "people",
    "peopled_panel",
    "root",
    "settings",
    "visitor",
]


@pytest.fixture
def cast(staged_panel: tuple[object, Cast]) -> Cast:
    """The cast, which is on the panel already."""
    return staged_panel[1]


@pytest.fixture
def program(app: Flask, people: Cast) -> Program:
    """A program that has registered, on somebody's computer."""
    program = Program(app.test_client())
    program.register()
    return program
