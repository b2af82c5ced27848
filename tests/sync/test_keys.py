"""Who is a node: a good key, in its place, from its address; everybody else gets the same 401."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app import create_app
from app.config import Settings
from app.credentials import SYNC_KEY, TOKEN, digest, make
from app.extensions import db
from app.models import SyncKey
from tests.api.answers import same_answer, unchanged
from tests.applications import let_go
from tests.conftest import Api, Cast
from tests.sync.node import URL, Node, assert_unauthorized, checked, execute


def test_it_works(node: Node) -> None:
    node.fetch()


def test_every_wrong_credential_is_refused_alike(app: Flask, api: Api, node: Node) -> None:
    nothing = api.client.get(URL)
    assert_unauthorized(nothing)
    key, token = node.key, api.cast.tokens["root"]
    with unchanged(app):
        for header in (
            "",
            "Bearer",
            "Bearer ",
            key,
            f"bearer {key}",
            f"Bearer  {key}",
            f"Bearer {key} ",
            f"Bearer {key[:-1]}",
            f"Bearer {key}0",
            f"Bearer {key[:-1]}{'1' if key[-1] == '0' else '0'}",
            f"Bearer {key.swapcase()}",
            f"Bearer {make(SYNC_KEY)}",
            f"Bearer {make(TOKEN)}",
            f"Bearer {token}",
            f"Bearer {api.cast.tokens['alice']}",
            f"Bearer {key}, Bearer {key}",
            f"Basic {key}",
            f"Bearer {digest(key)}",
            f"Bearer {digest(key)[:42]}",
            "Bearer mck_" + "é" * 38,
            "Bearer " + "x" * 8000,
        ):
            for headers in (
                {"Authorization": header},
                {"Authorization": header, "If-None-Match": "*"},
            ):
                assert same_answer(api.client.get(URL, headers=headers), nothing), header


def test_two_headers_are_refused(api: Api, node: Node) -> None:
    bearer = f"Bearer {node.key}"
    headers = [("Authorization", bearer), ("Authorization", bearer)]
    assert_unauthorized(api.client.get(URL, headers=headers))


def test_a_key_elsewhere_than_in_the_header_opens_nothing(
    api: Api, node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    api.client.set_cookie("Authorization", f"Bearer {node.key}")
    for answer in (
        api.client.get(URL, query_string={"key": node.key}),
        api.client.get(URL, query_string={"access_token": node.key, "token": node.key}),
        api.client.get(f"{URL}/{node.key}"),
        api.client.get(URL, headers={"X-Api-Key": node.key}),
        api.client.get(URL, auth=(node.name, node.key)),
        api.client.get(URL, data={"key": node.key}),
    ):
        assert answer.status_code in (401, 404)
        assert node.key not in answer.text
    assert node.key not in caplog.text


def test_a_revoked_key_is_refused_at_once(app: Flask, api: Api, node: Node) -> None:
    node.fetch()
    execute(app, "DELETE FROM sync_keys")
    assert same_answer(node.ask(), api.client.get(URL))


def test_the_key_of_a_node_that_is_gone_is_refused(app: Flask, api: Api, node: Node) -> None:
    node.fetch()
    execute(app, "DELETE FROM sync_keys")
    execute(app, "DELETE FROM nodes")
    assert same_answer(node.ask(), api.client.get(URL))


def test_two_keys_work_while_one_replaces_the_other(app: Flask, api: Api, node: Node) -> None:
    newer = _second_key(app, api)
    node.fetch()
    newer.fetch()
    execute(app, "UPDATE sync_keys SET expires_at = '2999-01-01T00:00:00Z' WHERE id = 1")
    node.fetch()
    execute(app, "UPDATE sync_keys SET expires_at = '2020-01-01T00:00:00Z' WHERE id = 1")
    assert same_answer(node.ask(), api.client.get(URL))
    newer.fetch()


def test_keys_are_stored_as_digests(app: Flask, node: Node) -> None:
    with app.app_context():
        key = db.session.scalars(db.select(SyncKey)).one()
        assert key.digest == digest(node.key)
        assert key.hint == node.key[:8]


def test_no_key_or_hash_is_logged(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    node.fetch()
    node.ask(Authorization=f"Bearer {make(SYNC_KEY)}")
    assert "mck_" not in caplog.text
    assert "$2y$" not in caplog.text


# The allow-list of a node, then addresses that are on it, then others.
ALLOWED: list[tuple[str, list[str], list[str]]] = [
    (
        "192.0.2.7",
        ["192.0.2.7", "::ffff:192.0.2.7", "::ffff:c000:207"],
        ["192.0.2.8", "::1", "192.0.2.70"],
    ),
    ("::ffff:192.0.2.7", ["192.0.2.7", "::ffff:192.0.2.7"], ["192.0.2.8", "::192.0.2.7"]),
    (
        "192.0.2.0/24",
        ["192.0.2.0", "192.0.2.255", "::ffff:192.0.2.9"],
        ["192.0.3.0", "2001:db8::1"],
    ),
    ("::ffff:192.0.2.0/120", ["192.0.2.1", "::ffff:192.0.2.255"], ["192.0.3.1"]),
    (
        "2001:db8::7",
        ["2001:db8::7", "2001:DB8:0:0:0:0:0:7"],
        ["2001:db8::8", "192.0.2.7", "fe80::1%eth0"],
    ),
    ("2001:db8::/32", ["2001:db8::1", "2001:db8:ffff::1"], ["2001:db9::1", "::1", "127.0.0.1"]),
    ("fe80::/10", ["fe80::1"], ["fe80::1%eth0", "fec0::1"]),
    ("127.0.0.0/8", ["127.0.0.1", "127.255.255.255"], ["128.0.0.1", "::1"]),
]


@pytest.mark.parametrize(("network", "inside", "outside"), ALLOWED)
def test_a_key_works_from_its_network_only(
    api: Api, network: str, inside: list[str], outside: list[str]
) -> None:
    made = api("add-node", "root", name="mpi02", ip_address=network)
    assert made.status_code == 201
    node = Node(api.client, made.get_json()["data"]["node"]["sync_key"], "mpi02")
    refused = api.client.get(URL)
    for address in inside:
        checked(_ask_from(node, address), "mpi02")
    for address in (*outside, "", "unix", "nonsense", "192.0.2.7:1234"):
        assert same_answer(_ask_from(node, address), refused), address


def test_a_key_without_a_network_works_from_anywhere(node: Node) -> None:
    for address in ("192.0.2.7", "2001:db8::1", "::ffff:192.0.2.7", "", "unix"):
        checked(_ask_from(node, address))


def test_another_network_counts_at_once(app: Flask, api: Api, node: Node) -> None:
    checked(_ask_from(node, "192.0.2.7"))
    execute(app, "UPDATE nodes SET ip_address = '192.0.2.8'")
    assert_unauthorized(_ask_from(node, "192.0.2.7"))
    checked(_ask_from(node, "192.0.2.8"))


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "Client-IP"])
def test_forwarded_headers_do_not_help_without_a_proxy(app: Flask, node: Node, header: str) -> None:
    execute(app, "UPDATE nodes SET ip_address = '192.0.2.7'")
    for value in ("192.0.2.7", "for=192.0.2.7"):
        assert_unauthorized(_ask_from(node, "198.51.100.1", **{header: value}))
        checked(_ask_from(node, "192.0.2.7", **{header: "198.51.100.1"}))


def test_behind_one_proxy_its_last_word_counts(cast: Cast, settings: Settings) -> None:
    with _running(replace(settings, trusted_proxies=1)) as app:
        execute(app, "UPDATE nodes SET ip_address = '192.0.2.7'")
        node = Node(app.test_client(), cast.sync_key)
        for told in ("192.0.2.7", "198.51.100.1, 192.0.2.7", "::ffff:192.0.2.7"):
            checked(_ask_from(node, "127.0.0.1", **{"X-Forwarded-For": told}))
        for told in ("192.0.2.7, 198.51.100.1", "198.51.100.1", "nonsense", "192.0.2.7:80"):
            assert_unauthorized(_ask_from(node, "127.0.0.1", **{"X-Forwarded-For": told}))


@pytest.mark.parametrize("verb", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_the_export_is_only_read(app: Flask, api: Api, node: Node, verb: str) -> None:
    headers = {"Authorization": f"Bearer {node.key}"}
    with unchanged(app):
        answer = api.client.open(URL, method=verb, headers=headers)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"


def _ask_from(node: Node, address: str, **headers: str) -> TestResponse:
    return node.client.get(
        URL,
        headers={"Authorization": f"Bearer {node.key}", **headers},
        environ_base={"REMOTE_ADDR": address},
    )


def _second_key(app: Flask, api: Api) -> Node:
    key = make(SYNC_KEY)
    with app.app_context():
        db.session.add(SyncKey(node_id=1, digest=digest(key), hint=key[:8]))
        db.session.commit()
    return Node(api.client, key)


@contextmanager
def _running(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    yield app
    let_go(app)
