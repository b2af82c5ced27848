"""The home node of a domain, as admins set it."""

from __future__ import annotations

import pytest
from flask import Flask

from app.extensions import db
from app.models import Domain, Node
from app.operations import OPERATIONS
from tests.conftest import PASSWORD, Cast
from tests.web.conftest import MAX_QUERIES, Browser

HOME = "/admin/domains/example.nl/home"


@pytest.fixture(autouse=True)
def nodes(app: Flask, people: Cast) -> None:
    """Two nodes with a public name, and a mailbox."""
    with app.app_context():
        OPERATIONS["add-node"](people.root, name="mpi02")
        for name in ("mpi01", "mpi02"):
            OPERATIONS["update-node"](people.root, name=name, host=f"{name}.example.net")
        OPERATIONS["add-user"](people.alice, email="info@example.nl", password=PASSWORD)


def _home(app: Flask) -> str | None:
    with app.app_context():
        query = db.select(Node.name).join(Domain, Domain.home_node_id == Node.id)
        found: str | None = db.session.scalar(query.where(Domain.name == "example.nl"))
        return found


def test_it_works(app: Flask, root: Browser, alice: Browser) -> None:
    assert "Set the home node…" in root.get("/admin/domains/example.nl").text
    assert "What will happen" not in root.get(HOME).text
    page = root.get(f"{HOME}?node=mpi02").text
    assert len(root.queries) <= MAX_QUERIES
    for words in (
        "mpi02 gets the password hashes of 1 mailboxes",
        "mpi02.example.net",
        "mpi01: the hashes are dropped",
        "Port 25 of mpi02.example.net",
        "nothing is moved or removed",
        "doveadm sync -1 -R -u ADDRESS",
        "was not heard of lately",
    ):
        assert words in page, words
    page = root.follow(root.post(HOME, node="mpi02")).text
    assert "mpi02 is the home of example.nl now." in page
    assert _home(app) == "mpi02"
    assert "Nothing: it is like that already." in root.get(f"{HOME}?node=mpi02").text
    shown = root.get("/admin/nodes/mpi02").text
    assert 'href="/admin/domains/example.nl">example.nl</a>' in shown
    assert "mpi02.example.net" in alice.get("/mailboxes/info@example.nl").text
    assert "mpi02.example.net" in alice.get("/domains/example.nl").text
    page = root.get(f"{HOME}?node=").text
    assert "Every node gets the password hashes" in page
    assert "has no home" in root.follow(root.post(HOME, node="")).text
    assert _home(app) is None
    assert "set-home-node" in root.get("/admin/audit").text


def test_a_refusal_is_on_the_page(app: Flask, root: Browser) -> None:
    root.get(HOME)
    answer = root.post(HOME, node="mpi99")
    assert answer.status_code == 404
    assert "There is no node mpi99." in answer.text
    assert _home(app) is None


def test_a_home_is_not_removed_and_keeps_its_name(app: Flask, root: Browser) -> None:
    root.get(HOME)
    root.post(HOME, node="mpi01")
    answer = root.post("/admin/nodes/mpi01/remove", typed="mpi01")
    assert answer.status_code == 409
    assert "mpi01 is the home of 1 domain: example.nl." in answer.text
    answer = root.post("/admin/nodes/mpi01/public-name", host="", mx_priority="")
    assert answer.status_code == 409
    assert "is the home of 1 domain" in answer.text


def test_a_lost_home_is_told(root: Browser) -> None:
    root.get(HOME)
    root.post(HOME, node="mpi01")
    root.post("/admin/nodes/mpi01/lose", typed="mpi01")
    assert "Lost: mail waits" in root.get("/admin/domains/example.nl").text
    assert "Mail that waits for it" in root.get(f"{HOME}?node=mpi02").text


def test_the_public_name_of_a_node(root: Browser) -> None:
    page = root.get("/admin/nodes/mpi01").text
    assert 'value="mpi01.example.net"' in page
    named = {"host": " other.example.net ", "mx_priority": "0"}
    page = root.follow(root.post("/admin/nodes/mpi01/public-name", **named)).text
    assert 'value="other.example.net"' in page
    assert 'value="0"' in page
    for wrong in ({"host": "localhost", "mx_priority": ""}, {"host": "a.nl", "mx_priority": "x"}):
        answer = root.post("/admin/nodes/mpi01/public-name", **wrong)
        assert answer.status_code == 422
        assert "Error:" in answer.text


def test_it_hides_from_customers(app: Flask, alice: Browser) -> None:
    assert alice.get(f"{HOME}?node=mpi01").status_code in (403, 404)
    alice.get("/mailboxes")
    assert alice.post(HOME, node="mpi01").status_code in (403, 404)
    assert _home(app) is None
