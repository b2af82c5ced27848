"""Every page in every state is for everybody: read aloud, by keyboard, large, in the dark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize

from tests.browser.conftest import Desk
from tests.browser.exhibition import Exhibition
from tests.browser.panel import Panel
from tests.browser.places import AFTERWARDS, ERRORS, PAGES, Place

pytestmark = pytest.mark.long

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = "color-contrast"  # the only rule of colours, and the slowest
PHONE = ViewportSize(width=390, height=844)
NARROW = ViewportSize(width=320, height=256)  # 1280 px at 400 % (WCAG 2.2, 1.4.10)

_TITLE = re.compile(r"<title>(?:\(\d down\) )?(.+) · Mailcote</title>")

# The distances that everybody may set for themselves (WCAG 2.2, 1.4.12).
_SPACE = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: .12em !important;
    word-spacing: .16em !important; } p { margin-bottom: 2em !important; }`);
  document.adoptedStyleSheets.push(sheet);
}"""
_WIDE = """() => {
  const limit = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= limit) return [];
  return [...document.querySelectorAll("body *")]
    .filter(element => element.getBoundingClientRect().right > limit + 1)
    .map(element => element.outerHTML.slice(0, 100));
}"""
_STOPS = """() => [...document.querySelectorAll(`a[href], button, input:not([type=hidden]), select,
    textarea, summary, [tabindex="0"]`)]
  .filter(element => !element.disabled && element.checkVisibility({visibilityProperty: true}))
  .filter(element => element.type !== "radio" || element.checked)
  .map((element, number) => { element.dataset.stop = number; return String(number); })"""
_HERE = """() => {
  const element = document.activeElement, style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  const found = document.elementFromPoint(
    Math.min(Math.max(box.left + box.width / 2, 0), innerWidth - 1),
    Math.min(Math.max(box.top + box.height / 2, 0), innerHeight - 1));
  const isOnTop = found && (element.contains(found) || found.contains(element)
    || found.closest("label"));
  return {
    stop: element.dataset.stop,
    name: element.outerHTML.slice(0, 100),
    ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    seen: box.bottom > 0 && box.top < innerHeight && box.width > 0 && Boolean(isOnTop),
  };
}"""


def visit(gallery: Desk, shown: tuple[Panel, Exhibition], place: Place) -> Page:
    """A window at a place."""
    exhibition = shown[1]
    gallery.expect(place.status)
    person = exhibition.people[place.who] if place.who else ()
    page = gallery.open(*person)
    place.go(page, exhibition.welcome, exhibition.owner)
    return page


@pytest.mark.parametrize("place", (*PAGES, *ERRORS, *AFTERWARDS), ids=str)
def test_it_is_for_everybody(gallery: Desk, shown: tuple[Panel, Exhibition], place: Place) -> None:
    page = visit(gallery, shown, place)
    assert has_focus_where_it_belongs(page, place)
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.title().removesuffix(" · Mailcote") not in ("", page.title())
    assert is_called_an_error(page) == is_refused(page)
    assert [*violations(page), *what_does_not_fit(page)] == []


def has_focus_where_it_belongs(page: Page, place: Place) -> bool:
    """After something was done: at the errors, at the result, or in the question."""
    if place.act is None:
        return True
    where = {"refused": "[role=alert]", "done": "h1", "asked": "dialog *"}
    wanted = where[place.state.split()[-1]]
    return bool(page.evaluate("wanted => document.activeElement.matches(wanted)", wanted))


def is_called_an_error(page: Page) -> bool:
    """Whether the title says at once that something is to be mended."""
    return re.match(r"(\(\d down\) )?Error: ", page.title()) is not None


def is_refused(page: Page) -> bool:
    """Whether a form of the page itself has errors; a question above it leaves its title alone."""
    return page.locator("main [role=alert]").count() > 0


def violations(page: Page) -> Iterator[str]:
    """What axe finds: by day and by night, on a desk and on a phone."""
    page.evaluate(Axe().axe_script)
    yield from found_by_axe(page, "light", {"runOnly": RULES})
    page.emulate_media(color_scheme="dark")
    yield from found_by_axe(page, "dark", {"runOnly": {"type": "rule", "values": [COLOURS]}})
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(PHONE)
    without_colours = {"runOnly": RULES, "rules": {COLOURS: {"enabled": False}}}
    yield from found_by_axe(page, "phone", without_colours)


def found_by_axe(page: Page, mode: str, options: dict[str, Any]) -> list[str]:
    """In words."""
    wanted = {"resultTypes": ["violations"], **options}
    found = page.evaluate("async wanted => (await axe.run(wanted)).violations", wanted)
    return [
        f"{mode}: {rule['id']}: {node['html'][:120]} {node['failureSummary']}"
        for rule in found
        for node in rule["nodes"]
    ]


def what_does_not_fit(page: Page) -> Iterator[str]:
    """What makes a page of 320 px scroll sideways, as it is and with its text spaced out."""
    page.set_viewport_size(NARROW)
    yield from page.evaluate(_WIDE)
    page.evaluate(_SPACE)
    yield from page.evaluate(_WIDE)


@pytest.mark.parametrize("place", PAGES, ids=str)
def test_tab_reaches_every_control_in_order(
    gallery: Desk, shown: tuple[Panel, Exhibition], place: Place
) -> None:
    page = visit(gallery, shown, place)
    stops = page.evaluate(_STOPS)
    page.evaluate("document.activeElement.blur()")
    walked = []
    for _ in stops:
        page.keyboard.press("Tab")
        here = page.evaluate(_HERE)
        assert here["ring"], f"no ring around {here['name']}"
        assert here["seen"], f"not seen: {here['name']}"
        walked.append(here["stop"])
    assert walked == stops


def test_titles_differ(gallery: Desk, shown: tuple[Panel, Exhibition]) -> None:
    paths: dict[str, set[str]] = {}
    for who in ("anna", "admin"):
        page = gallery.open(*shown[1].people[who])
        for place in PAGES:
            if place.who == who and "?" not in place.path:
                title = _TITLE.findall(page.request.get(place.path).text())[0]
                paths.setdefault(title, set()).add(place.path)
    assert [same for same in paths.values() if len(same) > 1] == []
