"""Whatever the panel answers, a node keeps its last good state and says what was wrong."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any, cast

import pytest

from app import agent

from .fake_panel import (
    EPOCH,
    HASH,
    Behaviour,
    Export,
    FakePanel,
    Handler,
    digest,
    etag_of,
    export,
    head_of,
    user,
    users,
)
from .mail_node import Node

HELD = users(12)


@pytest.fixture(scope="module")
def panel() -> Iterator[FakePanel]:
    result = FakePanel()
    yield result
    result.close()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, panel: FakePanel) -> Node:
    """One for all of these tests: none of them may change it."""
    result = Node(tmp_path_factory.mktemp("node"), panel)
    panel.answer = export(HELD, revision=5)
    assert result.once().code == 0
    return result


@pytest.fixture(autouse=True)
def forgetful(panel: FakePanel) -> None:
    panel.requests.clear()
    panel.hung_up.clear()


def refuses(node: Node, reason: str, *more: str) -> None:
    before = node.everything()
    result = node.once(*more)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("agent: ")
    assert reason in result.err
    assert result.err.count("\n") == 1
    assert node.everything() == before
    assert reason in node.status()


def newer(**changes: Any) -> Export:
    return export(users(13), **{"revision": 6, **changes})


def with_user(**changes: Any) -> Export:
    return export([*HELD, user("new@example.nl", **changes)], revision=6)


def with_email(email: object) -> Export:
    return with_user(email=email)


def with_alias(alias: object) -> Export:
    answer = newer()
    answer["aliases"] = [alias]
    return counted(answer)


def counted(answer: Export) -> Export:
    arrays = {name: answer[name] for name in ("domains", "users", "aliases")}
    answer["counts"] = {name: len(values) for name, values in arrays.items()}
    answer["sha256"] = digest(list(arrays.values()))
    return answer


def without(name: str) -> Export:
    answer = newer()
    del answer[name]
    return answer


def with_domains(*domains: Any) -> Export:
    return counted({**newer(), "domains": ["example.nl", *domains]})


ROWS: dict[str, tuple[Export, str]] = {
    "an id in capitals": (with_user(id="A" * 32), "wrong id"),
    "a short id": (with_user(id="a" * 31), "wrong id"),
    "an id with a line end": (with_user(id="a" * 32 + "\n"), "wrong id"),
    "an id that is a number": (with_user(id=7), "wrong id"),
    "an id twice": (with_user(id=HELD[0]["id"]), "twice"),
    "an address twice": (with_user(email="user0@example.nl"), "twice"),
    "an address in capitals": (with_email("New@example.nl"), "wrong address"),
    "an address with +": (with_email("a+b@example.nl"), "wrong address"),
    "an address with ..": (with_email("a..b@example.nl"), "wrong address"),
    "an address that is a path": (with_email("../../x@example.nl"), "wrong address"),
    "an address that starts with a dot": (with_email(".a@example.nl"), "wrong address"),
    "an address that ends with a hyphen": (with_email("a-@example.nl"), "wrong address"),
    "an address with a line end": (with_email("a@example.nl\n"), "wrong address"),
    "an address with a quote": (with_email("o'brien@example.nl"), "wrong address"),
    "an address with %": (with_email("a%d@example.nl"), "wrong address"),
    "an address with NUL": (with_email("a\0@example.nl"), "wrong address"),
    "an address beyond ASCII": (with_email("é@example.nl"), "wrong address"),
    "an address with two @": (with_email("a@b@example.nl"), "wrong address"),
    "an address without a name": (with_email("@example.nl"), "wrong address"),
    "an address without a domain": (with_email("info"), "wrong address"),
    "a name of 65": (with_email("a" * 65 + "@example.nl"), "wrong address"),
    "an address that is not text": (with_email(["a@example.nl"]), "wrong address"),
    "a half character": (with_email("\ud800@example.nl"), "wrong address"),
    "a domain that is not listed": (with_email("a@other.nl"), "wrong address"),
    "a plain password": (with_user(password="{PLAIN}secret"), "bcrypt"),
    "a hash without scheme": (with_user(password=HASH[11:]), "bcrypt"),
    "a hash that is short": (with_user(password=HASH[:-1]), "bcrypt"),
    "a hash with a line end": (with_user(password=HASH + "\n"), "bcrypt"),
    "a hash with more fields": (with_user(password=HASH + ":0:0"), "bcrypt"),
    "a hash at cost 31": (with_user(password=HASH.replace("$10$", "$31$")), "bcrypt"),
    "a hash of kind 2x": (with_user(password=HASH.replace("$2y", "$2x")), "bcrypt"),
    "no password": (with_user(password=""), "bcrypt"),
    "a password that is null": (with_user(password=None), "bcrypt"),
    "quota 0": (with_user(quota_mb=0), "quota"),
    "quota too large": (with_user(quota_mb=1048577), "quota"),
    "quota true": (with_user(quota_mb=True), "quota"),
    "quota as text": (with_user(quota_mb="1024"), "quota"),
    "quota with a fraction": (with_user(quota_mb=1024.0), "whole"),
    "quota huge": (with_user(quota_mb=10**30), "too large"),
    "login 1": (with_user(login=1), "flag"),
    "deliver as text": (with_user(deliver="true"), "flag"),
    "an unknown field of a user": (with_user(home="/root"), "fields of a user"),
    "a user that is a list": (counted({**newer(), "users": [["a"]]}), "fields of a user"),
    "a domain in capitals": (with_domains("Example.com"), "not a domain"),
    "a domain of one label": (with_domains("nl"), "not a domain"),
    "a domain that is a number": (with_domains("1.2.3.4"), "not a domain"),
    "a domain with an underscore": (with_domains("a_b.nl"), "not a domain"),
    "a domain with a dot at its end": (with_domains("example.org."), "not a domain"),
    "a domain beyond ASCII": (with_domains("münchen.example"), "not a domain"),
    "a label of 64": (with_domains("a" * 64 + ".nl"), "not a domain"),
    "a domain of 254": (with_domains(".".join(["a" * 49] * 5) + ".nlxx"), "not a domain"),
    "a domain that is null": (with_domains(None), "not a domain"),
    "a domain twice": (with_domains("example.nl"), "twice"),
    "an alias of a foreign domain": (
        with_alias({"address": "a@other.nl", "goto": ["user0@example.nl"]}),
        "wrong address",
    ),
    "an alias for a whole domain": (
        with_alias({"address": "@example.nl", "goto": ["user0@example.nl"]}),
        "wrong address",
    ),
    "an alias that leads nowhere": (
        with_alias({"address": "a@example.nl", "goto": []}),
        "leads nowhere",
    ),
    "an alias that leads to a command": (
        with_alias({"address": "a@example.nl", "goto": ["|/bin/sh"]}),
        "not an address",
    ),
    "an alias with goto as text": (
        with_alias({"address": "a@example.nl", "goto": "user0@example.nl"}),
        "leads nowhere",
    ),
    "an unknown field of an alias": (
        with_alias({"address": "a@example.nl", "goto": ["user0@example.nl"], "x": 1}),
        "fields of an alias",
    ),
    "a purge order that is a path": (newer(purge=["../../etc"]), "not an id"),
    "a purge order that is a number": (newer(purge=[1]), "not an id"),
    "a purge order twice": (newer(purge=["0" * 32] * 2), "twice"),
}

SHAPES: dict[str, tuple[Export, str]] = {
    **{f"no {name}": (without(name), name) for name in agent.SHAPE},
    "an unknown field": (newer(extra=1), "unknown field"),
    "a format to come": (newer(format=3), "format"),
    "format true": (newer(format=True), "format"),
    "a part of the state": (newer(full=False), "part"),
    "revision as text": (newer(revision="6"), "revision"),
    "revision below zero": (newer(revision=-1), "revision"),
    "an epoch that is no name": (newer(epoch="a b"), "another form"),
    "a digest in capitals": (newer(sha256="A" * 64), "sha256"),
    "allow_shrink 1": (newer(allow_shrink=1), "allow_shrink"),
    "users as an object": (newer(users={}), "users"),
    "a count that differs": (newer(counts={"domains": 1, "users": 12, "aliases": 0}), "counts"),
    "a count that is true": (newer(counts={"domains": True, "users": 13, "aliases": 0}), "counts"),
    "a count too many": (
        newer(counts={"domains": 1, "users": 13, "aliases": 0, "nodes": 1}),
        "counts",
    ),
    "a digest that differs": (newer(sha256="0" * 64), "sha256"),
    "a row in another order than its digest": (
        {**newer(), "users": newer()["users"][::-1]},
        "sha256",
    ),
    "a revision that fell": (export(users(13), revision=4), "fell from 5 to 4"),
    "a revision that fell, with the same content": (export(HELD, revision=4), "fell from 5 to 4"),
    "the same revision with other rows": (export(users(13), revision=5), "other content"),
    "the same revision with other purge orders": (
        export(HELD, revision=5, purge=["0" * 32]),
        "other content",
    ),
    "too few mailboxes": (export(HELD[:9], revision=6), "3 of 12 mailboxes would go"),
    "no mailbox at all": (export([], revision=6), "12 of 12 mailboxes would go"),
}


@pytest.mark.parametrize("is_spaced", [False, True])
@pytest.mark.parametrize("name", ROWS)
def test_it_refuses_the_whole_for_one_row(
    node: Node, panel: FakePanel, name: str, is_spaced: bool
) -> None:
    answer, reason = ROWS[name]
    panel.is_spaced = is_spaced
    panel.always(answer)
    panel.is_spaced = False
    refuses(node, reason)


@pytest.mark.parametrize("name", SHAPES)
def test_it_refuses_an_answer_of_another_shape(node: Node, panel: FakePanel, name: str) -> None:
    answer, reason = SHAPES[name]
    tagged = {"epoch": EPOCH, "revision": 6, **answer}
    panel.always(json.dumps(answer).encode(), ETag=etag_of(tagged))
    refuses(node, reason)


@pytest.mark.parametrize(
    "tag", ["", '"x"', f'"{EPOCH}-7-mpi01"', f'"{EPOCH}-6-"', f"{EPOCH}-6-mpi01", f'"{EPOCH}-60-x"']
)
def test_it_refuses_another_etag(node: Node, panel: FakePanel, tag: str) -> None:
    panel.always(newer(), ETag=tag)
    refuses(node, "ETag")


@pytest.mark.parametrize("status", [201, 204, 206, 400, 401, 403, 404, 429, 500, 502, 503])
def test_it_refuses_another_status(node: Node, panel: FakePanel, status: int) -> None:
    panel.always(newer(), status=status)
    refuses(node, str(status))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_it_never_follows_a_redirect(node: Node, panel: FakePanel, status: int) -> None:
    panel.always(newer(), status=status, Location=panel.url + "/elsewhere")
    refuses(node, "redirect")
    assert [request["path"] for request in panel.requests] == ["/sync/v1/export"]


def test_it_refuses_a_304_it_did_not_ask_for(node: Node, panel: FakePanel) -> None:
    panel.behaviour = lambda handler: handler.reply(304, {})
    result = node.once("--state", str(node.folder / "fresh"))
    assert result.code == 1
    assert "304" in result.err


def test_it_refuses_a_304_for_another_state(node: Node, panel: FakePanel) -> None:
    panel.behaviour = lambda handler: handler.reply(304, {"ETag": etag_of(newer())})
    refuses(node, "304")


@pytest.mark.parametrize(
    "kind", ["", "text/html", "text/json", "application/jsonp", "application/json, text/html"]
)
def test_it_refuses_another_type(node: Node, panel: FakePanel, kind: str) -> None:
    panel.always(newer(), Content_Type=kind)
    refuses(node, "application/json")


def test_it_refuses_another_charset(node: Node, panel: FakePanel) -> None:
    panel.always(newer(), Content_Type="application/json; charset=latin-1")
    refuses(node, "UTF-8")


TEXTS: dict[str, tuple[bytes, str]] = {
    "a page": (b"<!doctype html><title>Welcome</title>", "not JSON"),
    "nothing": (b"", "not JSON"),
    "half of it": (json.dumps(newer()).encode()[:-20], "not JSON"),
    "two answers": (json.dumps(newer()).encode() * 2, "not JSON"),
    "a list": (b"[]", "not a JSON object"),
    "null": (b"null", "not a JSON object"),
    "a byte order mark": (b"\xef\xbb\xbf" + json.dumps(newer()).encode(), "byte order mark"),
    "UTF-16": (json.dumps(newer()).encode("utf-16"), "UTF-8"),
    "Latin-1": (json.dumps(newer()).encode()[:-1] + b',"\xe9":1}', "UTF-8"),
    "a field twice": (b'{"format": 1, "format": 1}', "twice"),
    "NaN": (b'{"format": NaN}', "whole"),
    "Infinity": (b'{"format": -Infinity}', "whole"),
    "a number of a million digits": (b'{"format": ' + b"9" * 1_000_000 + b"}", "too large"),
    "a nesting bomb": (b'{"format": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "nested"),
    "a nesting bomb of objects": (b'{"counts":' * 200_000 + b"1" + b"}" * 200_000, "nested"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_it_refuses_what_is_not_strict_json(node: Node, panel: FakePanel, name: str) -> None:
    body, reason = TEXTS[name]
    panel.always(body)
    refuses(node, reason)


PACKED = gzip.compress(json.dumps(newer()).encode(), mtime=0)


@pytest.mark.parametrize(
    ("coding", "body", "reason"),
    [
        ("gzip", b"not gzip at all", "not valid gzip"),
        ("gzip", PACKED[:-10], "cut off"),
        ("gzip", PACKED[:20], "cut off"),
        ("gzip", b"", "cut off"),
        ("gzip", PACKED + b"more", "goes on"),
        ("gzip", PACKED + PACKED, "goes on"),
        ("gzip", PACKED[:-8] + b"\0" * 8, "not valid gzip"),
        ("deflate", PACKED, "another way"),
        ("gzip, gzip", PACKED, "another way"),
        ("br", PACKED, "another way"),
    ],
)
def test_it_refuses_bad_packing(
    node: Node, panel: FakePanel, coding: str, body: bytes, reason: str
) -> None:
    panel.always(body, Content_Encoding=coding)
    refuses(node, reason)


def test_it_refuses_more_than_256_mib_unpacked(node: Node, panel: FakePanel) -> None:
    assert agent.BODY_LIMIT == 256 * 1024 * 1024
    mebibyte = b" " * 1024 * 1024
    packer = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    body = b"".join(packer.compress(mebibyte) for _ in range(257)) + packer.flush()
    assert len(body) < 2 * 1024 * 1024
    panel.always(body, Content_Encoding="gzip")
    refuses(node, "over 256 MiB")


LISTS = b"[]," * 8_000_000
BOMBS: dict[str, tuple[bytes, bytes, bytes, str]] = {
    "an unknown field": (b'{"x":[', LISTS, b"[]]}", "unknown field"),
    "what to purge": (b'{"purge":[', LISTS, b"[]]}", "not an id"),
    "what is gone": (b'{"gone":{"users":[', LISTS, b"[]]}}", "cannot be one"),
    "what is gone of an unknown kind": (b'{"gone":{"x":[', LISTS, b"[]]}}", "not what is gone"),
    "one user": (b'{"users":[[', LISTS, b"[]]]}", "too long"),
    "many long users at once": (
        json.dumps({"users": users(600)}).encode()[:-2] + b",",
        (b"[" + b"[]," * 300_000 + b"[]],") * 20,
        b"[]]}",
        "fields of a user",
    ),
    "a long text": ('{"epoch":"\U0001f600'.encode(), b"a" * 24_000_000, b'"}', "too long"),
    "many names": (b"{", b"".join(b'"f%d":1,' % at for at in range(500_000)), b"}", "unknown"),
    "many domains": (
        b'{"domains":[',
        b"".join(b'"d%d.nl",' % at for at in range(400_000)),
        b'"d.nl"]}',
        "over 1000 of one kind",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_answer_cannot_take_all_the_memory(
    node: Node, panel: FakePanel, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a hundred kilobytes unpack to would be gigabytes as objects."""
    start, middle, end, reason = BOMBS[name]
    monkeypatch.setattr(agent, "ROWS_LIMIT", 1000)
    panel.always(gzip.compress(start + middle + end, 1), Content_Encoding="gzip")
    tracemalloc.start()
    try:
        refuses(node, reason)
        assert tracemalloc.get_traced_memory()[1] < 100 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [b"-1", b"-5", b"-ffff"])
