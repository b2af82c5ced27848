"""Pages are light, hold still while they load, and leave their files in the cache for a year."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Desk
from tests.browser.exhibition import Exhibition
from tests.browser.panel import ROOT, Panel
from tests.browser.places import PAGES, Place

pytestmark = pytest.mark.long

MAX_BYTES = 90 * 1024
MAX_REQUESTS = 7
MAX_SHIFT = 0.01
YEAR = "max-age=31536000"

_NOTE_SHIFTS = """window.shift = 0;
new PerformanceObserver(list => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
}).observe({type: "layout-shift", buffered: true});"""
_PAINTED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"

_ICONS = set(re.findall(r'symbol id="([^"]+)"', Path(ROOT / "static/icons.svg").read_text()))


@pytest.mark.parametrize("place", PAGES, ids=str)
def test_it_is_light_and_holds_still(
    gallery: Desk, shown: tuple[Panel, Exhibition], place: Place
) -> None:
    exhibition = shown[1]
    person = exhibition.people[place.who] if place.who else ()
    page = gallery.open(*person)
    page.add_init_script(_NOTE_SHIFTS)
    sizes = weigh(page)
    place.go(page, exhibition.welcome, exhibition.owner)
    page.wait_for_load_state("networkidle")
    page.evaluate(_PAINTED)
    assert 0 < sum(sizes) <= MAX_BYTES
    assert len(sizes) <= MAX_REQUESTS
    assert page.evaluate("window.shift") <= MAX_SHIFT
    assert icons(page) - _ICONS == set()


def weigh(page: Page) -> list[float]:
    """The bytes of each answer from now on, headers and all, nothing cached."""
    sizes: list[float] = []

    def note(event: dict[str, Any]) -> None:
        sizes.append(event["encodedDataLength"])

    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.send("Network.setCacheDisabled", {"cacheDisabled": True})
    wire.on("Network.loadingFinished", note)
    return sizes


def icons(page: Page) -> set[str]:
    """The icons that a page shows."""
    return set(
        page.locator("use").evaluate_all(
            "uses => uses.map(use => use.getAttribute('href').split('#')[1])"
        )
    )


def test_files_are_kept_for_a_year(gallery: Desk, shown: tuple[Panel, Exhibition]) -> None:
    page = gallery.open(*shown[1].people["anna"])
    with page.expect_response("**/icons.svg*") as icons:
        page.goto("/")
    assert YEAR in icons.value.headers["cache-control"]
    for address in re.findall(r'"(/static/[^"#]+)"', page.content()):
        assert YEAR in page.request.get(address).headers["cache-control"], address
