"""`agent.py once`: one attempt, its request, its rows and its exit code."""

from __future__ import annotations

import json

from app import agent

from .fake_panel import OTHER_HASH, FakePanel, etag_of, export, head_of, user, users
from .mail_node import KEY, Node


def test_it_works(node: Node, panel: FakePanel) -> None:
    alias = {"address": "sales@example.nl", "goto": ["info@example.nl", "x@elsewhere.example"]}
    panel.answer = export(
        [user("info@example.nl", id="0" * 32, quota_mb=7, login=False)],
        domains=("example.nl", "xn--mnchen-3ya.example"),
        aliases=(alias,),
        revision=4711,
    )
    result = node.once()
    assert (result.code, result.err) == (0, "")
    assert "revision 4711" in result.out
    assert node.rows("SELECT email, id, password, quota_mb, login, deliver FROM users") == [
        ("info@example.nl", "0" * 32, "{BLF-CRYPT}$2y$10$" + "a" * 53, 7, 0, 1)
    ]
    assert node.rows("SELECT name FROM domains") == [("example.nl",), ("xn--mnchen-3ya.example",)]
    assert node.rows("SELECT address, goto FROM aliases") == [
        ("sales@example.nl", "info@example.nl, x@elsewhere.example")
    ]
    assert node.meta()["revision"] == "4711"
    assert node.meta()["etag"] == etag_of(panel.answer)


def test_it_asks_as_the_contract_says(node: Node, panel: FakePanel) -> None:
    node.once()
    node.once()
    first, second = panel.requests
    assert first["path"] == "/sync/v1/export"
    assert first["Authorization"] == f"Bearer {KEY}"
    assert first["User-Agent"] == f"mailcote-agent/{agent.VERSION}"
    assert first["Accept-Encoding"] == "gzip"
    assert "If-None-Match" not in first
    assert second["If-None-Match"] == etag_of(panel.answer)


def test_it_is_done_when_nothing_is_newer(node: Node, panel: FakePanel) -> None:
    panel.answer = export(users(3))
    node.once()
    before = node.everything()
    result = node.once()
    assert result.code == 0
    assert "up to date" in result.out
    assert node.everything() == before


def test_it_copes_with_a_panel_that_does_not_compress(node: Node, panel: FakePanel) -> None:
    panel.speaks_gzip = False
    panel.answer = export(users(50))
    assert node.once().code == 0
    assert len(node.emails()) == 50


def test_how_it_is_written_makes_no_difference(node: Node, panel: FakePanel) -> None:
    """Spaces, the order of fields, an escape: here and there, among 2000 that are plain."""
    boxes = users(2000, quota_mb=1048576)
    panel.answer = export(boxes)
    plain = panel.written(panel.answer).decode()
    parts = plain.split('{"deliver"')
    odd = [part.replace(",", " ,\n ") if at % 7 == 0 else part for at, part in enumerate(parts)]
    odd = [part.replace("@", "\\u0040") if at % 11 == 0 else part for at, part in enumerate(odd)]
    text = '{"deliver"'.join(odd).replace('"login":true,', "", 1)
    text = text.replace('"quota_mb":1048576}', '"quota_mb":1048576,"login":true}', 1)
    panel.always(text.encode(), ETag=etag_of(panel.answer))
    assert node.once().code == 0
    assert node.content()[1] == sorted(boxes, key=lambda box: str(box["id"]))


def test_it_copes_with_a_chunked_answer(node: Node, panel: FakePanel) -> None:
    head = head_of(panel.answer)
    body = json.dumps(panel.answer).encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:9], body[9:]))
    panel.raw(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    assert node.once().code == 0


def test_it_copes_with_headers_of_almost_64_kib(node: Node, panel: FakePanel) -> None:
    head = head_of(panel.answer)
    filler = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 3000) for number in range(20))
    body = json.dumps(panel.answer).encode()
    panel.raw(head + filler + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert node.once().code == 0


def test_it_takes_the_tag_of_a_proxy_that_compresses(node: Node, panel: FakePanel) -> None:
    panel.always(panel.answer, ETag="W/" + etag_of(panel.answer))
    assert node.once().code == 0
    assert node.meta()["etag"] == etag_of(panel.answer)


def test_it_writes_only_rows_that_differ(node: Node, panel: FakePanel) -> None:
    panel.answer = export(users(20), revision=1)
    node.once()
    node.change(
        "CREATE TABLE seen (what, email);"
        "CREATE TRIGGER i AFTER INSERT ON users BEGIN"
        " INSERT INTO seen VALUES ('in', new.email); END;"
        "CREATE TRIGGER d AFTER DELETE ON users BEGIN"
        " INSERT INTO seen VALUES ('out', old.email); END;"
    )
    changed = [user("user3@example.nl", password=OTHER_HASH), user("new@example.nl")]
    panel.answer = export([*users(20)[:3], *users(20)[5:], *changed], revision=2)
    assert node.once().code == 0
    assert sorted(node.rows("SELECT what, email FROM seen")) == [
        ("in", "new@example.nl"),
        ("in", "user3@example.nl"),
        ("out", "user3@example.nl"),
        ("out", "user4@example.nl"),
    ]


def test_it_lets_an_id_move_to_another_address(node: Node, panel: FakePanel) -> None:
    one, two = user("one@example.nl", id="1" * 32), user("two@example.nl", id="2" * 32)
    panel.answer = export([one, two], revision=1)
    node.once()
    panel.answer = export([{**one, "id": "2" * 32}, {**two, "id": "1" * 32}], revision=2)
    assert node.once().code == 0
    assert dict(node.rows("SELECT email, id FROM users")) == {
        "one@example.nl": "2" * 32,
        "two@example.nl": "1" * 32,
    }


def test_it_reads_the_key_again_every_time(node: Node, panel: FakePanel) -> None:
    node.once()
    node.key_file.write_text("mck_another")
    node.once()
    assert panel.reports[0]["key"] == f"Bearer {KEY}"
    assert panel.requests[1]["Authorization"] == "Bearer mck_another"


def test_it_says_when_the_panel_is_out_of_reach(node: Node, panel: FakePanel) -> None:
    panel.close()
    result = node.once()
    assert result.code == 1
    assert result.err == "agent: the panel is out of reach: Connection refused\n"
