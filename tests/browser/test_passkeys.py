"""A passkey from adding it to losing it; the device is Chromium's model of one.

https://chromedevtools.github.io/devtools-protocol/tot/WebAuthn/
"""

from __future__ import annotations

from urllib.parse import urlencode

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser import access
from tests.browser.desk import Desk
from tests.browser.panel import PASSWORD

CALLBACK = "http://127.0.0.1:33418/back"
ASKS = "/oauth/authorize?" + urlencode(
    {
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "code_challenge": "x" * 43,
        "code_challenge_method": "S256",
    }
)

DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def test_it_is_added_signs_in_proves_and_goes(desk: Desk) -> None:
    project = desk.panel.project("Passkeys")
    email = desk.panel.person("pia", project)
    page = desk.open(email)
    page.add_init_script(Axe().axe_script)
    wire = page.context.new_cdp_session(page)
    wire.send("WebAuthn.enable")
    wire.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})
    add(page)
    page.get_by_role("link", name="I have saved them").click()
    sign_out(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", level=1, name="Overview")).to_be_visible()

    page.goto("/account/two-factor")
    page.get_by_role("link", name="Laptop").click()
    for mode in access.MODES:
        assert access.violations(page, mode) == []
    page.get_by_role("button", name="Remove the passkey").click()
    expect(page.locator(".banner")).to_contain_text("The passkey is removed.")
    sign_out(page)
    desk.expect(422)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("does not work here")


def test_it_stands_in_for_the_code_and_for_the_password(desk: Desk) -> None:
    project = desk.panel.project("More passkeys")
    email = desk.panel.person("pim", project)
    page = desk.open(email)
    wire = page.context.new_cdp_session(page)
    wire.send("WebAuthn.enable")
    wire.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})
    add(page)
    sign_out(page)
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Your code")).to_be_visible()
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", level=1, name="Overview")).to_be_visible()

    desk.panel.forget_proofs(email)
    page.goto("/account/two-factor")
    desk.expect(403)
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", name="Add a passkey")).to_be_visible()
    page.get_by_label("Name").fill("The same again")
    page.get_by_role("button", name="Make it").click()
    expect(page.locator("#said")).to_have_text("The device made no passkey.")

    desk.panel.forget_proofs(email)
    page.goto(let_in(page))
    with page.expect_request(f"{CALLBACK}?code=*"):
        page.get_by_role("button", name="Use a passkey").click()


def let_in(page: Page) -> str:
    """Where an assistant sends somebody who is to let it in."""
    described = {"client_name": "Helper", "redirect_uris": [CALLBACK]}
    client = page.request.post("/oauth/register", data=described).json()
    return f"{ASKS}&client_id={client['client_id']}"


def add(page: Page) -> None:
    page.goto("/account/two-factor")
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_label("Name").fill("Laptop")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("heading", name="Save your recovery codes")).to_be_visible()


def sign_out(page: Page) -> None:
    page.goto("/account")
    page.get_by_role("button", name="Sign out").first.click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
