"""Pages are light, hold still while they load, and show icons that exist."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page

from tests.browser.panel import ROOT

MAX_BYTES = 90 * 1024
MAX_REQUESTS = 7
MAX_SHIFT = 0.01
YEAR = "max-age=31536000"

_ICONS = set(re.findall(r'symbol id="([^"]+)"', Path(ROOT / "static/icons.svg").read_text()))

# What has moved until the page is painted, and the icons on it.
_SETTLED = """() => new Promise(done => {
  let shift = 0;
  new PerformanceObserver(list => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) shift += entry.value;
  }).observe({type: "layout-shift", buffered: true});
  const icons = [...document.querySelectorAll("use")]
    .map(use => use.getAttribute("href").split("#")[1]);
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done([shift, icons]))));
})"""


def faults(page: Page, sizes: list[float]) -> list[str]:
    """What is wrong with a page that has just been opened; sizes are the bytes of each answer."""
    shift, icons = page.evaluate(_SETTLED)
    weight = sum(sizes)
    found = {
        f"weighs {weight} bytes": not 0 < weight <= MAX_BYTES,
        f"{len(sizes)} requests": len(sizes) > MAX_REQUESTS,
        f"shifts by {shift}": shift > MAX_SHIFT,
        f"no such icons: {set(icons) - _ICONS}": bool(set(icons) - _ICONS),
    }
    return [fault for fault, is_so in found.items() if is_so]
