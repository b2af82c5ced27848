"""Two tabs with one page: saving in the one that is older undoes nothing that was done since.

A form sends back every field, also those that were left alone in it.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.caller import command_line
from app.extensions import db
from app.models import Domain, Mailbox, Membership, Node, Person
from app.operations import OPERATIONS
from tests.api.answers import unchanged
from tests.conftest import PASSWORD, Cast
from tests.web.conftest import Browser

EMAIL, ALICE = "info@example.nl", "alice@people.example"


@pytest.fixture(autouse=True)
def things(app: Flask, people: Cast) -> None:
    """A mailbox, nodes with a public name, and a domain without mailboxes."""
    with app.app_context():
        OPERATIONS["add-user"](people.alice, email=EMAIL, password=PASSWORD)
        OPERATIONS["add-node"](people.root, name="mpi02")
        for name in ("mpi01", "mpi02"):
            OPERATIONS["update-node"](people.root, name=name, host=f"{name}.example.net")


def do(app: Flask, name: str, /, **values: Any) -> None:
    """What somebody else does meanwhile, by whatever face."""
    with app.app_context():
        OPERATIONS[name](command_line().in_project(1), **values)


def mailbox(app: Flask) -> tuple[object, ...]:
    """The settings that the mailbox has."""
    with app.app_context():
        row = db.session.scalars(db.select(Mailbox)).one()
        return row.quota_mb, row.can_login, row.can_receive


def rights(app: Flask) -> tuple[object, ...]:
    """What alice may do."""
    with app.app_context():
        person = db.session.scalars(db.select(Person).where(Person.email == ALICE)).one()
        theirs = db.select(Membership.project_id).where(Membership.person_id == person.id)
        return person.is_admin, sorted(db.session.scalars(theirs))


def node(app: Flask) -> tuple[object, ...]:
    """What mpi01 is called in public."""
    with app.app_context():
        row = db.session.scalars(db.select(Node).where(Node.name == "mpi01")).one()
        return row.host, row.mx_priority


def domain(app: Flask, name: str) -> tuple[object, ...]:
    """Where a domain belongs."""
    with app.app_context():
        row = db.session.scalars(db.select(Domain).where(Domain.name == name)).one()
        home = db.session.get(Node, row.home_node_id) if row.home_node_id else None
        return row.project_id, home and home.name


@dataclass(frozen=True)
class Case:
    """A page and its form; what one tab means to do, and what somebody else has done before."""

    page: str
    form: str
    fields: dict[str, Any]
    other: tuple[str, dict[str, Any]]
    state: Any
    wanted: tuple[object, ...]  # once it is sent again
    told: str


CASES = {
    "a mailbox": Case(
        f"/mailboxes/{EMAIL}",
        f"/mailboxes/{EMAIL}/settings",
        {"quota_mb": "2048", "can_login": "y", "can_receive": "y"},
        ("update-user", {"email": EMAIL, "can_login": False}),
        mailbox,
        (2048, True, True),
        "storage in MB: 1024; may sign in: no; may receive mail: yes.",
    ),
    "a person": Case(
        f"/admin/people/{ALICE}",
        f"/admin/people/{ALICE}/settings",
        {"projects": ["1", "2"], "is_admin": "y"},
        ("update-person", {"email": ALICE, "projects": []}),
        rights,
        (True, [1, 2]),
        "projects: none; admin: no.",
    ),
    "a node": Case(
        "/admin/nodes/mpi01",
        "/admin/nodes/mpi01/public-name",
        {"host": "mpi01.example.net", "mx_priority": "20"},
        ("update-node", {"name": "mpi01", "host": "other.example.net"}),
        node,
        ("mpi01.example.net", 20),
        "public name: other.example.net; priority in MX records: 10.",
    ),
    "the project of a domain": Case(
        "/admin/domains/parked.nl",
        "/admin/domains/parked.nl/project",
        {"project_id": ""},
        ("assign-domain", {"domain": "parked.nl", "project_id": 2}),
        lambda app: domain(app, "parked.nl"),
        (None, None),
        "project: Charlie&#39;s company (2).",
    ),
    "the home of a domain": Case(
        "/admin/domains/example.nl/home?node=mpi02",
        "/admin/domains/example.nl/home",
        {"node": "mpi02"},
        ("set-home-node", {"domain": "example.nl", "node": "mpi01"}),
        lambda app: domain(app, "example.nl"),
        (1, "mpi02"),
        "home node: mpi01.",
    ),
}
every_form = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def seen_on(page: TestResponse) -> str:
    """What a page's form was filled from."""
    found = re.findall(r'name="seen" value="([0-9a-f]{32})"', page.text)
    assert len(found) == 1, page.text
    return str(found[0])


@every_form
def test_it_works(app: Flask, root: Browser, case: Case) -> None:
    """Sent once; and again from the page that it leads to."""
    for _ in range(2):
        answer = root.post(case.form, seen=seen_on(root.get(case.page)), **case.fields)
        assert answer.status_code == 303
        assert case.state(app) == case.wanted


@every_form
def test_an_older_tab_undoes_nothing(app: Flask, root: Browser, case: Case) -> None:
    seen = seen_on(root.get(case.page))
    do(app, case.other[0], **case.other[1])
    before = case.state(app)
    assert before != case.wanted
    with unchanged(app):
        answer = root.post(case.form, seen=seen, **case.fields)
    assert answer.status_code == 409
    assert case.told in answer.text
    assert "Nothing of yours is saved yet" in answer.text
    for typed in case.fields.values():  # what was typed is there to be looked at again
        for value in [typed] if isinstance(typed, str) else typed:
            assert f'value="{html.escape(value)}"' in answer.text
    assert root.post(case.form, seen=seen_on(answer), **case.fields).status_code == 303
    assert case.state(app) == case.wanted


def test_another_mistake_is_no_word_that_it_was_seen(app: Flask, root: Browser) -> None:
    page = f"/mailboxes/{EMAIL}"
    seen = seen_on(root.get(page))
    do(app, "update-user", email=EMAIL, can_login=False)
    mistaken = root.post(f"{page}/settings", seen=seen, quota_mb="much", can_login="y")
    assert mistaken.status_code == 422
    answer = root.post(f"{page}/settings", seen=seen_on(mistaken), quota_mb="9", can_login="y")
    assert (answer.status_code, mailbox(app)) == (409, (1024, False, True))


@pytest.mark.parametrize("seen", ["nonsense", "0" * 32, "x" * 5000, "\0", "é"])
def test_it_rejects_what_no_page_has_shown(app: Flask, root: Browser, seen: str) -> None:
    root.get(f"/mailboxes/{EMAIL}")
    with unchanged(app):
        answer = root.post(f"/mailboxes/{EMAIL}/settings", seen=seen, quota_mb="9")
    assert answer.status_code == 409


def test_it_hides_from_strangers(charlie: Browser) -> None:
    """No digest tells that a mailbox is there."""
    charlie.get("/mailboxes")
    answers = [
        charlie.post(f"/mailboxes/{email}/settings", seen="0" * 32, quota_mb="1")
        for email in (EMAIL, "none@example.nl")
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