def test_a_chunk_is_not_smaller_than_nothing(node: Node, panel: FakePanel, size: bytes) -> None:
    """Of -1 octets there would be no end."""
    head = head_of(newer()) + b"Transfer-Encoding: chunked\r\n\r\n"
    panel.behaviour = endless(head + size + b"\r\n", b" " * 65536)
    refuses(node, "proper HTTP")


def test_what_is_sent_has_one_deadline_too() -> None:
    """A socket with TLS gives every record the whole time anew."""

    class Slow:
        sent = 0

        def settimeout(self, seconds: float) -> None:
            pass

        def sendall(self, data: bytes) -> None:
            time.sleep(0.02 * len(data) / 16384)
            self.sent += len(data)

    slow = Slow()
    line = agent.Line(cast("socket.socket", slow), agent.Deadline(0.1))
    with pytest.raises(OSError, match="deadline"):
        line.sendall(b"x" * 1024 * 1024)
    assert 0 < slow.sent < 1024 * 1024


def test_it_refuses_a_length_over_the_limit_at_once(node: Node, panel: FakePanel) -> None:
    head = head_of(newer())
    panel.raw(head + b"Content-Length: 268435457\r\n\r\n{}")
    refuses(node, "over 256 MiB")


def test_it_refuses_an_endless_body(
    node: Node, panel: FakePanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "BODY_LIMIT", 1024 * 1024)
    panel.behaviour = endless(head_of(newer()) + b"\r\n", b" " * 65536)
    refuses(node, "over 1 MiB")


