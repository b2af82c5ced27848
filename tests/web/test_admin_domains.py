"""The domains of all projects, as admins see them."""

from __future__ import annotations

import pytest
from flask import Flask

from app.extensions import db
from app.models import DnsCheck, Domain, Mailbox
from app.operations import OPERATIONS
from tests.conftest import PASSWORD, Cast
from tests.web.conftest import MARKUP, MAX_QUERIES, Browser

EXAMPLE = "/admin/domains/example.nl"


@pytest.fixture
def mailbox(app: Flask, cast: Cast) -> str:
    """An active mailbox on example.nl."""
    with app.app_context():
        OPERATIONS["add-user"](cast.alice, email="info@example.nl", password=PASSWORD)
    return "info@example.nl"


@pytest.fixture
def removed(app: Flask, cast: Cast, mailbox: str) -> str:
    """A removed mailbox on example.nl, that could be restored."""
    with app.app_context():
        OPERATIONS["remove-user"](cast.alice, email=mailbox)
    return mailbox


def _project_of(app: Flask, name: str) -> int | None:
    with app.app_context():
        found: Domain = db.session.scalars(db.select(Domain).where(Domain.name == name)).one()
        return found.project_id


def test_it_works(root: Browser, mailbox: str) -> None:
    page = root.get("/admin/domains")
    assert page.status_code == 200
    assert len(root.queries) <= MAX_QUERIES
    for words in ("example.nl", "parked.nl", "charlie.nl", "Charlie&#39;s company", "3 domains"):
        assert words in page.text


def test_the_search_is_in_the_address(root: Browser) -> None:
    page = root.get("/admin/domains?q=CHARLIE").text
    assert "charlie.nl" in page
    assert "parked.nl" not in page
    part = root.part("/admin/domains?state=off").text
    assert "parked.nl" in part
    assert "charlie.nl" not in part
    assert "<nav" not in part
    assert "No domain matches" in root.get("/admin/domains?q=absent").text
    assert "3 domains" in root.get("/admin/domains?state=weird&page=x&q=").text
    assert "3 domains" in root.get("/admin/domains?page=99").text
    assert "No domain matches" in root.get("/admin/domains?q=%25").text


def test_many_domains_come_in_pages(app: Flask, root: Browser) -> None:
    with app.app_context():
        db.session.add_all(Domain(name=f"d{number:02}.nl") for number in range(60))
        db.session.commit()
    first, second = root.get("/admin/domains").text, root.get("/admin/domains?page=2").text
    assert "63 domains, page 1 of 2" in first
    assert 'rel="next" href="/admin/domains?page=2"' in first
    assert "d00.nl" in first
    assert "d00.nl" not in second
    assert "parked.nl" in second
    assert len(root.queries) <= MAX_QUERIES


def test_one_is_added_to_a_project(app: Flask, root: Browser) -> None:
    page = root.get("/admin/domains/new?for=2")
    assert '<option value="2" selected>' in page.text
    page = root.follow(root.post("/admin/domains/new", domain=" Bücher.nl ", project_id="2"))
    assert "is registered" in page.text
    assert "bücher.nl" in page.text
    assert _project_of(app, "xn--bcher-kva.nl") == 2
    assert "bücher.nl" in root.get("/admin/domains?q=bücher.nl").text


def test_one_is_added_without_a_project(app: Flask, root: Browser) -> None:
    root.get("/admin/domains/new")
    page = root.follow(root.post("/admin/domains/new", domain="free.nl", project_id=""))
    assert "In no project" in page.text
    assert _project_of(app, "free.nl") is None


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"domain": "example.nl"}, 409),
        ({"domain": "localhost"}, 422),
        ({"domain": MARKUP}, 422),
        ({"domain": "free.nl", "project_id": "99"}, 404),
        ({"domain": "free.nl", "project_id": "x"}, 422),
    ],
)
def test_what_cannot_be_is_said(root: Browser, fields: dict[str, str], status: int) -> None:
    root.get("/admin/domains/new")
    page = root.post("/admin/domains/new", **fields)
    assert page.status_code == status
    assert "data-focus" in page.text
    assert "<title>Error: " in page.text
    assert MARKUP not in page.text


