"""The sprite holds every icon that a template shows, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SPRITE = (ROOT / "static" / "icons.svg").read_text()
TEMPLATES = "\n".join(path.read_text() for path in (ROOT / "templates").rglob("*.html"))

HELD = set(re.findall(r'<symbol id="([a-z0-9-]+)"', SPRITE))
QUOTED = re.compile(r'"([a-z0-9-]+)"')


def test_every_icon_that_is_named_exists() -> None:
    calls = re.findall(r"icon\(([^()]*)\)", TEMPLATES)
    conditions = re.compile(r'[!=]= "[^"]*"|\bif [^"]*(?=else)')
    named = {name for call in calls for name in QUOTED.findall(conditions.sub("", call))}
    assert named - HELD == set()


def test_no_icon_is_held_for_nothing() -> None:
    assert HELD - set(QUOTED.findall(TEMPLATES)) == set()
