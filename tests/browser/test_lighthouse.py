"""Lighthouse, on a phone: speed, accessibility, best practices, and what search engines look at."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from app.demo.example import BAKERY
from tests.browser.conftest import CHROMIUM, Desk
from tests.browser.exhibition import Exhibition
from tests.browser.panel import Panel

HERE = Path(__file__).parent
LEAST = 98
PATIENCE = 300  # seconds, for all pages
PAGES = (
    ("", "/sign-in"),
    ("anna", "/"),
    ("anna", f"/domains/{BAKERY}"),
    ("linde", "/mailboxes?project=2&per=100"),
    ("anna", f"/mailboxes/info@{BAKERY}"),
    ("anna", "/docs"),
    ("admin", "/admin/nodes"),
    ("admin", "/admin/audit"),
)

needs_lighthouse = pytest.mark.skipif(
    shutil.which("node") is None or not (HERE / "node_modules" / "lighthouse").exists(),
    reason="NOT TESTED with Lighthouse: apt-get install nodejs npm; npm ci --prefix tests/browser",
)


@needs_lighthouse
def test_every_score_is_high(gallery: Desk, shown: tuple[Panel, Exhibition]) -> None:
    panel, exhibition = shown
    pages = []
    for who, path in PAGES:
        cookie = gallery.cookie(*exhibition.people[who]) if who else ""
        pages.append({"url": f"{panel.url}{path}", "cookie": cookie})
    low = [page for page in look(pages) if min(page["scores"].values()) < LEAST]
    assert low == []


def look(pages: list[dict[str, str]]) -> list[dict[str, dict[str, int]]]:
    """What Lighthouse finds."""
    done = subprocess.run(
        ["node", str(HERE / "lighthouse.mjs"), str(CHROMIUM)],
        input=json.dumps({"pages": pages}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, dict[str, int]]] = json.loads(done.stdout)
    return found
