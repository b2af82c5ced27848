"""Clients that are described by a document: where it is fetched from, and what it says."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from app.authorization import documents
from app.authorization.documents import Reach, is_document, is_public
from app.extensions import db
from tests.api.answers import state, unchanged
from tests.oauth.certified import Web, https
from tests.oauth.program import Program
from tests.web.conftest import Browser

URI = "http://127.0.0.1/callback"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """An https server, for all tests here."""
    with https(tmp_path_factory.mktemp("web")) as web:
        yield web


@pytest.fixture
def web(server: Web, app: Flask) -> Iterator[Web]:
    """The same, empty, and the panel gets there: it is told so, since by itself it would not."""
    server.pages.clear()
    server.asked.clear()
    app.extensions["client_documents"] = server.reach
    yield server
    del app.extensions["client_documents"]


@pytest.fixture
def published(web: Web, program: Program) -> Program:
    """A program whose id is the address of its document."""
    publish(web, program)
    return program


def publish(web: Web, program: Program, path: str = "/client.json", **changes: Any) -> None:
    """Put the program's document there."""
    program.client_id = web.url(path)
    headers = {**JSON, **changes.pop("headers", {})}
    described = {"client_id": program.client_id, "client_name": "Claude", "redirect_uris": [URI]}
    content = json.dumps({**described, **changes}).encode()
    web.pages[path] = (200, headers, content)


def test_it_works(alice: Browser, published: Program, web: Web) -> None:
    page = alice.get(published.address())
    assert "Claude" in page.text
    assert "<strong>localhost</strong>" in page.text
    published.connect(alice)
    assert published.is_connected
    assert published.refresh().status_code == 200
    ((path, headers),) = web.asked
    assert path == "/client.json"
    assert headers["Host"] == f"localhost:{web.port}"
    assert not headers.keys() & {"Cookie", "Authorization", "Referer"}


def test_by_itself_the_panel_gets_nowhere_near(
    app: Flask, alice: Browser, published: Program, web: Web
) -> None:
    app.extensions["client_documents"] = Reach()
    with unchanged(app):
        assert alice.get(published.address()).status_code == 400
    assert web.asked == []


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        *[(one, True) for one in ("93.184.215.14", "1.1.1.1", "2606:4700:4700::1111")],
        *[(one, True) for one in ("::ffff:1.1.1.1", "64:ff9b::101:101")],
        *[(one, False) for one in ("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1")],
        *[(one, False) for one in ("192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.2.1")],
        *[(one, False) for one in ("198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255")],
        *[(one, False) for one in ("::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1")],
        *[(one, False) for one in ("2001:db8::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254")],
        *[(one, False) for one in ("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::")],
        *[(one, False) for one in ("fe80::1%eth0", "2001::1", "64:ff9b:1::1")],
    ],
)
def test_only_what_anybody_can_reach_is_asked(address: str, expected: bool) -> None:
    assert is_public(address, 443) is expected
    assert not is_public(address, 80)
    assert not is_public(address, 8443)


@pytest.mark.parametrize(
    "client_id",
    [
        *("http://example.com/c", "https://example.com", "https://example.com/", "https:///c"),
        *("https://a@example.com/c", "https://a:b@example.com/c", "https://example.com/c#x"),
        *("https://example.com/../c", "https://example.com/./c", "https://example.com/a/..", "x"),
        *("https://example.com/c d", "https://example.com\\@127.0.0.1/c", "ftp://example.com/c"),
        *("https://exämple.com/c", "https://example.com:0/c", "https://example.com:99999/c", ""),
        *(f"https://example.com/{'c' * 1024}", "https://[::1/c", "https://example.com/c\n"),
    ],
)
def test_not_every_address_is_a_clients(client_id: str) -> None:
    assert not is_document(client_id)


