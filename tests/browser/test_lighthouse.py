"""Lighthouse, on a phone: speed, accessibility, best practices, and what search engines look at."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.demo.example import BAKERY
from tests.browser.desk import Desk
from tests.browser.exhibition import Exhibition
from tests.browser.panel import Panel
from tests.browser.parts import CHROMIUM, lacking

pytestmark = pytest.mark.long

HERE = Path(__file__).parent
LEAST = 98
ATTEMPTS = 3
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

MISSING = [sentence for sentence in lacking() if "Lighthouse" in sentence]

needs_lighthouse = pytest.mark.skipif(bool(MISSING), reason=f"NOT TESTED. {MISSING}")


@needs_lighthouse
def test_every_score_is_high(gallery: Desk, shown: tuple[Panel, Exhibition]) -> None:
    panel, exhibition = shown
    pages = []
    for who, path in PAGES:
        cookie = gallery.cookie(*exhibition.people[who]) if who else ""
        pages.append({"url": f"{panel.url}{path}", "cookie": cookie})
    # Speed is measured, and others compute on this machine too: the best of three times counts.
    for _ in range(ATTEMPTS):
        low = [page for page in look(pages) if min(page["scores"].values()) < LEAST]
        pages = [page for page in pages if page["url"] in {found["url"] for found in low}]
        if not low:
            break
    assert low == []


def look(pages: list[dict[str, str]]) -> list[dict[str, Any]]:
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
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found
