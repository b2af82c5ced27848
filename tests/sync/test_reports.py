"""What nodes report is kept, acknowledges purges, and is refused unless it is of the right form."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

from app.errors import Invalid
from app.extensions import db
from app.models import MailboxUsage, PurgeAck, PurgeOrder
from app.models import Node as NodeRow
from app.operations import reports
from tests.api.answers import assert_failure, same_answer
from tests.conftest import Api
from tests.sync.node import Node, execute, fill
from tests.sync.on_both import cast, database, settings

__all__ = ["cast", "database", "settings"]
URL = "/sync/v1/report"
OTHER_EPOCH = "00000000-0000-4000-8000-000000000000"
NOBODY = "0" * 32


def send(node: Node, body: object, **headers: str) -> TestResponse:
    """Send a report as it is."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Authorization": f"Bearer {node.key}", "Content-Type": "application/json", **headers}
    return node.client.post(URL, data=data, headers=sent)


def of(document: dict[str, Any], **changed: object) -> dict[str, object]:
    """The report of a node that holds this export."""
    held = {name: document[name] for name in ("epoch", "revision", "sha256", "counts")}
    facts = {
        "agent_version": "1.2.3",
        "dovecot_version": "2.4.1-4",
        "postfix_version": None,
        "os": "Debian GNU/Linux 13 (trixie)",
        "disk_free_mb": 20_000,
        "error": None,
    }
    lists: dict[str, object] = {"rejected": [], "purged": [], "usage": [], "last_login": []}
    return {**held, **facts, **lists, **changed}


def kept(app: Flask, name: str = "mpi01") -> NodeRow:
    """What the panel knows of the node."""
    with app.app_context():
        db.session.rollback()
        row: NodeRow = db.session.scalars(db.select(NodeRow).where(NodeRow.name == name)).one()
        return row


def usage(app: Flask) -> dict[str, tuple[object, ...]]:
    """What is known of mailboxes."""
    with app.app_context():
        rows = db.session.scalars(db.select(MailboxUsage)).all()
        return {row.mailbox_id: (row.bytes, row.messages, row.last_login_at) for row in rows}


def second_node(api: Api) -> Node:
    made = api("add-node", "root", name="mpi02").get_json()["data"]["node"]
    return Node(api.client, made["sync_key"], "mpi02")


def test_it_works(app: Flask, api: Api, node: Node) -> None:
    fill(api, "info")
    document = node.fetch()
    answer = send(node, of(document, rejected=[{"email": "x@example.nl", "why": "no hash"}]))
    assert (answer.status_code, answer.data) == (204, b"")
    row = kept(app)
    assert row.reported == {name: document[name] for name in ("epoch", "revision", "sha256",
                                                              "counts")}  # fmt: skip
    assert (row.applied_epoch, row.applied_revision) == (document["epoch"], document["revision"])
    assert (row.agent_version, row.dovecot_version, row.postfix_version) == (
        "1.2.3",
        "2.4.1-4",
        None,
    )
    assert (row.disk_free_mb, row.os, row.error) == (20_000, "Debian GNU/Linux 13 (trixie)", None)
    assert row.rejected == [{"email": "x@example.nl", "why": "no hash"}]
    assert row.flags == ["trouble"]
    assert node.fetch() == document, "it raises nothing"


def test_trouble_and_drift_are_told_until_they_are_over(app: Flask, api: Api, node: Node) -> None:
    fill(api, "info")
    document = node.fetch()
    send(node, of(document, error="postmap: no space left", sha256="0" * 64))
    assert kept(app).flags == ["drift", "trouble"]
    send(node, of(document))
    assert kept(app).flags == []
    send(node, of(document, revision=document["revision"] + 1))
    assert kept(app).flags == ["drift"], "a revision that has not been"
    assert kept(app).applied_revision == document["revision"]


def test_drift_is_seen_at_an_older_revision_too(app: Flask, api: Api, node: Node) -> None:
    document = node.fetch()
    fill(api, "info")
    node.fetch()
    send(node, of(document, sha256="1" * 64))
    assert kept(app).flags == ["drift"]
    app.extensions["node_desk"].exports._digests.clear()
    send(node, of(document))
    assert kept(app).flags == ["drift"], "what is not known clears nobody"
    send(node, of(node.fetch()))
    assert kept(app).flags == []