def test_it_refuses_endless_headers(node: Node, panel: FakePanel) -> None:
    panel.behaviour = endless(b"HTTP/1.1 200 OK\r\n", b"X: " + b"x" * 2000 + b"\r\n")
    refuses(node, "headers")


def test_it_refuses_one_endless_header(node: Node, panel: FakePanel) -> None:
    panel.behaviour = endless(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 2000)
    refuses(node, "headers")


def endless(start: bytes, more: bytes) -> Behaviour:
    def behaviour(handler: Handler) -> None:
        handler.wfile.write(start)
        while True:
            handler.wfile.write(more)

    return behaviour


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"",
        b"\0" * 100,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"<html>",
    ],
)
def test_it_refuses_what_is_not_http(node: Node, panel: FakePanel, bytes_sent: bytes) -> None:
    panel.raw(bytes_sent)
    refuses(node, "the ")


@pytest.mark.parametrize("framing", [b"Content-Length: 9999\r\n\r\n", b"\r\n"])
def test_it_refuses_a_body_that_is_cut_off(node: Node, panel: FakePanel, framing: bytes) -> None:
    panel.raw(head_of(newer()) + framing + json.dumps(newer()).encode()[:-30])
    refuses(node, "the answer")


def test_it_refuses_chunks_that_are_cut_off(node: Node, panel: FakePanel) -> None:
    panel.raw(head_of(newer()) + b"Transfer-Encoding: chunked\r\n\r\nfff\r\n{")
    refuses(node, "cut off")


