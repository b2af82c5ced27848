"""What a customer does, from the first sign-in to the last, in each of the three ways."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from app.extensions import db
from app.models import Project
from tests.browser.desk import DESKTOP, Desk
from tests.browser.hands import WAYS, Hands, Way
from tests.browser.panel import PASSWORD

_numbers = itertools.count(1)

Begin = Callable[[Way], Hands]


@pytest.fixture
def begin(desk: Desk) -> Begin:
    """A customer at the sign-in page, with a project of their own: one domain, e-mail off."""

    def begin(way: Way) -> Hands:
        number = next(_numbers)
        domain = f"customer{number}.example"
        project = desk.panel.project(f"Customer {number}", domain, enabled=False)
        email = desk.panel.person(f"customer{number}", project)
        hands = Hands(desk.open(java_script_enabled=way != "no scripts"), way)
        hands.page.goto("/")
        hands.fill("E-mail address", email)
        hands.fill("Password", PASSWORD)
        hands.press("button", "Sign in")
        hands.heading("Overview")
        return hands

    return begin


def domain_of(hands: Hands) -> str:
    """The customer's domain."""
    address = hands.page.locator(".who").text_content() or ""
    return f"{address.partition('@')[0]}.example"


def turn_on(hands: Hands) -> None:
    """Turn e-mail on, led by the overview."""
    hands.press("link", "To your domains")
    hands.press("link", domain_of(hands), "main")
    hands.press("button", "Turn e-mail on")
    hands.says("E-mail is on")


def add_mailbox(hands: Hands, name: str) -> str:
    """Create a mailbox with the suggested password, which is answered."""
    hands.press("link", "New mailbox")
    hands.fill("Address", name)
    hands.press("button", "Create mailbox")
    hands.heading(f"{name}@{domain_of(hands)} is ready")
    return hands.page.locator("#the-password").inner_text()


@pytest.mark.parametrize("way", WAYS)
def test_a_first_mailbox_is_made_and_its_password_shown_once(begin: Begin, way: Way) -> None:
    hands = begin(way)
    turn_on(hands)
    password = add_mailbox(hands, "info")
    assert re.fullmatch(r"[a-zA-Z2-9]{20}", password)
    hands.press("link", "I have saved it")
    hands.heading(f"info@{domain_of(hands)}")
    assert password not in hands.page.content()
    hands.fill("Storage in MB", "2048")
    hands.tick("May receive mail")
    hands.press("button", "Save")
    hands.says("Saved.")
    expect(hands.page.locator(".page-head")).to_contain_text("Does not receive")
    hands.fill("Password", "another one, longer")
    hands.press("button", "Set this password")
    hands.heading(f"New password for info@{domain_of(hands)}")
    expect(hands.page.locator("#the-password")).to_have_text("another one, longer")


@pytest.mark.parametrize("way", WAYS)
def test_mailboxes_are_found_filtered_and_sorted(desk: Desk, begin: Begin, way: Way) -> None:
    hands = begin(way)
    turn_on(hands)
    domain, project = domain_of(hands), project_of(desk, hands)
    for name, percent_used in (("anna", 1), ("bram", 90), ("info", 40)):
        desk.panel.mailbox(project, f"{name}@{domain}")
        desk.panel.fill(f"{name}@{domain}", percent_used)
    hands.press("link", "Mailboxes", "nav")
    rows = hands.page.locator("tbody th")
    expect(rows).to_have_text([f"{name}@{domain}" for name in ("anna", "bram", "info")])
    hands.press("link", "Storage", "thead")
    expect(rows).to_have_text([f"{name}@{domain}" for name in ("anna", "info", "bram")])
    hands.search("bra")
    expect(rows).to_have_text([f"bram@{domain}"])
    expect(hands.page).to_have_url(re.compile(r"q=bra"))
    asked: list[str] = []
    hands.page.on("request", lambda request: asked.append(request.url))
    hands.search("nobody")
    expect(hands.page).to_have_url(re.compile(r"q=nobody"))
    expect(hands.page.get_by_role("heading", name="No mailbox matches")).to_be_visible()
    hands.press("link", "Clear the search")
    expect(rows).to_have_count(3)
    assert sum("q=nobody" in url for url in asked) == 1  # leaving the field does not ask again
    hands.choose("State", "Turned off")
    if way == "no scripts":
        hands.press("button", "Search")
    expect(hands.page.get_by_role("heading", name="No mailbox matches")).to_be_visible()


def project_of(desk: Desk, hands: Hands) -> int:
    """The number of the customer's project."""
    name = hands.page.locator(".side .project").inner_text().split("\n")[-1].strip()
    with desk.panel.app.app_context():
        wanted = db.select(Project.id).where(Project.name == name)
        return int(db.session.scalars(wanted).one())


@pytest.mark.parametrize("way", WAYS)
def test_a_mailbox_is_removed_brought_back_and_deleted_for_good(begin: Begin, way: Way) -> None:
    hands = begin(way)
    turn_on(hands)
    add_mailbox(hands, "info")
    email = f"info@{domain_of(hands)}"
    hands.press("link", "I have saved it")
    hands.press("button", "Remove mailbox")
    hands.says(f"{email} is removed")
    hands.press("button", "Undo")
    hands.says("1 mailbox restored")
    hands.press("link", email)
    hands.press("button", "Remove mailbox")
    hands.says(f"{email} is removed")
    hands.page.goto("/mailboxes?state=removed")
    hands.press("link", email)
    hands.press("button", "Restore")
    hands.says(f"{email} is back")
    delete_for_good(hands, email)
    hands.says(f"{email} and its mail are gone for good")
    expect(hands.page.get_by_role("heading", name="No mailboxes yet")).to_be_visible()