def test_a_name_that_changes_its_meaning_is_asked_once(
    alice: Browser, published: Program, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address that was looked at is the one that is connected to (DNS rebinding)."""
    answers = iter([[("127.0.0.1", web.port)]])
    connected: list[Any] = []
    connect = socket.create_connection

    def resolve(*_arguments: object, **_values: object) -> list[Any]:
        found = next(answers)  # a second question would have no answer
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", where) for where in found]

    def note(where: tuple[str, int], *rest: Any, **values: Any) -> socket.socket:
        connected.append(where)
        monkeypatch.undo()  # connecting to a number looks it up as well
        return connect(where, *rest, **values)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", note)
    assert alice.get(published.address()).status_code == 200
    assert connected == [("127.0.0.1", web.port)]


def test_a_name_with_one_private_address_is_refused(
    app: Flask, alice: Browser, published: Program, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.extensions["client_documents"] = Reach()
    published.client_id = "https://example.com/client.json"

    def resolve(*_arguments: object, **_values: object) -> list[Any]:
        wheres = (("1.1.1.1", 443), ("169.254.169.254", 443))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", where) for where in wheres]

    def connect(*_arguments: object, **_values: object) -> None:
        raise AssertionError

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    with unchanged(app):
        assert alice.get(published.address()).status_code == 400


def test_another_certificate_is_refused(
    app: Flask, alice: Browser, published: Program, web: Web
) -> None:
    app.extensions["client_documents"] = Reach(web.reach.is_allowed, ssl.create_default_context)
    with unchanged(app):
        assert alice.get(published.address()).status_code == 400
    app.extensions["client_documents"] = web.reach
    published.client_id = f"https://127.0.0.1:{web.port}/client.json"
    with unchanged(app):
        assert alice.get(published.address()).status_code == 400
    assert web.asked == []


ANSWERS: dict[str, tuple[int, dict[str, str], bytes | None]] = {
    "not there": (404, JSON, None),
    "a redirect": (302, {**JSON, "Location": "/other.json"}, None),
    "a fault": (500, JSON, None),
    "made just now": (201, JSON, None),
    "a page": (200, {"Content-Type": "text/html"}, None),
    "of no type": (200, {}, None),
    "compressed": (200, {**JSON, "Content-Encoding": "gzip"}, None),
    "empty": (200, JSON, b""),
    "nonsense": (200, JSON, b"{"),
    "a list": (200, JSON, b"[]"),
    "not UTF-8": (200, JSON, b"\xff\xfe"),
    "nested": (200, JSON, b'{"a":' * 5000),
    "too large": (200, JSON, b'{"a": "' + b"x" * 5200 + b'"}'),
    "cut short": (200, {**JSON, "Content-Length": "9999"}, None),
}
SAYS: dict[str, dict[str, Any]] = {
    "another id": {"client_id": "https://localhost/client.json"},
    "no id": {"client_id": None},
    "a secret": {"client_secret": "x"},
    "a way to prove itself": {"token_endpoint_auth_method": "client_secret_post"},
    "a key": {"token_endpoint_auth_method": "private_key_jwt"},
    "no name": {"client_name": ""},
    "no address": {"redirect_uris": []},
    "another address": {"redirect_uris": ["https://evil.example/callback"]},
    "a script": {"redirect_uris": ["javascript:alert(1)"]},
    "no code": {"grant_types": ["implicit"]},
}


def test_it_rejects_a_document_that_is_none(
    app: Flask, alice: Browser, program: Program, web: Web
) -> None:
    for what, (status, headers, content) in ANSWERS.items():
        publish(web, program)
        web.pages["/other.json"] = web.pages["/client.json"]
        good = web.pages["/client.json"][2]
        web.pages["/client.json"] = (status, headers, good if content is None else content)
        with unchanged(app):
            page = alice.get(program.address())
        assert (page.status_code, "cannot be connected" in page.text) == (400, True), what
    assert {path for path, _headers in web.asked} == {"/client.json"}


def test_one_that_never_ends_does(
    app: Flask, alice: Browser, published: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte in time, and so for ever: a timeout alone would not notice."""
    monkeypatch.setattr(documents, "SECONDS", 0.5)
    published.client_id = published.client_id.replace("client.json", "endless.json")
    with unchanged(app):
        assert alice.get(published.address()).status_code == 400


def test_it_rejects_what_a_document_should_not_say(
    app: Flask, alice: Browser, program: Program, web: Web
) -> None:
    for what, changes in SAYS.items():
        publish(web, program, **changes)
        program.client_id = web.url("/client.json")
        before = state(app)
        page = alice.get(program.address())
        assert page.status_code == 400, what
        assert "evil" not in page.text
        if what != "another address":  # a good document, which does not have this one
            assert state(app) == before, what


@pytest.mark.parametrize(
    ("says", "shortest", "longest"),
    [
        ({}, 3600, 3600),
        ({"Cache-Control": "max-age=600"}, 600, 600),
        ({"Cache-Control": "public, MAX-AGE=7200"}, 7200, 7200),
        ({"Cache-Control": "max-age=1"}, 60, 60),
        ({"Cache-Control": "max-age=999999999"}, 86400, 86400),
        ({"Cache-Control": "no-store"}, 60, 60),
        ({"Cache-Control": "max-age=600, no-cache"}, 60, 60),
        ({"Cache-Control": "max-age=nonsense"}, 3600, 3600),
    ],
)
def test_it_is_kept_for_as_long_as_it_says(
    app: Flask,
    alice: Browser,
    program: Program,
    web: Web,
    says: dict[str, str],
    shortest: int,
    longest: int,
) -> None:
    publish(web, program, headers=says)
    alice.get(program.address())
    alice.get(program.address())
    assert len(web.asked) == 1
    with app.app_context():
        query = "SELECT strftime('%s', fresh_until) - strftime('%s', 'now') FROM oauth_clients"
        left = db.session.execute(text(f"{query} WHERE fresh_until IS NOT NULL")).scalar_one()
        assert shortest - 30 <= left <= longest


def test_when_it_is_stale_it_counts_no_more(
    app: Flask, alice: Browser, published: Program, web: Web
) -> None:
    published.connect(alice)
    with app.app_context():
        db.session.execute(text("UPDATE oauth_clients SET fresh_until = '2020-01-01T00:00:00Z'"))
        db.session.commit()
    publish(web, published, client_name="Clyde", redirect_uris=["http://127.0.0.1/elsewhere"])
    assert alice.get(published.address()).status_code == 400
    page = alice.get(published.address(redirect_uri="http://127.0.0.1:5/elsewhere"))
    assert "Clyde" in page.text
    assert len(web.asked) == 2
    assert published.is_connected  # who was let in before, stays
    assert published.refresh().status_code == 200


def test_only_so_many_are_fetched_for_one_person(
    app: Flask, alice: Browser, charlie: Browser, program: Program, web: Web
) -> None:
    publish(web, program)
    with app.app_context():
        now = "strftime('%s', 'now')"
        db.session.execute(text(f"INSERT INTO buckets VALUES ('document:1', 0.0, {now})"))
        db.session.commit()
    answer = alice.get(program.address())
    assert answer.status_code == 429
    assert "Retry-After" in answer.headers
    assert web.asked == []
    assert charlie.get(program.address()).status_code == 200
    assert alice.get(program.address()).status_code == 200  # it is known by now


def test_who_is_not_signed_in_has_nothing_fetched(
    visitor: Browser, published: Program, web: Web
) -> None:
    assert visitor.get(published.address()).status_code == 303
    published.token(grant_type="refresh_token", refresh_token="x", client_id=published.client_id)
    assert web.asked == []
