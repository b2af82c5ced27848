"""A browser goes back to the assistant that asked, and to nobody else."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.exhibition import ASKS, CALLBACK
from tests.browser.gallery import Gallery

pytestmark = [pytest.mark.real, pytest.mark.long]


@pytest.mark.parametrize("is_signed_in", [True, False])
def test_it_works(gallery: Gallery, is_signed_in: bool) -> None:
    """The content policy of a page decides where its forms may lead in the end."""
    email, password = gallery.exhibition.people["anna"]
    page = gallery.desk.open(*((email, password) if is_signed_in else ()))
    page.goto(ASKS)
    if not is_signed_in:
        page.locator("#email").fill(email)
        page.locator("#password").fill(password)
        page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Connect Claude?")).to_be_visible()
    with page.expect_request(f"{CALLBACK}?error=access_denied&iss=*"):
        page.get_by_role("button", name="Refuse").click()