def delete_for_good(hands: Hands, email: str) -> None:
    """Answer the question wrongly, then rightly: above the page, or on a page of its own."""
    hands.press("link", "Delete this mailbox and its mail for good…")
    place = "main" if hands.way == "no scripts" else "dialog"
    hands.fill("Type the address to confirm", "something else", place)
    hands.press("button", "Delete mailbox and mail", place)
    expect(hands.page.locator(f"{place} [role=alert]")).to_contain_text(email)
    if hands.way != "no scripts":
        expect(hands.page.locator("dialog [role=alert]")).to_be_focused()
    hands.fill("Type the address to confirm", email, place)
    hands.press("button", "Delete mailbox and mail", place)


@pytest.mark.parametrize("way", WAYS)
def test_a_token_is_shown_once_and_revoked(begin: Begin, way: Way) -> None:
    hands = begin(way)
    hands.press("link", "API tokens", "nav")
    hands.press("link", "New token")
    hands.fill("Name", "website")
    hands.press("button", "Create token")
    hands.heading("The token for website is ready")
    text = hands.page.locator("#the-token").inner_text()
    assert re.fullmatch(r"wpa_[0-9A-Za-z]{38}", text)
    hands.page.goto("/tokens/new")
    hands.page.goto("/tokens")
    assert text not in hands.page.content()
    hands.press("link", "Revoke website")
    hands.press("button", "Revoke token", "main" if way == "no scripts" else "dialog")
    hands.says("The token website is revoked.")
    expect(hands.page.locator("tbody")).to_contain_text("Revoked")


@pytest.mark.parametrize("way", WAYS)
def test_the_look_and_the_own_password_change(begin: Begin, way: Way) -> None:
    hands = begin(way)
    hands.press("link", "Account", "nav")
    hands.press("button", "Dark", "main")
    expect(hands.page.locator("html")).to_have_attribute("data-theme", "dark")
    hands.fill("Present password", PASSWORD)
    hands.fill("New password", "a new password of mine")
    hands.press("button", "Change password")
    hands.says("Your password is changed.")
    email = hands.page.locator(".who").inner_text()
    hands.press("button", "Sign out")
    hands.says("You are signed out.")
    expect(hands.page.locator("html")).to_have_attribute("data-theme", "dark")
    hands.fill("E-mail address", email)
    hands.fill("Password", "a new password of mine")
    hands.press("button", "Sign in")
    hands.heading("Overview")


@pytest.mark.parametrize("way", WAYS)
def test_going_back_after_signing_out_shows_no_page(begin: Begin, way: Way) -> None:
    hands = begin(way)
    hands.press("link", "Domains", "nav")
    hands.heading("Domains")
    hands.press("button", "Sign out")
    hands.heading("Sign in")
    hands.page.go_back()
    hands.heading("Sign in")


def test_a_question_gives_the_focus_back(begin: Begin) -> None:
    hands = begin("keyboard")
    turn_on(hands)
    hands.press("link", "Turn e-mail off…")
    expect(hands.page.locator("dialog[open]")).to_be_visible()
    hands.page.keyboard.press("Escape")
    expect(hands.page.locator("dialog[open]")).to_have_count(0)
    expect(hands.page.get_by_role("link", name="Turn e-mail off…")).to_be_focused()


def test_what_is_copied_is_said_aloud(begin: Begin) -> None:
    hands = begin("mouse")
    hands.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    turn_on(hands)
    password = add_mailbox(hands, "info")
    hands.page.get_by_role("button", name="Copy").nth(1).click()
    expect(hands.page.locator("#said")).to_have_text("Copied")
    assert hands.page.evaluate("navigator.clipboard.readText()") == password


def test_a_session_that_is_over_leads_to_the_sign_in_page_and_back(
    desk: Desk, begin: Begin
) -> None:
    desk.expect(401)
    hands = begin("mouse")
    turn_on(hands)
    add_mailbox(hands, "info")
    email = hands.page.locator(".who").inner_text()
    hands.page.goto("/mailboxes?sort=-quota")
    hands.page.context.clear_cookies()
    hands.search("inf")
    hands.heading("Sign in")
    expect(hands.page.locator("main")).to_contain_text("You were signed out")
    hands.fill("E-mail address", email)
    hands.fill("Password", PASSWORD)
    hands.press("button", "Sign in")
    hands.heading("Mailboxes")


def test_a_page_that_was_open_too_long_says_so(desk: Desk, begin: Begin) -> None:
    desk.expect(400)
    hands = begin("no scripts")
    hands.page.goto("/tokens/new")
    session = hands.page.context.cookies()
    hands.page.context.clear_cookies()
    hands.page.goto("/sign-in")
    hands.page.context.add_cookies(session)  # type: ignore[arg-type]  # what it gave is what it takes
    hands.page.goto("/tokens/new")
    hands.page.route("**/tokens/new", lambda route: route.continue_(post_data="name=x"))
    hands.press("button", "Create token")
    hands.heading("This page was open too long")


@pytest.mark.parametrize("width", [320, 768, int(DESKTOP["width"])])
def test_the_place_one_is_at_is_seen_in_the_navigation(begin: Begin, width: int) -> None:
    hands = begin("mouse")
    hands.page.set_viewport_size({"width": width, "height": 700})
    hands.page.goto("/account")
    expect(hands.page.locator("nav [aria-current=page]")).to_be_in_viewport()