def test_an_older_report_lowers_nothing(app: Flask, api: Api, node: Node) -> None:
    older = node.fetch()
    fill(api, "info")
    newer = node.fetch()
    send(node, of(newer))
    assert send(node, of(older, error="late")).status_code == 204
    row = kept(app)
    assert (row.applied_revision, row.error) == (newer["revision"], None)
    send(node, of(older, epoch=OTHER_EPOCH))
    assert kept(app).applied_epoch == newer["epoch"]


def test_a_node_that_holds_nothing_reports_too(app: Flask, node: Node) -> None:
    assert send(node, {"epoch": None, "revision": None, "error": "no disk"}).status_code == 204
    assert (kept(app).error, kept(app).applied_revision) == ("no disk", None)


def test_what_it_says_can_be_seen(app: Flask, node: Node) -> None:
    hidden = "a\r\nb\x1b[31m\u202ec\u200b"
    told = {"os": hidden, "error": hidden, "rejected": [{"email": hidden, "why": hidden}]}
    assert send(node, {"epoch": None, "revision": None, **told}).status_code == 204
    seen = "a\\{d}\\{a}b\\{1b}[31m\\{202e}c\\{200b}"
    row = kept(app)
    assert (row.os, row.error) == (seen, seen)
    assert row.rejected == [{"email": seen, "why": seen}]


def test_usage_and_last_logins_are_kept(app: Flask, api: Api, node: Node) -> None:
    fill(api, "info", "sales")
    document = node.fetch()
    info, sales = (user["id"] for user in document["users"])
    send(node, of(document, usage=[{"id": info, "bytes": 5, "messages": 2},
                                   {"id": NOBODY, "bytes": 1, "messages": 1}],
                  last_login=[{"id": info, "at": "2026-01-02T03:04:05Z"},
                              {"id": sales, "at": 1_700_000_000},
                              {"id": NOBODY, "at": 1}]))  # fmt: skip
    assert usage(app) == {
        info: (5, 2, "2026-01-02T03:04:05Z"),
        sales: (None, None, "2023-11-14T22:13:20Z"),
    }
    send(node, of(document, usage=[{"id": info, "bytes": 2**40, "messages": 0}],
                  last_login=[{"id": info, "at": "2025-01-01T00:00:00Z"}]))  # fmt: skip
    assert usage(app)[info] == (2**40, 0, "2026-01-02T03:04:05Z"), "the newest counts"
    assert node.fetch() == document
    api("remove-user", email="info@example.nl", hard_delete=True)
    api("remove-user", email="sales@example.nl", hard_delete=True)
    assert usage(app) == {}


def test_a_backup_tells_nothing_of_mailboxes_elsewhere(app: Flask, api: Api, node: Node) -> None:
    other = second_node(api)
    api("update-node", "root", name="mpi01", host="mpi01.example.net")
    fill(api, "info")
    api("set-home-node", "root", domain="example.nl", node="mpi01")
    [recipient] = other.ask().get_json()["recipients"]
    key = recipient["id"]
    told = {"epoch": None, "revision": None, "usage": [{"id": key, "bytes": 2**50, "messages": 9}],
            "last_login": [{"id": key, "at": "2026-01-02T03:04:05Z"}]}  # fmt: skip
    assert send(other, told).status_code == 204
    assert usage(app) == {}
    assert api("list-users").get_json()["data"]["users"][0]["email"] == recipient["email"]
    with app.app_context():
        assert db.session.scalar(text("SELECT percent_used FROM mailboxes")) is None
    assert send(node, told).status_code == 204
    assert usage(app) == {key: (2**50, 9, "2026-01-02T03:04:05Z")}


def test_what_an_overtaken_report_counts_is_kept(app: Flask, api: Api, node: Node) -> None:
    """A node asks on while its report is on its way, and tells of each login once."""
    fill(api, "info")
    older = node.fetch()
    key = older["users"][0]["id"]
    fill(api, "sales")
    newer = node.ask().headers["ETag"]
    assert node.ask(If_None_Match=newer).status_code == 304
    told = {"usage": [{"id": key, "bytes": 5, "messages": 2}],
            "last_login": [{"id": key, "at": "2026-01-02T03:04:05Z"}]}  # fmt: skip
    assert send(node, of(older, error="late", **told)).status_code == 204
    assert usage(app) == {key: (5, 2, "2026-01-02T03:04:05Z")}
    assert kept(app).error is None


