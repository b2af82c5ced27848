"""What an admin does: projects, people, domains and nodes, and what the audit log tells of it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import APIResponse, Page, expect

from tests.browser.desk import Desk
from tests.browser.hands import WAYS, Hands, Way
from tests.browser.panel import PASSWORD

_numbers = itertools.count(1)

Begin = Callable[[Way], Hands]


@pytest.fixture
def begin(desk: Desk) -> Iterator[Begin]:
    """A new admin, signed in; there are no nodes, and none is left behind."""

    def begin(way: Way) -> Hands:
        email = desk.panel.person(f"admin{next(_numbers)}", is_admin=True)
        hands = Hands(desk.open(email, java_script_enabled=way != "no scripts"), way)
        hands.page.goto("/admin/projects")
        return hands

    yield begin
    for name in desk.panel.nodes():
        desk.panel.run("remove-node", name=name)


@pytest.mark.parametrize("way", WAYS)
def test_a_customer_gets_a_project_a_domain_and_a_way_in(
    desk: Desk, begin: Begin, way: Way
) -> None:
    hands = begin(way)
    name = f"Florist {way}"
    hands.fill("Name", name)
    hands.press("button", "Add project")
    hands.heading(name)
    hands.press("link", "Add person")
    email = f"{way.replace(' ', '-')}@florist.example"
    hands.fill("E-mail address", email)
    hands.press("button", "Add person")
    hands.heading(f"{email} is added")
    link = hands.page.locator("#the-link").inner_text()
    come_in(desk, way, link, name)
    hands.press("link", "I have saved it")
    expect(hands.page.get_by_role("row", name=email)).to_contain_text("Active")
    add_domain(hands, f"{way.replace(' ', '-')}.example", name)


def come_in(desk: Desk, way: Way, link: str, project: str) -> None:
    """Follow the link in another browser, and choose a password there; the link is then over."""
    guest = Hands(desk.open(java_script_enabled=way != "no scripts"), way)
    guest.page.goto(link)
    guest.fill("Choose a password", "a few words in a row")
    guest.press("button", "Set password and sign in")
    guest.heading("Overview")
    expect(guest.page.locator(".side")).to_contain_text(project)
    desk.expect(404)
    guest.page.goto(link)
    guest.heading("This link is over")


def add_domain(hands: Hands, domain: str, project: str) -> None:
    """Register a domain in no project, and put it into one."""
    hands.press("link", "All domains", "nav")
    hands.press("link", "Add domain")
    hands.fill("Domain name", domain)
    hands.press("button", "Add domain")
    hands.says(f"{domain} is registered")
    hands.choose("Project", project, "main")
    hands.press("button", "Save")
    hands.says("is in its project now.")


@pytest.mark.parametrize("way", WAYS)
def test_a_node_is_added_paused_and_removed(desk: Desk, begin: Begin, way: Way) -> None:
    hands, name = begin(way), f"pi-{way.replace(' ', '-')}"
    key = add_node(hands, name)
    hands.press("link", "I have saved it")
    hands.heading(name)
    hands.press("button", "Make a new key")
    hands.heading(f"New key for {name}")
    renewed = hands.page.locator("#the-key").inner_text()
    assert (poll(hands.page, key).status, poll(hands.page, renewed).status) == (200, 200)
    hands.press("link", "I have saved it")
    hands.heading(name)
    assert key not in hands.page.content()
    hands.press("button", "Pause")
    hands.says(f"{name} is paused")
    hands.press("button", "Resume")
    hands.says(f"{name} counts again")
    hands.press("link", "Remove node…")
    hands.fill("Type the name to confirm", name, "form:has(#typed)")
    hands.press("button", "Remove node")
    hands.says(f"{name} is removed")
    assert poll(hands.page, renewed).status == 401
    the_log_tells(hands, name)


def test_what_a_page_asks_by_itself_is_told_from_what_somebody_asks(begin: Begin) -> None:
    """Else a tab that was left open would keep its session for ever."""
    hands = begin("mouse")
    add_node(hands, "pi-watched")
    with hands.page.expect_request("**/first-sync") as asked:
        pass
    assert asked.value.headers["x-poll"] == "true"
    hands.page.goto("/admin/audit")
    with hands.page.expect_request("**/admin/audit?q=*") as asked:
        hands.page.locator("#q").press_sequentially("pi")
    assert "x-poll" not in asked.value.headers


def the_log_tells(hands: Hands, name: str) -> None:
    """Everything that was done to a node is in the audit log, and no key is."""
    hands.page.goto(f"/admin/audit?q={name}")
    for action in ("add-node", "rotate-node-key", "pause-node", "resume-node", "remove-node"):
        expect(hands.page.locator("#entries")).to_contain_text(action)
    assert not re.search(r"wp[a-z]_[0-9A-Za-z]{20}", hands.page.content())


def test_the_first_sync_shows_by_itself(desk: Desk, begin: Begin) -> None:
    hands = begin("mouse")
    key = add_node(hands, "pi-first")
    status = hands.page.locator("#first-sync")
    expect(status).to_contain_text("Waiting for the first sync…")
    assert poll(hands.page, key).status == 200
    expect(status).to_contain_text("pi-first is in touch")
    expect(status.locator(".pill.ok")).to_be_visible()


def test_a_change_shows_by_itself_when_it_is_live(desk: Desk, begin: Begin) -> None:
    hands = begin("mouse")
    key = add_node(hands, "pi-live")
    etag = poll(hands.page, key).headers["etag"]
    project = desk.panel.project("Live", "live.example")
    desk.panel.mailbox(project, "info@live.example")
    hands.page.goto(f"/mailboxes/info@live.example?project={project}")
    live = hands.page.locator("#live")
    expect(live).to_contain_text("Live on 0 of 1 nodes")
    assert poll(hands.page, key, etag).status == 200
    etag = poll(hands.page, key).headers["etag"]
    assert poll(hands.page, key, etag).status == 304
    expect(live).to_contain_text("Live on 1 of 1 nodes")
    expect(live.locator(".pill.ok")).to_be_visible()


def test_a_list_that_asks_again_leaves_the_focus_where_it_is(desk: Desk, begin: Begin) -> None:
    hands = begin("mouse")
    key = add_node(hands, "pi-focus")
    hands.page.clock.install()
    hands.page.goto("/admin/nodes")
    link = hands.page.get_by_role("link", name="pi-focus")
    link.focus()
    poll(hands.page, key)
    with hands.page.expect_response("**/admin/nodes"):
        hands.page.clock.fast_forward("00:11")
    expect(hands.page.locator("#node-pi-focus")).to_contain_text("Up")
    expect(link).to_be_focused()


def add_node(hands: Hands, name: str) -> str:
    """Add a node; its key, as it is shown once."""
    hands.page.goto("/admin/nodes")
    hands.fill("Name", name)
    hands.press("button", "Add node")
    hands.heading(f"{name} is added")
    return hands.page.locator("#the-key").inner_text()


def poll(page: Page, key: str, etag: str = "") -> APIResponse:
    """Ask for the users as a node does."""
    known = {"If-None-Match": etag} if etag else {}
    headers = {"Authorization": f"Bearer {key}", **known}
    return page.request.get("/sync/v1/export", headers=headers)


def test_an_invited_person_who_forgot_gets_a_new_link(desk: Desk, begin: Begin) -> None:
    hands = begin("mouse")
    email = desk.panel.person("forgetful")
    hands.page.goto(f"/admin/people/{email}")
    hands.press("button", "Make a new link")
    guest = Hands(desk.open(), "mouse")
    guest.page.goto(hands.page.locator("#the-link").inner_text())
    guest.fill("Choose a password", f"{PASSWORD}, another")
    guest.press("button", "Set password and sign in")
    guest.heading("You belong to no project yet")
