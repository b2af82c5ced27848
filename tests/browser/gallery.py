"""Windows on the exhibition, one a visitor, which stay open from page to page.

A window costs three times what a page does. Axe is put into each once, and runs with every page.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.desk import DESKTOP, Desk
from tests.browser.exhibition import TIRED, Exhibition
from tests.browser.places import Place


@dataclass
class Window:
    """A window, and the bytes of each answer to the page it shows, headers and all."""

    page: Page
    sizes: list[float] = field(default_factory=list)
    _shown: str = ""
    _asked_by: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.page.add_init_script(Axe().axe_script)
        wire = self.page.context.new_cdp_session(self.page)
        wire.send("Network.enable")
        wire.send("Network.setCacheDisabled", {"cacheDisabled": True})
        wire.on("Network.requestWillBeSent", self._asks)
        wire.on("Network.loadingFinished", self._has)

    def _asks(self, event: dict[str, Any]) -> None:
        request, page = event["requestId"], event["loaderId"]
        if request == page:  # for the next page; what the last one still asks for is not counted
            self._shown, self._asked_by = page, {}
            self.sizes.clear()
        self._asked_by[request] = page

    def _has(self, event: dict[str, Any]) -> None:
        if self._asked_by.get(event["requestId"]) == self._shown:
            self.sizes.append(event["encodedDataLength"])


@dataclass
class Gallery:
    """Shows places to the people who can see them."""

    desk: Desk
    exhibition: Exhibition
    windows: dict[str, Window] = field(default_factory=dict)

    def window(self, who: str = "") -> Window:
        """The window of somebody ("" for nobody), on a desk and by day."""
        if who not in self.windows:
            person = self.exhibition.people[who] if who else ()
            self.windows[who] = Window(self.desk.open(*person))
            if who == TIRED:
                self.desk.panel.forget_proofs(self.exhibition.people[who][0])
                self.desk.expect(403)
        page = self.windows[who].page
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(DESKTOP)
        return self.windows[who]

    def visit(self, place: Place) -> Window:
        """A window at a place, before anything is done there."""
        self.desk.expect(place.status)
        window = self.window(place.who)
        place.open(window.page, self.exhibition.filled(place.path))
        return window

    def check(self) -> None:
        """Fail if anything went wrong in a window since the last time."""
        self.desk.watched.check()
