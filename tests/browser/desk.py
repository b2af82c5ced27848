"""Windows on a panel, and somebody who watches what goes wrong in them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, ViewportSize

from tests.browser.panel import PASSWORD, Panel

PATIENCE = 15_000  # milliseconds; only what never happens takes so long
DESKTOP = ViewportSize(width=1280, height=800)

_REFUSALS = {409, 422}  # what forms are refused with
_STATUS = re.compile(r"responded with a status of (\d+)")
_TELL = """document.addEventListener("securitypolicyviolation",
  event => console.error("content policy: " + event.effectiveDirective + event.blockedURI))"""


@dataclass
class Watched:
    """What went wrong in the windows of one context, but for the statuses a test expects."""

    expected: set[int] = field(default_factory=lambda: set(_REFUSALS))
    troubles: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        """Begin to watch."""
        context.add_init_script(_TELL)
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.troubles.append(str(error.error)))
        context.on("response", lambda answer: self._see(answer.status, answer.url))

    def check(self) -> None:
        """Fail if anything has gone wrong since the last time, and begin anew."""
        troubles, self.troubles = self.troubles, []
        self.expected = set(_REFUSALS)
        assert troubles == []

    def _hear(self, message: ConsoleMessage) -> None:
        status = _STATUS.search(message.text)
        if message.type == "error" and not (status and int(status[1]) in self.expected):
            self.troubles.append(f"{message.text} ({message.page and message.page.url})")

    def _see(self, status: int, url: str) -> None:
        if status >= 500 and status not in self.expected:
            self.troubles.append(f"{status} from {url}")


@dataclass
class Desk:
    """Opens windows on a panel, signed in or not, and remembers who has signed in."""

    browser: Browser
    panel: Panel
    states: dict[str, Any]
    contexts: list[BrowserContext] = field(default_factory=list)
    watched: Watched = field(default_factory=Watched)

    def open(self, email: str | None = None, password: str = PASSWORD, **options: Any) -> Page:
        """An empty window in a context of its own."""
        options = {"viewport": DESKTOP, "reduced_motion": "reduce", **options}
        state = self._state(email, password) if email else None
        context = self.browser.new_context(base_url=self.panel.url, storage_state=state, **options)
        self.contexts.append(context)
        context.set_default_timeout(PATIENCE)
        self.watched.watch(context)
        return context.new_page()

    def cookie(self, email: str, password: str = PASSWORD) -> str:
        """The header that a signed-in browser sends."""
        cookies = self._state(email, password)["cookies"]
        return "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in cookies)

    def expect(self, *statuses: int) -> None:
        """Say which statuses belong to this test."""
        self.watched.expected |= set(statuses)

    def close(self) -> None:
        """Close all windows, and fail if anything went wrong in one."""
        for context in self.contexts:
            context.close()
        self.watched.check()

    def _state(self, email: str, password: str) -> Any:
        key = f"{self.panel.url} {email} {password}"
        if key not in self.states:
            context = self.browser.new_context(base_url=self.panel.url, java_script_enabled=False)
            sign_in(context.new_page(), email, password)
            self.states[key] = context.storage_state()
            context.close()
        return self.states[key]


def sign_in(page: Page, email: str, password: str = PASSWORD) -> None:
    """Sign in at the sign-in page, which is opened first."""
    page.goto("/sign-in")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: not url.endswith("/sign-in"))
