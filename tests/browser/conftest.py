"""A real Chromium on a real server: one window a test, and every window is watched.

A test fails on what the content policy stopped, on an error in the console, and on an answer of
500 and above, whatever else it looks at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)

from tests.browser.exhibition import Exhibition
from tests.browser.panel import PASSWORD, Panel, serve
from tests.browser.parts import CHROMIUM, lacking

PATIENCE = 15_000  # milliseconds; only what never happens takes so long
DESKTOP = ViewportSize(width=1280, height=800)

_STATUS = re.compile(r"responded with a status of (\d+)")
_TELL = """document.addEventListener("securitypolicyviolation",
  event => console.error("content policy: " + event.effectiveDirective + event.blockedURI))"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these are real; without the parts they are skipped, and say so."""
    here = Path(__file__).parent
    missing = [sentence for sentence in lacking() if "Lighthouse" not in sentence]
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.real)
            if missing:
                item.add_marker(pytest.mark.skip(reason=f"NOT TESTED in a browser. {missing[0]}"))


@dataclass
class Watched:
    """What went wrong in the windows of one context, but for the statuses a test expects."""

    expected: set[int] = field(default_factory=lambda: {409, 422})  # what forms are refused with
    troubles: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        """Begin to watch."""
        context.add_init_script(_TELL)
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.troubles.append(str(error.error)))
        context.on("response", lambda answer: self._see(answer.status, answer.url))

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
        assert self.watched.troubles == []

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
    """Windows on the panel to work on."""
    desk = Desk(chromium, panel, sign_ins)
    yield desk
    desk.close()


@pytest.fixture
def gallery(
    chromium: Browser, shown: tuple[Panel, Exhibition], sign_ins: dict[str, Any]
) -> Iterator[Desk]:
    """Windows on the panel to look at."""
    desk = Desk(chromium, shown[0], sign_ins)
    yield desk
    desk.close()