def test_one_moves_to_another_project_and_out_of_it(app: Flask, root: Browser) -> None:
    page = root.get(EXAMPLE)
    assert len(root.queries) <= MAX_QUERIES
    assert "E-mail on" in page.text
    page = root.follow(root.post(f"{EXAMPLE}/project", project_id="2"))
    assert _project_of(app, "example.nl") == 2
    assert "E-mail off" in page.text
    page = root.follow(root.post(f"{EXAMPLE}/project", project_id=""))
    assert "In no project" in page.text
    assert _project_of(app, "example.nl") is None


@pytest.mark.parametrize("project", ["2", ""])
def test_it_stays_while_it_has_mailboxes(
    app: Flask, root: Browser, mailbox: str, project: str
) -> None:
    page = root.get(EXAMPLE)
    assert "1 active mailbox has to go first" in page.text
    assert 'href="/mailboxes?project=1&amp;domain=example.nl"' in page.text
    page = root.post(f"{EXAMPLE}/project", project_id=project)
    assert page.status_code == 409
    assert "still has 1 active mailbox." in page.text
    assert "remove-user" not in page.text, "that is for programs"
    assert _project_of(app, "example.nl") == 1


def test_an_empty_one_is_removed_with_one_click(root: Browser) -> None:
    page = root.get("/admin/domains/parked.nl/remove").text
    assert "nothing is lost" in page
    assert "to confirm" not in page
    page = root.follow(root.post("/admin/domains/parked.nl/remove")).text
    assert "parked.nl is no longer registered" in page
    assert root.get("/admin/domains/parked.nl").status_code == 404


def test_with_removed_mailboxes_its_name_has_to_be_typed(
    app: Flask, root: Browser, removed: str
) -> None:
    assert "Type the domain to confirm" in root.part(f"{EXAMPLE}/remove").text
    page = root.post(f"{EXAMPLE}/remove", typed="example")
    assert page.status_code == 422
    assert "data-focus" in page.text
    page = root.follow(root.post(f"{EXAMPLE}/remove", typed="EXAMPLE.nl"))
    assert page.status_code == 200
    with app.app_context():
        assert db.session.scalars(db.select(Mailbox)).all() == []


def test_with_active_mailboxes_it_is_refused(app: Flask, root: Browser, mailbox: str) -> None:
    page = root.get(f"{EXAMPLE}/remove").text
    assert "1 active mailbox has to go first" in page
    assert "solid-danger" not in page
    page = root.post(f"{EXAMPLE}/remove", typed="example.nl").text
    assert "still has 1 active mailbox." in page
    assert _project_of(app, "example.nl") == 1


def test_one_that_does_not_exist_is_a_404(root: Browser) -> None:
    for name in ("absent.nl", "localhost", "%22%3E"):
        assert root.get(f"/admin/domains/{name}").status_code == 404
        assert root.get(f"/admin/domains/{name}/remove").status_code == 404


def test_customers_may_see_none_of_it(app: Flask, alice: Browser) -> None:
    for path in ("/admin/domains", "/admin/domains/new", EXAMPLE, f"{EXAMPLE}/remove"):
        page = alice.get(path)
        assert page.status_code == 403
        assert "charlie.nl" not in page.text
    for path in ("/admin/domains/new", f"{EXAMPLE}/project", f"{EXAMPLE}/remove"):
        assert alice.post(path, domain="free.nl", project_id="").status_code == 403
    assert _project_of(app, "example.nl") == 1


@pytest.mark.parametrize("path", ["/admin/domains", EXAMPLE, "/admin/projects/1"])
def test_its_state_is_the_one_that_its_people_see(
    app: Flask, root: Browser, alice: Browser, path: str
) -> None:
    with app.app_context():
        db.session.execute(db.update(DnsCheck).values(state="pending"))
        db.session.commit()
    assert "Waits for the DNS" in alice.get("/domains/example.nl").text
    assert "Waits for the DNS" in root.get(path).text
