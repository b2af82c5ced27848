"""The audit log, as admins see it."""

from __future__ import annotations

import csv
import io

import pytest
from flask import Flask

from app.extensions import db
from app.models import AuditEntry
from app.operations import audit_log
from tests.web.conftest import MARKUP, MAX_QUERIES, Browser


def _add(app: Flask, *objects: str, actor: str = "person anna@people.example") -> None:
    with app.app_context():
        db.session.add_all(
            AuditEntry(
                actor=actor,
                address="192.0.2.9",
                action="add-user",
                object=text,
                given="email password",
                revision=1,
            )
            for text in objects
        )
        db.session.commit()


def _csv(browser: Browser, query: str = "") -> list[list[str]]:
    answer = browser.get(f"/admin/audit.csv{query}")
    assert answer.status_code == 200
    assert answer.mimetype == "text/csv"
    assert "attachment" in answer.headers["Content-Disposition"]
    return list(csv.reader(io.StringIO(answer.text, newline="")))


def test_it_works(root: Browser) -> None:
    page = root.get("/admin/audit")
    assert page.status_code == 200
    assert len(root.queries) <= MAX_QUERIES
    for words in ("command line", "add-node", "mpi01", "sign-in", "root@people.example"):
        assert words in page.text


def test_the_newest_comes_first(app: Flask, root: Browser) -> None:
    _add(app, "first@example.nl", "second@example.nl")
    page = root.get("/admin/audit").text
    assert page.index("second@example.nl") < page.index("first@example.nl")


def test_search_and_action_are_in_the_address(app: Flask, root: Browser) -> None:
    _add(app, "info@example.nl")
    page = root.get("/admin/audit?q=INFO@").text
    assert "1 entry" in page
    part = root.part("/admin/audit?action=add-node").text
    assert "mpi01" in part
    assert "info@example.nl" not in part
    assert "<nav" not in part
    assert "1 entry" in root.get("/admin/audit?q=anna@people.example").text
    assert "1 entry" in root.get("/admin/audit?q=192.0.2.9").text
    assert "No entry matches" in root.get("/admin/audit?q=absent").text
    assert "No entry matches" in root.get("/admin/audit?q=%25&action=add-node").text
    assert root.get("/admin/audit?q=%00&page=-1&action=%22").status_code == 200


def test_many_entries_come_in_pages(app: Flask, root: Browser) -> None:
    _add(app, *(f"user{number:03}@example.nl" for number in range(120)))
    page = root.get("/admin/audit?action=add-user").text
    assert "120 entries, page 1 of 3" in page
    assert "/admin/audit?action=add-user&amp;page=2" in page
    assert "user000@" in root.get("/admin/audit?action=add-user&page=3").text
    assert "user000@" in root.get("/admin/audit?action=add-user&page=99").text


def test_what_was_done_never_runs(app: Flask, root: Browser) -> None:
    _add(app, MARKUP, actor=f"token 1 ({MARKUP})")
    page = root.get("/admin/audit").text
    assert "<svg onload" not in page
    assert "&lt;svg onload" in page


def test_the_file_holds_what_the_page_shows(app: Flask, root: Browser) -> None:
    _add(app, "info@example.nl", "sales@example.nl")
    head, *rows = _csv(root, "?q=info")
    assert head[:6] == ["at", "actor", "address", "project_id", "action", "object"]
    assert [row[5] for row in rows] == ["info@example.nl"]
    everything = _csv(root)
    assert len(everything) > 10
    assert [row[5] for row in everything[1:3]] != ["", ""]


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_cell_of_the_file_is_a_formula(app: Flask, root: Browser, begin: str) -> None:
    _add(app, f"{begin}1+1")
    _head, row = _csv(root, "?action=add-user")
    assert row[5] == f"'{begin}1+1"


def test_a_long_log_is_read_as_it_is_sent(
    app: Flask, root: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "CHUNK", 7)
    _add(app, *(f"user{number:03}@example.nl" for number in range(40)))
    _head, *rows = _csv(root, "?action=add-user")
    assert [row[5] for row in rows] == [
        f"user{number:03}@example.nl" for number in range(39, -1, -1)
    ]


def test_customers_may_see_none_of_it(alice: Browser) -> None:
    for path in ("/admin/audit", "/admin/audit.csv"):
        page = alice.get(path)
        assert page.status_code == 403
        assert "mpi01" not in page.text