def test_a_login_in_the_future_was_now(app: Flask, api: Api, node: Node) -> None:
    fill(api, "info")
    document = node.fetch()
    key = document["users"][0]["id"]
    send(node, of(document, last_login=[{"id": key, "at": "2999-01-01T00:00:00Z"}]))
    assert str(usage(app)[key][2]) < "2999"


def test_a_purge_is_done_when_all_nodes_have_done_it(app: Flask, api: Api, node: Node) -> None:
    other = second_node(api)
    fill(api, "info")
    key = node.fetch()["users"][0]["id"]
    api("remove-user", email="info@example.nl", hard_delete=True)
    before = node.fetch()
    assert before["purge"] == [key]
    send(node, of(before, purged=[key, NOBODY]))
    after = node.fetch()
    assert (after["purge"], after["revision"]) == ([], before["revision"] + 1)
    assert node.ask(since=str(before["revision"])).get_json()["purge"] == []
    answer = other.ask().get_json()
    assert answer["purge"] == [key]
    send(node, of(after, purged=[key]))
    assert node.fetch() == after, "said again it changes nothing"
    send(other, of(answer, purged=[key]))
    assert other.ask().get_json()["purge"] == []
    with app.app_context():
        assert db.session.scalars(db.select(PurgeOrder)).all() == []
        assert db.session.scalars(db.select(PurgeAck)).all() == []


def test_nobody_waits_for_a_node_that_is_removed(app: Flask, api: Api, node: Node) -> None:
    second_node(api)
    fill(api, "info")
    key = node.fetch()["users"][0]["id"]
    api("remove-user", email="info@example.nl", hard_delete=True)
    send(node, of(node.fetch(), purged=[key]))
    assert api("remove-node", "root", name="mpi02").status_code == 200
    with app.app_context():
        assert db.session.scalars(db.select(PurgeOrder)).all() == []


def test_only_what_was_ordered_is_acknowledged(app: Flask, api: Api, node: Node) -> None:
    fill(api, "info", "gone")
    api("remove-user", email="gone@example.nl")
    with app.app_context():
        keys = list(db.session.scalars(text("SELECT id FROM mailboxes")))
    before = node.fetch()
    assert send(node, of(before, purged=keys)).status_code == 204
    assert node.fetch() == before


