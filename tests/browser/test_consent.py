"""A browser goes back to the assistant that asked, and to nobody else."""

from __future__ import annotations

import pytest
from playwright.sync_api import Route, expect

from tests.browser.desk import Desk
from tests.browser.exhibition import ASKS, CALLBACK, Exhibition
from tests.browser.panel import Panel

pytestmark = [pytest.mark.real, pytest.mark.long]


@pytest.mark.parametrize("is_signed_in", [True, False])
def test_it_works(gallery: Desk, shown: tuple[Panel, Exhibition], is_signed_in: bool) -> None:
    """The content policy of a page decides where its forms may lead in the end."""
    email, password = shown[1].people["anna"]
    page = gallery.open(*((email, password) if is_signed_in else ()))
    page.route(f"{CALLBACK}?*", _answer)
    page.goto(ASKS)
    if not is_signed_in:
        page.locator("#email").fill(email)
        page.locator("#password").fill(password)
        page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Connect Claude?")).to_be_visible()
    page.get_by_role("button", name="Refuse").click()
    page.wait_for_url(f"{CALLBACK}?error=access_denied&iss=*")


def _answer(route: Route) -> None:
    route.fulfill(body="Back.", content_type="text/plain")
