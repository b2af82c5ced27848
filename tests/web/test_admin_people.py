"""People and projects, as admins see them."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from app import clock
from app.caller import command_line
from app.extensions import db
from app.models import Membership, Person, Project
from app.operations import OPERATIONS
from tests.conftest import PASSWORD
from tests.web.conftest import MARKUP, MAX_QUERIES, Browser

LINK = re.compile(r'id="the-link">http://127\.0\.0\.1:8000(/welcome/mcw_[0-9A-Za-z]{38})<')
ALICE, ROOT = "alice@people.example", "root@people.example"


def _person(app: Flask, email: str) -> Person:
    with app.app_context():
        person: Person = db.session.scalars(db.select(Person).where(Person.email == email)).one()
        return person


def _projects(app: Flask, email: str) -> list[int]:
    with app.app_context():
        query = db.select(Membership.project_id).join(Person).where(Person.email == email)
        return sorted(db.session.scalars(query))


def test_it_works(root: Browser) -> None:
    page = root.get("/admin/people")
    assert page.status_code == 200
    assert len(root.queries) <= MAX_QUERIES
    for words in (ALICE, ROOT, "Admin", "Active", "Alice&#39;s company"):
        assert words in page.text


def test_somebody_new_gets_a_link_that_is_shown_once_and_works(
    app: Flask, root: Browser, visitor: Browser
) -> None:
    root.get("/admin/people/new?for=2")
    page = root.post(
        "/admin/people/new", email=" Anna+x@People.example ", projects=["1", "2"], is_admin="y"
    )
    assert page.status_code == 200
    assert page.headers["Cache-Control"] == "no-store"
    found = LINK.search(page.text)
    assert found
    assert _projects(app, "anna+x@people.example") == [1, 2]
    assert _person(app, "anna+x@people.example").is_admin
    people = root.get("/admin/people").text
    assert "Invited" in people
    assert "mcw_" not in people
    assert visitor.get(found[1]).status_code == 200


def test_a_link_that_was_not_used_in_time_is_over(app: Flask, root: Browser) -> None:
    with app.app_context():
        OPERATIONS["add-person"](command_line(), email="late@people.example")
        db.session.execute(
            db.update(Person)
            .where(Person.email == "late@people.example")
            .values(welcome_expires_at=clock.from_now(days=-1))
        )
        db.session.commit()
    assert "Link is over" in root.get("/admin/people").text


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"email": ALICE}, 409),
        ({"email": "not an address"}, 422),
        ({"email": f"{MARKUP}@people.example"}, 422),
        ({"email": "new@people.example", "projects": "99"}, 404),
        ({"email": "new@people.example", "projects": "x"}, 422),
    ],
)
def test_what_cannot_be_is_said(
    app: Flask, root: Browser, fields: dict[str, str], status: int
) -> None:
    root.get("/admin/people/new")
    page = root.post("/admin/people/new", **fields)
    assert page.status_code == status
    assert "data-focus" in page.text
    assert MARKUP not in page.text
    with app.app_context():
        query = db.select(Person).where(Person.email == "new@people.example")
        assert db.session.scalar(query) is None


def test_projects_and_rights_are_changed(app: Flask, root: Browser) -> None:
    page = root.get(f"/admin/people/{ALICE}")
    assert len(root.queries) <= MAX_QUERIES
    assert 'name="projects" value="1" checked' in page.text
    page = root.follow(root.post(f"/admin/people/{ALICE}/settings", projects=["2"], is_admin="y"))
    assert "Saved." in page.text
    assert _projects(app, ALICE) == [2]
    assert _person(app, ALICE).is_admin
    root.post(f"/admin/people/{ALICE}/settings")
    assert _projects(app, ALICE) == []
    assert not _person(app, ALICE).is_admin


def test_whoever_is_disabled_is_out_at_once(root: Browser, alice: Browser) -> None:
    assert alice.get("/mailboxes").status_code == 200
    root.get(f"/admin/people/{ALICE}")
    page = root.follow(root.post(f"/admin/people/{ALICE}/disable"))
    assert "Disabled" in page.text
    assert alice.get("/mailboxes").status_code == 303, "to the sign-in page"
    page = root.follow(root.post(f"/admin/people/{ALICE}/enable"))
    assert "can sign in again" in page.text
    assert alice.get("/mailboxes").status_code == 303, "the old session stays over"
    assert alice.sign_in(ALICE).status_code == 200


@pytest.mark.parametrize("verb", ["settings", "disable"])
def test_the_last_admin_stays(app: Flask, root: Browser, verb: str) -> None:
    root.get(f"/admin/people/{ROOT}")
    page = root.post(f"/admin/people/{ROOT}/{verb}")
    assert page.status_code == 409
    assert "There has to be one admin" in page.text
    assert "data-focus" in page.text
    person = _person(app, ROOT)
    assert (person.is_admin, person.disabled_at) == (True, None)
    assert root.get("/admin/people").status_code == 200


def test_an_admin_who_gives_up_the_right_goes_on_as_a_customer(app: Flask, root: Browser) -> None:
    with app.app_context():
        OPERATIONS["add-person"](
            command_line(), email="rita@people.example", password=PASSWORD, is_admin=True
        )
    root.get(f"/admin/people/{ROOT}")
    page = root.follow(root.post(f"/admin/people/{ROOT}/settings", projects=["1"]))
    assert page.status_code == 200
    assert "no longer an admin" in page.text
    assert root.get("/admin/people").status_code == 403


def test_a_new_link_replaces_the_one_before(root: Browser, visitor: Browser) -> None:
    root.get(f"/admin/people/{ALICE}")
    links = []
    for _ in range(2):
        page = root.post(f"/admin/people/{ALICE}/link")
        assert page.headers["Cache-Control"] == "no-store"
        found = LINK.search(page.text)
        assert found
        links.append(found[1])
    assert [visitor.get(link).status_code for link in links] == [404, 200]
    assert visitor.sign_in(ALICE).status_code == 200, "the password works until then"


def test_an_address_with_a_slash_has_its_page(app: Flask, root: Browser) -> None:
    with app.app_context():
        OPERATIONS["add-person"](command_line(), email="a/b?c@people.example")
    assert 'href="/admin/people/a/b%3Fc@people.example"' in root.get("/admin/people").text
    assert root.get("/admin/people/a/b%3Fc@people.example").status_code == 200
    page = root.post("/admin/people/a/b%3Fc@people.example/link")
    assert LINK.search(page.text)


def test_somebody_who_does_not_exist_is_a_404(root: Browser) -> None:
    for email in ("nobody@nowhere.example", "x", "%22%3E@x.nl"):
        assert root.get(f"/admin/people/{email}").status_code == 404
    for verb in ("settings", "link", "disable", "enable"):
        path = f"/admin/people/nobody@nowhere.example/{verb}"
        assert root.post(path).status_code == 404


def test_projects_are_listed_with_what_they_hold(root: Browser) -> None:
    page = root.get("/admin/projects")
    assert page.status_code == 200
    assert len(root.queries) <= MAX_QUERIES
    assert "Alice&#39;s company" in page.text
    assert 'aria-current="page"' in page.text


def test_a_project_is_made_and_its_name_never_runs(root: Browser) -> None:
    root.get("/admin/projects")
    page = root.follow(root.post("/admin/projects", name=MARKUP))
    assert page.status_code == 200
    for path in ("/admin/projects", "/admin/projects/3", "/admin/people/new", "/admin/domains/new"):
        text = root.get(path).text
        assert "<svg onload" not in text
        assert "&lt;svg onload" in text
    root.post("/admin/domains/new", domain="free.nl", project_id="3")
    root.post(f"/admin/people/{ALICE}/settings", projects=["3"])
    for path in (
        "/admin/domains",
        "/admin/domains/free.nl",
        "/admin/people",
        f"/admin/people/{ALICE}",
        "/admin/audit",
    ):
        text = root.get(path).text
        assert "<svg onload" not in text
        assert "&lt;svg onload" in text


@pytest.mark.parametrize("name", ["", "x" * 101])
def test_a_name_that_is_none_is_refused(app: Flask, root: Browser, name: str) -> None:
    root.get("/admin/projects")
    page = root.post("/admin/projects", name=name)
    assert page.status_code == 422
    assert "data-focus" in page.text
    with app.app_context():
        assert len(db.session.scalars(db.select(Project)).all()) == 2


def test_a_project_shows_its_people_and_domains(root: Browser) -> None:
    page = root.get("/admin/projects/1")
    assert len(root.queries) <= MAX_QUERIES
    for words in (ALICE, "example.nl", "parked.nl"):
        assert words in page.text
    assert "charlie" not in page.text
    for number in ("99", "0", "x", "99999999999"):
        assert root.get(f"/admin/projects/{number}").status_code == 404


def test_customers_may_see_none_of_it(app: Flask, alice: Browser) -> None:
    for path in (
        "/admin/people",
        "/admin/people/new",
        f"/admin/people/{ROOT}",
        "/admin/projects",
        "/admin/projects/1",
        "/admin/projects/2",
    ):
        page = alice.get(path)
        assert page.status_code == 403
        assert ROOT not in page.text
    assert alice.post(f"/admin/people/{ALICE}/settings", is_admin="y").status_code == 403
    assert alice.post("/admin/people/new", email="x@people.example").status_code == 403
    assert alice.post(f"/admin/people/{ROOT}/disable").status_code == 403
    assert not _person(app, ALICE).is_admin
