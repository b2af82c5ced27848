"""Every page in every state: light, and for everybody: read aloud, by keyboard, large, in the dark.

A page is opened once and looked at in every way, since opening it is most of the work.
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Error, Page

from tests.browser import access, keyboard, weight
from tests.browser.gallery import Gallery
from tests.browser.places import AFTERWARDS, ERRORS, PAGES, Place

# A canary that got out (tests/browser/exhibition.py), by what the server sent or scripts put there.
_ESCAPED = """() => [...document.querySelectorAll("[onload]")].map(found => found.outerHTML)
  .concat(document.body.innerText.match(String(7007 * 7007)) ?? [])"""

_TITLE = re.compile(r"<title>(?:\(\d down\) )?(.+) · Mailcote</title>")


@pytest.mark.parametrize("place", (*PAGES, *ERRORS, *AFTERWARDS), ids=str)
def test_it_works(gallery: Gallery, place: Place) -> None:
    window = gallery.visit(place)
    page = window.page
    faults = weight.faults(page, window.sizes)
    if place.act:
        place.act(page)
        faults += focus_faults(page, place.state)
    faults += title_faults(page)
    faults += page.evaluate(_ESCAPED)
    assert page.locator("html").get_attribute("lang") == "en"
    faults += access.violations(page, "light")
    faults += keyboard.faults(page) if place in PAGES else []
    faults += access.violations(page, "dark")
    faults += access.violations(page, "phone")
    faults += access.what_is_cut_off(page)
    faults += access.what_does_not_fit(page)
    assert faults == []


def focus_faults(page: Page, state: str) -> list[str]:
    """After something was done the focus is at the errors, at the result, or in the question."""
    where = {"refused": "[role=alert]", "done": "h1", "asked": "dialog *"}[state.split()[-1]]
    try:
        page.wait_for_function("where => document.activeElement.matches(where)", arg=where)
    except Error:  # it never was
        return [f"the focus is not at {where}"]
    return []


def title_faults(page: Page) -> list[str]:
    """A title names the page and, where a form of it is refused, says at once that it is.

    A question above the page leaves its title alone.
    """
    name, _, panel = page.title().rpartition(" · ")
    is_called_an_error = re.match(r"(\(\d down\) )?Error: ", name) is not None
    is_refused = page.locator("main [role=alert]").count() > 0
    if name and panel == "Mailcote" and is_called_an_error == is_refused:
        return []
    return [f"the title is {page.title()}"]


def test_titles_differ(gallery: Gallery) -> None:
    paths: dict[str, set[str]] = {}
    for who in ("anna", "admin"):
        request = gallery.window(who).page.request
        for place in PAGES:
            if place.who == who and "?" not in place.path:
                title = _TITLE.findall(request.get(place.path).text())[0]
                paths.setdefault(title, set()).add(place.path)
    assert [same for same in paths.values() if len(same) > 1] == []


def test_files_are_kept_for_a_year(gallery: Gallery) -> None:
    page = gallery.window("anna").page
    with page.expect_response("**/icons.svg*") as icons:
        page.goto("/")
    assert weight.YEAR in icons.value.headers["cache-control"]
    for address in re.findall(r'"(/static/[^"#]+)"', page.content()):
        assert weight.YEAR in page.request.get(address).headers["cache-control"], address
