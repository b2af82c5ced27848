"""A real Chromium on a real server, and every window is watched.

A test fails on what the content policy stopped, on an error in the console, and on an answer of
500 and above, whatever else it looks at.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.desk import PATIENCE, Desk
from tests.browser.exhibition import Exhibition
from tests.browser.gallery import Gallery
from tests.browser.panel import Panel, serve
from tests.browser.parts import CHROMIUM, lacking


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these are real; without the parts they are skipped, and say so."""
    here = Path(__file__).parent
    missing = [sentence for sentence in lacking() if "Lighthouse" not in sentence]
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.real)
            if missing:
                item.add_marker(pytest.mark.skip(reason=f"NOT TESTED in a browser. {missing[0]}"))


# The driver of the browser runs an event loop: it is not left running for the tests of others.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The browser."""
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-dev-shm-usage"]  # for root, and for small machines
        expect.set_options(timeout=PATIENCE)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def sign_ins() -> dict[str, Any]:
    """The cookies of those who have signed in."""
    return {}


@pytest.fixture(scope="session")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    """A panel to work on; every test makes the project it needs."""
    with serve(tmp_path_factory.mktemp("panel"), lambda *_: None) as panel:
        yield panel


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Panel, Exhibition]]:
    """A panel to look at, with every state of every page."""
    exhibition = Exhibition()
    with serve(tmp_path_factory.mktemp("exhibition"), exhibition.fill) as panel:
        yield panel, exhibition


@pytest.fixture
def desk(chromium: Browser, panel: Panel, sign_ins: dict[str, Any]) -> Iterator[Desk]:
    """Windows on the panel to work on, a new one each time."""
    desk = Desk(chromium, panel, sign_ins)
    yield desk
    desk.close()


@pytest.fixture(scope="package")
def open_gallery(
    chromium: Browser, shown: tuple[Panel, Exhibition], sign_ins: dict[str, Any]
) -> Iterator[Gallery]:
    """Windows on the panel to look at, which stay open."""
    panel, exhibition = shown
    desk = Desk(chromium, panel, sign_ins)
    yield Gallery(desk, exhibition)
    desk.close()


@pytest.fixture
def gallery(open_gallery: Gallery) -> Iterator[Gallery]:
    """The same, and what goes wrong in them is this test's."""
    yield open_gallery
    open_gallery.check()
