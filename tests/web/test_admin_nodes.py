"""Nodes, as admins see them."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from flask import Flask

from app import clock
from app.caller import command_line
from app.extensions import db
from app.models import Feed, KeyOffer, Node, NodeRequest, SyncKey
from app.operations import OPERATIONS
from tests.conftest import Cast
from tests.web.conftest import MAX_QUERIES, Browser

KEY = re.compile(r'id="the-key">(mck_[0-9A-Za-z]{38})<')
NODE = "/admin/nodes/mpi01"


def test_a_key_that_was_asked_for_as_a_link_is_shown_once(
    app: Flask, root: Browser, alice: Browser
) -> None:
    with app.app_context():
        caller = command_line()
        made = OPERATIONS["add-node"](caller, name="mpi02", key_as_link=True).to_answer()["node"]
    assert "sync_key" not in made
    path = made["key_link"]["url"].removeprefix("http://127.0.0.1:8000")
    alice.get("/mailboxes")
    assert (alice.get(path).status_code, alice.post(path).status_code) == (403, 403)
    assert "A key waits to be shown" in root.get("/admin/nodes/mpi02").text
    for _ in range(2):
        page = root.get(path)
        assert page.status_code == 200
        assert not KEY.search(page.text), "looking at it makes no key"
    page = root.post(path)
    assert page.headers["Cache-Control"] == "no-store"
    key = KEY.search(page.text)
    assert key and "sudo sh -s -- --key" in page.text
    assert _sync(app, key[1]) == 200
    for again in (root.get(path), root.post(path)):
        assert again.status_code == 404
        assert "No key waits here" in again.text
    assert "collect-node-key" in root.get("/admin/audit").text


def test_a_new_key_by_link_leaves_the_one_before_until_it_is_shown(
    app: Flask, root: Browser, cast: Cast
) -> None:
    with app.app_context():
        OPERATIONS["rotate-node-key"](
            command_line(), name="mpi01", overlap_hours=0, key_as_link=True
        )
    assert "The key before then stops working at once." in root.get(f"{NODE}/key").text
    assert _sync(app, cast.sync_key) == 200
    page = root.post(f"{NODE}/key")
    assert "New key for mpi01" in page.text
    assert _sync(app, cast.sync_key) == 401


@pytest.mark.parametrize("how", ["lost", "rotated", "too old"])
def test_a_key_that_waits_ends(app: Flask, root: Browser, how: str) -> None:
    with app.app_context():
        run, caller = OPERATIONS, command_line()
        run["rotate-node-key"](caller, name="mpi01", key_as_link=True)
        if how == "too old":
            db.session.execute(db.update(KeyOffer).values(expires_at="2020-01-01T00:00:00Z"))
            db.session.commit()
        else:
            run["lose-node" if how == "lost" else "rotate-node-key"](caller, name="mpi01")
    assert root.get(f"{NODE}/key").status_code == 404
    assert root.post(f"{NODE}/key").status_code in (404, 409)


def _set(app: Flask, **values: object) -> None:
    with app.app_context():
        db.session.execute(db.update(Node).values(**values))
        db.session.commit()


def _sync(app: Flask, key: str) -> int:
    headers = {"Authorization": f"Bearer {key}", "User-Agent": "mailcote-agent/1.2.3"}
    return app.test_client().get("/sync/v1/export", headers=headers).status_code


def test_it_works(root: Browser) -> None:
    page = root.get("/admin/nodes")
    assert page.status_code == 200
    assert len(root.queries) <= MAX_QUERIES
    for words in ("mpi01", "Waiting", "not reported yet", "anywhere"):
        assert words in page.text
    assert 'hx-swap="outerMorph"' in page.text
    assert 'id="node-mpi01"' in page.text


def test_the_table_comes_alone_with_its_title_when_it_asks_again(root: Browser) -> None:
    part = root.part("/admin/nodes")
    assert "<title>Nodes" in part.text
    assert 'id="node-mpi01"' in part.text
    assert "<nav" not in part.text
    assert "<form" not in part.text, "what is being typed stays"


def test_a_node_that_fetched_is_up_to_date_and_then_behind(
    app: Flask, root: Browser, cast: Cast
) -> None:
    answer = app.test_client().get(
        "/sync/v1/export", headers={"Authorization": f"Bearer {cast.sync_key}"}
    )
    app.test_client().get(
        "/sync/v1/export",
        headers={
            "Authorization": f"Bearer {cast.sync_key}",
            "If-None-Match": answer.headers["ETag"],
            "User-Agent": "mailcote-agent/1.2.3",
        },
    )
    page = root.get("/admin/nodes").text
    for words in ("Up", "up to date", "just now", "1.2.3"):
        assert words in page
    root.get("/admin/domains/parked.nl")
    _set(app, applied_revision=Node.applied_revision - 1)
    assert "1 change behind" in root.get("/admin/nodes").text
    _set(app, applied_revision=Node.applied_revision - 1)
    assert "2 changes behind" in root.get("/admin/nodes").text


def test_after_a_restore_it_names_who_serves_what_was_before(
    app: Flask, root: Browser, cast: Cast
) -> None:
    banner = 'id="nodes-of-before"'

    def ask(tag: str) -> str:
        headers = {"Authorization": f"Bearer {cast.sync_key}", "If-None-Match": tag}
        answer = app.test_client().get("/sync/v1/export", headers=headers)
        return str(answer.headers["ETag"])

    ask(ask(""))
    assert banner not in root.get("/admin/nodes").text
    with app.app_context():
        db.session.execute(db.update(Feed).values(epoch=str(uuid4()), shrink_is_meant=False))
        db.session.commit()
    page = root.get("/admin/nodes")
    assert banner in page.text and "mailcote confirm-shrink" in page.text
    assert len(root.queries) <= MAX_QUERIES
    ask(ask(""))  # it follows the panel as it is now
    assert banner not in root.get("/admin/nodes").text


@pytest.mark.parametrize(
    ("seconds", "state"), [(10, "Up"), (121, "Late"), (601, "Down"), (86400, "Down")]
)
def test_the_state_follows_from_when_it_last_asked(
    app: Flask, root: Browser, seconds: int, state: str
) -> None:
    _set(app, last_sync_at=clock.from_now(seconds=-seconds))
    page = root.get("/admin/nodes").text
    assert f"</svg> {state}</span>" in page
    assert ("<title>(1 down) Nodes" in page) == (state == "Down")
    assert ("has not been heard of" in page) == (state == "Down")


def test_every_page_tells_admins_in_its_title_how_many_nodes_are_down(
    app: Flask, root: Browser, alice: Browser
) -> None:
    _set(app, last_sync_at=clock.from_now(days=-1))
    assert "<title>(1 down) Audit log" in root.get("/admin/audit").text
    assert "down)" not in alice.get("/mailboxes").text


def test_without_nodes_it_says_what_to_do(app: Flask, root: Browser) -> None:
    with app.app_context():
        db.session.execute(db.delete(SyncKey))
        db.session.execute(db.delete(Node))
        db.session.commit()
    page = root.get("/admin/nodes").text
    assert "No mail nodes yet" in page
    assert "one command" in page


def test_adding_one_shows_its_key_once_with_the_command(app: Flask, root: Browser) -> None:
    root.get("/admin/nodes")
    page = root.post("/admin/nodes", name=" mpi02 ", ip_address="127.0.0.1/32")
    assert page.status_code == 200
    assert page.headers["Cache-Control"] == "no-store"
    found = KEY.search(page.text)
    assert found
    key = found[1]
    url = "http://127.0.0.1:8000/sync/v1/install.sh"
    assert f"curl -fsS {url} | sudo sh -s -- --key {key}" in page.text
    assert "Waiting for the first sync…" in page.text
    assert "127.0.0.1" in page.text
    for path in ("/admin/nodes", "/admin/nodes/mpi02", "/admin/audit"):
        assert key not in root.get(path).text
    waiting = root.get("/admin/nodes/mpi02/first-sync").text
    assert "every 2s" in waiting
    assert _sync(app, key) == 200
    heard = root.get("/admin/nodes/mpi02/first-sync").text
    assert "is in touch" in heard
    assert "every 2s" not in heard, "it asks no longer"


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"name": "mpi01"}, 409, "There already is a node mpi01."),
        ({"name": "Mpi 01"}, 422, "a-z, 0-9 and hyphens"),
        ({"name": ""}, 422, "a-z, 0-9 and hyphens"),
        ({"name": "mpi02", "ip_address": "192.0.2.1/24"}, 422, "Write an IP address"),
    ],
)
def test_what_cannot_be_is_said_at_the_field(
    root: Browser, fields: dict[str, str], status: int, words: str
) -> None:
    root.get("/admin/nodes")
    page = root.post("/admin/nodes", **fields)
    assert page.status_code == status
    assert words in page.text
    assert "<title>Error: " in page.text
    assert "data-focus" in page.text
    assert 'aria-invalid="true"' in page.text
    assert f'value="{fields["name"]}"' in page.text, "what was typed is still there"


def test_a_node_has_a_page_of_its_own(root: Browser, cast: Cast) -> None:
    page = root.get(NODE)
    assert page.status_code == 200
    assert len(root.queries) <= MAX_QUERIES
    assert f"{cast.sync_key[:8]}…" in page.text
    assert cast.sync_key not in page.text
    part = root.part(NODE).text
    assert 'id="node-facts"' in part
    assert "<nav" not in part


def test_the_key_is_renewed_while_the_old_one_goes_on(
    app: Flask, root: Browser, cast: Cast
) -> None:
    root.get(NODE)
    page = root.post(f"{NODE}/rotate", overlap_hours="24")
    found = KEY.search(page.text)
    assert found
    assert page.headers["Cache-Control"] == "no-store"
    assert "24 more hours" in page.text
    assert [_sync(app, key) for key in (cast.sync_key, found[1])] == [200, 200]
    assert "ends</span>" in root.get(NODE).text
    page = root.post(f"{NODE}/rotate", overlap_hours="0")
    newest = KEY.search(page.text)
    assert newest
    assert [_sync(app, key) for key in (found[1], newest[1])] == [401, 200]


@pytest.mark.parametrize("hours", ["", "2", "-1", "9999", "x", "1.0"])
def test_an_overlap_that_was_not_offered_is_refused(
    app: Flask, root: Browser, cast: Cast, hours: str
) -> None:
    root.get(NODE)
    page = root.post(f"{NODE}/rotate", overlap_hours=hours)
    assert page.status_code == 422
    assert "data-focus" in page.text
    assert _sync(app, cast.sync_key) == 200


def test_pausing_is_undone_by_resuming(app: Flask, root: Browser) -> None:
    _set(app, last_sync_at=clock.from_now(days=-1))
    root.get(NODE)
    page = root.follow(root.post(f"{NODE}/pause"))
    assert "no change waits for it" in page.text
    assert "down)" not in page.text
    page = root.follow(root.post(f"{NODE}/resume"))
    assert "(1 down)" in page.text


def test_removing_one_asks_for_its_name(app: Flask, root: Browser, cast: Cast) -> None:
    assert "Type the name to confirm" in root.get(f"{NODE}/remove").text
    assert "<nav" not in root.part(f"{NODE}/remove").text
    page = root.post(f"{NODE}/remove", typed="mpi02")
    assert page.status_code == 422
    assert "data-focus" in page.text
    assert _sync(app, cast.sync_key) == 200
    page = root.follow(root.post(f"{NODE}/remove", typed="mpi01"))
    assert "mpi01 is removed" in page.text
    assert _sync(app, cast.sync_key) == 401
    assert root.get(NODE).status_code == 404


def test_a_node_that_does_not_exist_is_a_404(root: Browser) -> None:
    for path in ("", "/remove", "/first-sync"):
        assert root.get(f"/admin/nodes/mpi99{path}").status_code == 404
    for verb in ("rotate", "pause", "resume"):
        assert root.post(f"/admin/nodes/mpi99/{verb}", overlap_hours="1").status_code == 404


def test_customers_may_see_none_of_it(app: Flask, alice: Browser, cast: Cast) -> None:
    for path in ("/admin/nodes", NODE, f"{NODE}/remove", f"{NODE}/first-sync"):
        page = alice.get(path)
        assert page.status_code == 403
        assert "mpi01" not in page.text
    for path in ("/admin/nodes", f"{NODE}/rotate", f"{NODE}/pause", f"{NODE}/remove"):
        assert alice.post(path, name="mpi02", typed="mpi01").status_code == 403
    assert _sync(app, cast.sync_key) == 200


REPORT = {
    "reported_at": "2026-11-22T15:51:52Z",
    "reported": {"epoch": None, "revision": None, "sha256": None, "counts": {"users": 1234}},
    "dovecot_version": "2.3.19.1 (9b53102964)",
    "postfix_version": "3.7.11",
    "os": "Debian GNU/Linux 12",
    "disk_free_mb": 20480,
}


def test_it_tells_what_the_node_reports(app: Flask, root: Browser) -> None:
    assert root.get(NODE).text.count("not reported yet") == 8
    _set(app, **REPORT)
    page = root.get(NODE)
    assert len(root.queries) <= MAX_QUERIES
    for words in ("1,234", "2.3.19.1 (9b53102964)", "3.7.11", "Debian GNU/Linux 12", "20.0 GB"):
        assert words in page.text
    assert not {"Drifted", "Trouble", "Nearly full"} & set(
        re.findall(r"</svg> ([\w ]+)<", page.text)
    )
    assert "1,234" in root.get("/admin/nodes").text


@pytest.mark.parametrize(
    ("values", "flag", "words"),
    [
        ({"has_drifted": True}, "Drifted", "run the installer again"),
        ({"error": "the mail disk is <b>read-only"}, "Trouble", "disk is &lt;b&gt;read-only"),
        (
            {"rejected": [{"email": "<i>@example.nl", "why": "no hash"}] * 12},
            "Trouble",
            "&lt;i&gt;@example.nl",
        ),
        ({"disk_free_mb": 200}, "", "Nearly full"),
    ],
)
def test_what_is_wrong_is_flagged_with_what_to_do(
    app: Flask, root: Browser, values: dict[str, object], flag: str, words: str
) -> None:
    _set(app, **values)
    page = root.get(NODE).text
    assert words in page
    if flag:
        assert f"</svg> {flag}</span>" in page
        assert f"</svg> {flag}</span>" in root.get("/admin/nodes").text
    if "rejected" in values:
        assert "could not use 12 rows" in page
        assert "And 2 more." in page


def test_it_lists_its_last_requests_with_refusals(app: Flask, root: Browser) -> None:
    assert "Last requests" not in root.get(NODE).text
    with app.app_context():
        moment = {"first_at": clock.from_now(seconds=-7200), "last_at": clock.now()}
        for number in range(60):
            db.session.add(
                NodeRequest(
                    **moment,
                    node_id=1,
                    outcome="wrong address",
                    address=f"192.0.2.{number}",
                    count=3,
                )
            )
        db.session.commit()
    page = root.get(NODE)
    assert len(root.queries) <= MAX_QUERIES
    assert page.text.count(">wrong address<") == 50
    assert "192.0.2.59<" in page.text
    assert "192.0.2.9<" not in page.text
    assert "2 hours ago" in page.text
