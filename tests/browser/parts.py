"""What the tests in a browser need beside Python packages, and how to get it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

# The shell without windows has the same engine and half the cost: most of what a whole browser does
# for a page, it does for somebody who looks. That one will do where the shell is not packaged.
_CHROMIUMS = (Path("/usr/lib/chromium/chromium-headless-shell"), Path("/usr/bin/chromium"))
CHROMIUM = next((path for path in _CHROMIUMS if path.exists()), _CHROMIUMS[0])
LIGHTHOUSE = Path(__file__).parent / "node_modules" / "lighthouse"
FONTS = Path("/usr/share/fonts")

_BROWSER = "apt-get install chromium-headless-shell fonts-inter fonts-liberation"
_LIGHTHOUSE = "apt-get install nodejs npm; npm ci --prefix tests/browser"


def lacking() -> Iterator[str]:
    """One sentence for each missing part."""
    if not CHROMIUM.exists():
        yield f"Chromium: {_BROWSER}"
    elif not list(FONTS.rglob("Inter*")) or not list(FONTS.rglob("Liberation*")):
        yield f"The fonts of the pages: {_BROWSER}"
    if shutil.which("node") is None or not LIGHTHOUSE.exists():
        yield f"Lighthouse: {_LIGHTHOUSE}"