def test_it_gives_up_on_silence(node: Node, panel: FakePanel) -> None:
    def behaviour(handler: Handler) -> None:
        handler.rfile.read()

    panel.behaviour = behaviour
    refuses(node, "within 0.3 seconds", "--timeout", "0.3")


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX: ", head_of(newer()) + b"\r\n"])
def test_it_gives_up_on_an_answer_that_dribbles(node: Node, panel: FakePanel, start: bytes) -> None:
    """Every byte comes well within the time-out; all of them together never would."""

    def behaviour(handler: Handler) -> None:
        handler.wfile.write(start)
        while True:
            handler.wfile.write(b" ")
            time.sleep(0.02)

    panel.behaviour = behaviour
    started = time.monotonic()
    refuses(node, "within 0.4 seconds", "--timeout", "0.4")
    assert time.monotonic() - started < 10
    assert panel.hung_up.wait(10)


def test_it_gives_up_on_a_silent_name_server(
    node: Node, panel: FakePanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(10) and [])
    refuses(node, "within 0.3 seconds", "--timeout", "0.3")
    released.set()


def test_it_never_repeats_what_a_panel_says(node: Node, panel: FakePanel) -> None:
    """A panel that echoes the credential must not get it into a log."""

    def behaviour(handler: Handler) -> None:
        key = handler.headers["Authorization"].removeprefix("Bearer ")
        body = json.dumps({**newer(), key: key, "\x1b[31m": 1})
        headers = {"Content-Type": "application/json", "ETag": etag_of(newer()), "X": key}
        handler.reply(200, headers, body.encode())

    panel.behaviour = behaviour
    refuses(node, "unknown field: 'mck_***")