HOSTILE: dict[str, tuple[dict[str, object], str]] = {
    "an unknown field": ({"x": 1}, "x"),
    "a revision in words": ({"revision": "7"}, "revision"),
    "a revision that is a boolean": ({"revision": True}, "revision"),
    "half a revision": ({"revision": 1.5}, "revision"),
    "no revision": ({"revision": None}, "revision"),
    "a revision too large": ({"revision": 10**18}, "revision"),
    "an epoch that is none": ({"epoch": "x"}, "epoch"),
    "a digest that is none": ({"sha256": "x" * 64}, "sha256"),
    "a digest with a line end": ({"sha256": "0" * 64 + "\n"}, "sha256"),
    "counts that are a list": ({"counts": []}, "counts"),
    "other counts": ({"counts": {"domains": 1, "users": 1}}, "counts"),
    "negative counts": ({"counts": {"domains": 1, "users": -1, "aliases": 0}}, "counts"),
    "a version in markup": ({"agent_version": "<b>"}, "agent_version"),
    "a version without end": ({"dovecot_version": "9" * 201}, "dovecot_version"),
    "negative space": ({"disk_free_mb": -1}, "disk_free_mb"),
    "an id that is a path": ({"purged": ["../" + "a" * 29]}, "purged"),
    "an id that is a number": ({"purged": [1]}, "purged"),
    "usage of no size": ({"usage": [{"id": NOBODY, "bytes": None, "messages": 1}]}, "usage"),
    "usage beyond numbers": ({"usage": [{"id": NOBODY, "bytes": 2**63, "messages": 1}]}, "usage"),
    "usage with more": ({"usage": [{"id": NOBODY, "bytes": 1, "messages": 1, "x": 1}]}, "usage"),
    "usage that is an object": ({"usage": {NOBODY: 1}}, "usage"),
    "a login at no time": ({"last_login": [{"id": NOBODY, "at": "yesterday"}]}, "last_login"),
    "a login on no day": (
        {"last_login": [{"id": NOBODY, "at": "2026-02-31T00:00:00Z"}]},
        "last_login",
    ),
    "a login far away": ({"last_login": [{"id": NOBODY, "at": 10**30}]}, "last_login"),
    "a rejected row in words": ({"rejected": ["x"]}, "rejected"),
    "a text that cannot be stored": ({"error": "a\0b"}, "error"),
    "half a character": ({"error": "\ud800"}, "error"),
    "an error without end": ({"error": "x" * 1025}, "error"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_it_rejects_what_is_no_report(app: Flask, node: Node, database: str, what: str) -> None:
    changed, field = HOSTILE[what]
    document = node.fetch()
    assert_failure(send(node, {**of(document), **changed}), 422, "INVALID_INPUT", field)
    assert kept(app).reported_at is None


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "INVALID_INPUT"),
        (b"[]", 400, "MALFORMED_JSON"),
        (b"{", 400, "MALFORMED_JSON"),
        (b'{"revision": NaN}', 400, "MALFORMED_JSON"),
        (b'{"revision": 1, "revision": 2}', 400, "MALFORMED_JSON"),
        (b'\xef\xbb\xbf{"revision": 1}', 400, "MALFORMED_JSON"),
        (b'{"usage": ' + b"[" * 5000 + b"]" * 5000 + b"}", 400, "MALFORMED_JSON"),
        (b'{"os": "' + b"x" * 8 * 2**20 + b'"}', 413, "BODY_TOO_LARGE"),
    ],
    ids=["empty", "list", "cut", "NaN", "twice", "mark", "deep", "large"],
)
def test_it_rejects_what_cannot_be_read(node: Node, body: bytes, status: int, code: str) -> None:
    field = "epoch" if not body else None
    assert_failure(send(node, body), status, code, field)


WRONG = dict.fromkeys("abcde", 1)
COSTLY: dict[str, dict[str, Any]] = {
    "many fields": {f"f{number}": 1 for number in range(100_000)},
    "many rows": {"usage": [WRONG] * 50_000},
    "many sign-ins": {"last_login": [WRONG] * 50_000},
    "many rejected": {"rejected": [WRONG] * 999},
}


@pytest.mark.parametrize("what", COSTLY)
def test_a_wrong_report_costs_no_more_than_its_first_mistake(what: str) -> None:
    values = {"epoch": None, "revision": None, **COSTLY[what]}
    tracemalloc.start()
    try:
        with pytest.raises(Invalid):
            reports.read(values)
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


def test_it_is_json_and_posted(node: Node) -> None:
    assert_failure(send(node, {}, **{"Content-Type": "text/plain"}), 415, "UNSUPPORTED_MEDIA_TYPE")
    headers = {"Authorization": f"Bearer {node.key}"}
    assert node.client.get(URL, headers=headers).status_code == 405


def test_a_stranger_reports_nothing(app: Flask, api: Api, node: Node) -> None:
    report = of(node.fetch())
    refused = api.client.get("/sync/v1/export")
    for key in ("mck_" + "x" * 38, api.cast.tokens["root"], "", node.key + "x"):
        assert same_answer(send(Node(api.client, key), report), refused)
    assert same_answer(send(Node(api.client, "mck_" + "x" * 38), b"["), refused)
    execute(app, "UPDATE nodes SET ip_address = '192.0.2.99'")
    assert same_answer(send(node, report), refused)
    assert kept(app).reported_at is None


def test_a_report_of_a_full_fleet_of_mailboxes_is_read(app: Flask, node: Node) -> None:
    rows = [{"id": f"{number:032x}", "bytes": number, "messages": 1} for number in range(60_000)]
    assert send(node, of(node.fetch(), usage=rows)).status_code == 204
