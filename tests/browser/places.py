"""Every page in every state: where it is, who sees it, and what has to be done there first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page

from app.demo.example import BAKERY
from tests.browser.exhibition import ASKS, CAREFUL, TIRED
from tests.browser.panel import PASSWORD

Act = Callable[[Page], None]


@dataclass(frozen=True)
class Place:
    """A page, its visitor ("" for nobody), and how it gets into the state that is meant."""

    path: str
    who: str = ""
    act: Act | None = None
    status: int = 200
    state: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.who, self.path, self.state) if part)

    def open(self, page: Page, path: str) -> None:
        """Go there, by its path; what has to be done there is still to be done."""
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == self.status, self.path
        # What Lighthouse holds against a page and can be told at once; it looks at few pages in CI.
        assert "noindex" not in answer.headers.get("x-robots-tag", ""), self.path
        assert page.locator("meta[name=description]").get_attribute("content"), self.path


def send(button: str, **fields: str) -> Act:
    """Fill in fields by their ids and send the form; wait for its errors."""

    def act(page: Page) -> None:
        for name, value in fields.items():
            page.locator(f"#{name}").fill(value)
        page.locator("main, dialog[open]").get_by_role("button", name=button, exact=True).click()
        page.locator("[role=alert]").wait_for()

    return act


def move(project: str) -> Act:
    """Move a domain to another project; it is in use, so that is refused."""

    def act(page: Page) -> None:
        page.locator("#project_id").select_option(project)
        send("Save")(page)

    return act


def make(button: str, awaited: str = ".secret", **fields: str) -> Act:
    """The same, where a page with something shown once comes next, or what else is awaited."""

    def act(page: Page) -> None:
        for name, value in fields.items():
            page.locator(f"#{name}").fill(value)
        page.get_by_role("button", name=button, exact=True).click()
        page.locator(awaited).first.wait_for()

    return act


def new_passkey(page: Page) -> None:
    """Begin to add a passkey."""
    page.get_by_role("button", name="Add a passkey").click()
    page.locator("#name").wait_for()


def ask(link: str) -> Act:
    """Follow a link that opens a question above the page."""

    def act(page: Page) -> None:
        page.get_by_role("link", name=link).first.click()
        page.locator("dialog[open] h1").wait_for()

    return act


def ask_and_send(link: str, button: str, **fields: str) -> Act:
    """Answer that question wrongly."""

    def act(page: Page) -> None:
        ask(link)(page)
        send(button, **fields)(page)
        page.locator("dialog[open] [role=alert]").wait_for()

    return act


def first_step(page: Page) -> None:
    """Type the password of somebody who has a second factor."""
    page.locator("#email").fill(CAREFUL)
    page.locator("#password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.locator("#code").wait_for()


LOST = "It was lost: revoke its keys"
INFO = f"/mailboxes/info@{BAKERY}"
DOMAIN = "/admin/domains"

# Pages that can be opened by their address.
PAGES = (
    Place("/sign-in"),
    Place("/sign-in?expired=1&next=/tokens"),
    Place("/welcome/WELCOME"),
    Place("/welcome/OWNER"),
    Place("/", "anna"),
    Place("/domains", "anna"),
    Place(f"/domains/{BAKERY}", "anna"),
    Place("/domains/xn--bckerei-5wa.example", "anna"),
    Place(f"/domains/{BAKERY}/disable", "anna"),
    Place(f"/domains/{BAKERY}/unlink", "anna"),
    Place("/domains/new", "anna"),
    Place("/domains/wanted.zone.example", "anna"),
    Place("/domains/wanted.zone.example/unlink", "anna"),
    *(
        Place(f"/domains/{state}.zone.example", "anna")
        for state in ("pending", "receiving", "ready", "attention", "blocked")
    ),
    Place("/mailboxes", "anna"),
    Place("/mailboxes?q=nobody-is-called-so", "anna"),
    Place("/mailboxes?state=removed", "anna"),
    Place("/mailboxes?sort=-quota&state=off", "anna"),
    Place("/mailboxes/new", "anna"),
    Place(INFO, "anna"),
    Place(f"/mailboxes/old-shop@{BAKERY}", "anna"),
    Place(f"/mailboxes/waiting@{BAKERY}", "anna"),
    Place(f"/mailboxes/nolink@{BAKERY}", "anna"),
    Place("/mailboxes?state=waiting", "anna"),
    Place(f"{INFO}/delete", "anna"),
    Place("/tokens", "anna"),
    Place("/tokens/new", "anna"),
    Place("/tokens/3/revoke", "anna"),
    Place("/approvals", "anna"),
    Place("/approvals/1", "anna"),
    Place("/approvals/2", "anna"),
    Place("/approvals/5", "anna"),
    Place("/connect", "anna"),
    Place("/account", "anna"),
    Place("/account/two-factor", "anna"),
    Place(ASKS, "anna", state="asks for all"),
    Place(f"{ASKS}&scope=read", "linde", state="asks for less"),
    Place(ASKS, "admin", state="asks an admin"),
    Place(ASKS, "nobody", state="asks who has no project"),
    Place(ASKS, TIRED, state="asks who they are, too"),
    Place("/docs", "anna"),
    Place("/approvals", "first"),
    Place("/?project=2", "linde"),
    Place("/mailboxes?project=2", "linde"),
    Place("/mailboxes?project=2&page=2&per=50", "linde"),
    Place("/mailboxes/new?project=2", "linde"),
    Place("/", "first"),
    Place("/domains", "first"),
    Place("/mailboxes", "first"),
    Place("/mailboxes/new", "first"),
    Place("/tokens", "first"),
    Place("/", "second"),
    Place("/", "third"),
    Place("/mailboxes", "third"),
    Place("/domains/on.example", "third"),
    Place("/domains/on.example/disable", "third"),
    Place("/", "nobody"),
    Place("/", "admin"),
    Place("/admin/nodes", "admin"),
    Place("/admin/nodes/demo", "admin"),
    Place("/admin/nodes/mpi01", "admin"),
    Place("/admin/nodes/mpi02", "admin"),
    Place("/admin/nodes/mpi03", "admin"),
    Place("/admin/nodes/mpi04", "admin"),
    Place("/admin/nodes/mpi03/key", "admin"),
    Place("/admin/nodes/mpi01/remove", "admin"),
    Place(f"{DOMAIN}/{BAKERY}/home", "admin"),
    Place(f"{DOMAIN}/{BAKERY}/home?node=mpi02", "admin", state="another home"),
    Place(f"{DOMAIN}/{BAKERY}/home?node=", "admin", state="no home"),
    Place(f"{DOMAIN}/homed.example", "admin", state="with a home"),
    Place(f"{DOMAIN}/homed.example/home?node=mpi01", "admin", state="moved"),
    Place("/admin/nodes/mpi01/lose", "admin"),
    Place("/admin/nodes/lost", "admin"),
    Place("/admin/nodes/lost/exposed", "admin"),
    Place(DOMAIN, "admin"),
    Place(f"{DOMAIN}?q=nobody-is-called-so", "admin"),
    Place(f"{DOMAIN}?state=unlinked", "admin"),
    Place(f"{DOMAIN}/new", "admin"),
    Place(f"{DOMAIN}/{BAKERY}", "admin"),
    Place(f"{DOMAIN}/unlinked.example", "admin"),
    Place(f"{DOMAIN}/{BAKERY}/remove", "admin"),
    Place(f"{DOMAIN}/gone.example/remove", "admin"),
    Place(f"{DOMAIN}/unlinked.example/remove", "admin"),
    Place("/admin/projects", "admin"),
    Place("/admin/projects/1", "admin"),
    Place("/admin/projects/3", "admin"),
    Place("/admin/people", "admin"),
    Place("/admin/people/new", "admin"),
    Place("/admin/people/anna@korenaar.example", "admin"),
    Place("/admin/people/invited@people.example", "admin"),
    Place("/admin/people/late@people.example", "admin"),
    Place("/admin/people/disabled@people.example", "admin"),
    Place(f"/admin/people/{CAREFUL}", "admin"),
    Place("/admin/audit", "admin"),
    Place("/admin/audit?q=nobody-is-called-so", "admin"),
)

ERRORS = (
    Place("/oauth/authorize", "anna", status=400),
    Place("/welcome/wpw_nothing", status=404),
    Place("/no/such/page", status=404),
    Place("/admin/nodes/mpi01/key", "admin", status=404),
    Place("/mailboxes/no-such-mailbox@korenaar.example", "anna", status=404),
    Place("/admin/nodes", "anna", status=403),
)

# Pages that come after something was done. What is done here is refused, or harmless.
AFTERWARDS = (
    Place("/sign-in", "", send("Sign in", email="a@b.example", password="wrong"), state="refused"),
    Place("/welcome/WELCOME", "", send("Set password and sign in", password="x"), state="refused"),
    Place("/welcome/OWNER", "", send("Set password", password="x"), state="refused"),
    Place("/mailboxes/new", "anna", send("Create mailbox", quota_mb="0"), state="refused"),
    Place(
        "/mailboxes/new",
        "anna",
        make("Let its owner choose the password", local_part="invited"),
        state="invited done",
    ),
    Place("/mailboxes/new", "anna", make("Create mailbox", local_part="made"), state="done"),
    Place(INFO, "anna", send("Save", quota_mb="none"), state="settings refused"),
    Place(INFO, "anna", send("Set this password", password="x"), state="password refused"),
    Place(INFO, "anna", ask("Delete this mailbox"), state="asked"),
    Place(
        INFO,
        "anna",
        ask_and_send("Delete this mailbox", "Delete mailbox and mail", typed="other"),
        state="asked and refused",
    ),
    Place(
        f"{INFO}/delete", "anna", send("Delete mailbox and mail", typed="other"), state="refused"
    ),
    Place(f"/domains/{BAKERY}", "anna", ask("Turn e-mail off…"), state="asked"),
    Place(f"/domains/{BAKERY}", "anna", ask("Unlink domain…"), state="unlinking asked"),
    Place("/domains/new", "anna", send("Go on", domain="no domain"), state="refused"),
    Place("/domains/wanted.zone.example", "anna", send("Check now"), state="refused"),
    Place("/domains/on.example", "third", ask("Turn e-mail off…"), state="asked"),
    Place("/tokens", "anna", ask("Revoke website"), state="asked"),
    Place("/tokens/new", "anna", send("Create token", name=""), state="refused"),
    Place("/tokens/new", "anna", make("Create token", name="made"), state="done"),
    Place("/tokens/new", TIRED, make("Create token", "#proof-form", name="made"), state="done"),
    Place("/account", "anna", send("Change password", present="x", password="x"), state="refused"),
    Place("/account/two-factor", "anna", make("Set it up"), state="done"),
    Place("/account/two-factor", "anna", new_passkey, state="new passkey done"),
    Place("/sign-in", "", first_step, state="first step done"),
    Place("/admin/nodes", "admin", send("Add node", name="No!", ip_address="x"), state="refused"),
    Place("/admin/nodes", "admin", make("Add node", name="made"), state="done"),
    Place("/admin/nodes/mpi01", "admin", send("Save", host="x y"), state="refused"),
    Place(
        f"{DOMAIN}/{BAKERY}/home?node=mpi03",
        "admin",
        send("Make mpi03 the home"),
        status=200,
        state="refused",
    ),
    Place("/admin/nodes/demo", "admin", make("Make a new key"), state="done"),
    Place("/admin/nodes/demo/remove", "admin", send("Remove node", typed="x"), state="refused"),
    Place(
        "/admin/nodes/mpi01/lose",
        "admin",
        send(LOST, typed="x"),
        state="refused",
    ),
    Place(f"{DOMAIN}/new", "admin", send("Add domain", domain="x"), state="refused"),
    Place(f"{DOMAIN}/{BAKERY}", "admin", move("Nothing yet"), state="refused"),
    Place(
        f"{DOMAIN}/gone.example/remove", "admin", send("Remove domain", typed=""), state="refused"
    ),
    Place("/admin/projects", "admin", send("Add project", name=""), state="refused"),
    Place("/admin/people/new", "admin", send("Add person", email="x@y"), state="refused"),
    Place("/admin/people/late@people.example", "admin", make("Make a new link"), state="done"),
)
