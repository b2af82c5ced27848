"""A node that was lost or stolen."""

from __future__ import annotations

import pytest
from flask import Flask

from app.caller import command_line
from app.extensions import db
from app.models import Mailbox, Node
from app.operations import OPERATIONS
from tests.conftest import PASSWORD, Cast
from tests.web.conftest import MAX_QUERIES, Browser

NODE = "/admin/nodes/mpi01"


@pytest.fixture(autouse=True)
def filled(app: Flask, people: Cast) -> None:
    """Mailboxes of both projects, one of them removed; the node has fetched them."""
    with app.app_context():
        for project_id, email in (
            (1, "info@example.nl"),
            (1, "gone@example.nl"),
            (2, "info@charlie.nl"),
        ):
            caller = command_line().in_project(project_id)
            OPERATIONS["add-user"](caller, email=email, password=PASSWORD)
        OPERATIONS["remove-user"](command_line().in_project(1), email="gone@example.nl")
        db.session.execute(db.update(Mailbox).values(created_at="2026-01-01T00:00:00Z"))
        db.session.commit()
    assert _ask(app, people) == 200


def _ask(app: Flask, people: Cast) -> int:
    headers = {"Authorization": f"Bearer {people.sync_key}"}
    return app.test_client().get("/sync/v1/export", headers=headers).status_code


def test_it_works(app: Flask, root: Browser, people: Cast) -> None:
    assert "It was lost or stolen…" in root.get(NODE).text
    assert "Type the name to confirm" in root.get(f"{NODE}/lose").text
    page = root.follow(root.post(f"{NODE}/lose", typed=" mpi01 "))
    assert len(root.queries) <= MAX_QUERIES
    assert "The keys of mpi01 work no longer." in page.text
    assert _ask(app, people) == 401
    assert "info@example.nl" in page.text
    assert "info@charlie.nl" in page.text
    assert "gone@example.nl" not in page.text
    assert "2 mailboxes" in page.text
    shown = root.get(NODE).text
    assert "</svg> Lost</span>" in shown
    assert f"{NODE}/exposed" in shown
    assert "Make a new key" not in shown
    assert "lost or stolen…" not in shown
    assert "lose-node" in root.get("/admin/audit").text


def test_it_takes_the_typed_name(app: Flask, root: Browser, people: Cast) -> None:
    assert "<nav" not in root.part(f"{NODE}/lose").text
    page = root.post(f"{NODE}/lose", typed="mpi02")
    assert page.status_code == 422
    assert "data-focus" in page.text
    assert _ask(app, people) == 200
    assert root.get(f"{NODE}/exposed").status_code == 404


def test_all_of_them_come_as_a_file(
    app: Flask, root: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.operations.fleet.EXPORT_CHUNK", 1)
    root.get(NODE)
    root.post(f"{NODE}/lose", typed="mpi01")
    file = root.get(f"{NODE}/exposed.csv")
    assert file.mimetype == "text/csv"
    assert 'filename="mailcote-mpi01-exposed.csv"' in file.headers["Content-Disposition"]
    first, *lines = file.text.splitlines()
    assert first == "email,project_id,project,created_at,updated_at"
    assert [line.split(",")[:3] for line in lines] == [
        ["info@charlie.nl", "2", "Charlie's company"],
        ["info@example.nl", "1", "Alice's company"],
    ]


def test_links_for_all_of_them_come_as_a_file_that_is_made_once(
    app: Flask, root: Browser, visitor: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.operations.links.MANY", 1)
    root.get(NODE)
    root.follow(root.post(f"{NODE}/lose", typed="mpi01"))
    with app.app_context():  # a while ago: a password of the same second might be the lost one
        db.session.execute(db.update(Node).values(lost_at="2026-02-01T00:00:00Z"))
        db.session.commit()

    def send() -> dict[str, str]:
        file = root.post(f"{NODE}/password-links")
        assert (file.mimetype, file.headers["Cache-Control"]) == ("text/csv", "no-store")
        first, *lines = file.text.splitlines()
        assert first == "email,project,link,expires_at"
        cells = [line.split(",") for line in lines]
        return {email: link.removeprefix("http://127.0.0.1:8000") for email, _, link, _ in cells}

    before, links = send(), send()
    assert list(links) == ["info@charlie.nl", "info@example.nl"]
    assert visitor.get(before["info@example.nl"]).status_code == 404, "links from before end"
    assert visitor.get(links["info@example.nl"]).status_code == 200
    visitor.post(links["info@example.nl"], password="another horse battery")
    page = root.get(f"{NODE}/exposed").text
    assert "info@example.nl" not in page, "its password is renewed"
    assert "info@charlie.nl" in page
    assert list(send()) == ["info@charlie.nl"]
    assert root.get("/admin/audit?action=send-exposed-links").text.count("mpi01") >= 3


def test_who_waits_for_an_owner_had_no_password_to_lose(app: Flask, root: Browser) -> None:
    with app.app_context():
        waits = db.update(Mailbox).where(Mailbox.email == "info@charlie.nl")
        db.session.execute(waits.values(is_waiting=True))
        db.session.commit()
    root.get(NODE)
    page = root.follow(root.post(f"{NODE}/lose", typed="mpi01")).text
    assert "info@example.nl" in page
    assert "info@charlie.nl" not in page


def test_a_mailbox_made_after_the_loss_was_not_on_it(app: Flask, root: Browser) -> None:
    root.get(NODE)
    root.post(f"{NODE}/lose", typed="mpi01")
    with app.app_context():
        new = db.update(Mailbox).where(Mailbox.email == "info@charlie.nl")
        db.session.execute(new.values(created_at="2999-01-01T00:00:00Z"))
        db.session.commit()
    page = root.get(f"{NODE}/exposed").text
    assert "info@example.nl" in page
    assert "info@charlie.nl" not in page


def test_a_node_that_never_asked_held_nothing(app: Flask, root: Browser) -> None:
    with app.app_context():
        db.session.execute(db.update(Node).values(last_sync_at=None))
        db.session.commit()
    root.get(NODE)
    page = root.follow(root.post(f"{NODE}/lose", typed="mpi01"))
    assert "No password has to be renewed." in page.text
    assert root.get(f"{NODE}/exposed.csv").text.count("\n") == 1


def test_customers_may_see_none_of_it(app: Flask, alice: Browser, people: Cast) -> None:
    for path in ("lose", "exposed", "exposed.csv"):
        page = alice.get(f"{NODE}/{path}")
        assert page.status_code == 403
        assert "charlie" not in page.text
    for path in ("lose", "password-links"):
        assert alice.post(f"{NODE}/{path}", typed="mpi01").status_code == 403
    assert _ask(app, people) == 200
