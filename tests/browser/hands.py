"""Three ways to use the same pages: with scripts, without them, and by keyboard alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from playwright.sync_api import Locator, Page, expect

Way = Literal["mouse", "no scripts", "keyboard"]
WAYS: tuple[Way, ...] = ("mouse", "no scripts", "keyboard")
MAX_STOPS = 150


@dataclass
class Hands:
    """Presses, picks and types the way a person does."""

    page: Page
    way: Way

    def press(self, role: Literal["button", "link"], name: str, within: str = "body") -> None:
        """Press a button or follow a link."""
        found = self._find(role, name, within)
        if self.way == "keyboard":
            self._walk_to(found)
            self.page.keyboard.press("Enter")
        else:
            found.click()

    def fill(self, label: str, text: str, within: str = "body") -> None:
        """Type into a field, in place of what is there."""
        field = self.page.locator(within).get_by_label(label, exact=True)
        if self.way == "keyboard":
            self._walk_to(field)
            self.page.keyboard.press("ControlOrMeta+a")
            # At once: a list that follows the letters would be replaced under who goes on.
            self.page.keyboard.insert_text(text)
        else:
            field.fill(text)

    def choose(self, label: str, option: str, within: str = "body") -> None:
        """Choose from a list."""
        field = self.page.locator(within).get_by_label(label, exact=True)
        if self.way == "keyboard":
            self._walk_to(field)
            self.page.keyboard.type(option)
        else:
            field.select_option(label=option)

    def tick(self, label: str) -> None:
        """Tick or clear a box."""
        box = self.page.get_by_label(label)
        if self.way == "keyboard":
            self._walk_to(box)
            self.page.keyboard.press("Space")
        else:
            box.click()

    def search(self, text: str) -> None:
        """Search as it is done each way: with scripts the list follows the typing."""
        if self.way == "no scripts":
            self.fill("Search mailboxes", text)
            self.press("button", "Search")
            return
        # A list that still follows would be replaced under whoever walks through it.
        with self.page.expect_response(lambda answer: f"q={text}" in answer.url):
            self.fill("Search mailboxes", text)
        self.page.wait_for_function("() => !document.querySelector('.htmx-request')")

    def heading(self, text: str) -> None:
        """Wait for a page by its heading."""
        expect(self.page.get_by_role("heading", level=1, name=text)).to_be_visible()

    def says(self, text: str) -> None:
        """Wait for the page to say something at its top."""
        expect(self.page.locator(".banner").filter(has_text=text)).to_be_visible()

    def _find(self, role: Literal["button", "link"], name: str, within: str) -> Locator:
        found = self.page.locator(within).get_by_role(role, name=name, exact=True)
        expect(found.first).to_be_visible()
        return found.first

    def _walk_to(self, wanted: Locator) -> None:
        """Tab until it has the focus."""
        expect(wanted).to_be_visible()
        element = wanted.element_handle()  # to find it anew at each stop is most of the work
        for _ in range(MAX_STOPS):
            at = element.evaluate("e => e.isConnected ? e === document.activeElement : null")
            if at:
                return
            if at is None:  # the page has a newer one
                element = wanted.element_handle()
            self.page.keyboard.press("Tab")
        raise AssertionError(f"the keyboard does not get to {wanted}")
