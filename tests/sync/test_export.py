"""The export: the whole state at one revision, in the form agents accept."""

from __future__ import annotations

import gzip
import json

import pytest
from flask import Flask

from app.agent import PLAIN_USER
from app.export import rows as export_rows
from tests.conftest import PASSWORD, Api
from tests.sync.node import Node, checked, fill


def test_it_works(api: Api, node: Node) -> None:
    fill(api, "info", "sales")
    document = node.fetch()
    assert document["domains"] == ["charlie.nl", "example.nl"]
    assert document["counts"] == {"domains": 2, "users": 2, "aliases": 0}
    assert sorted(user["email"] for user in document["users"]) == [
        "info@example.nl",
        "sales@example.nl",
    ]
    for user in document["users"]:
        assert (user["quota_mb"], user["login"], user["deliver"]) == (1024, True, True)
        assert user["password"].startswith("{BLF-CRYPT}$2y$04$")
    assert document["purge"] == []


def test_users_are_written_as_agents_read_them_without_parsing(api: Api, node: Node) -> None:
    fill(api, "info", "sales")
    api("update-user", email="info@example.nl", can_login=False, quota_mb=1048576)
    assert len(PLAIN_USER.findall(node.ask().text)) == 2


def test_an_empty_panel_has_an_export_too(app: Flask, api: Api, node: Node) -> None:
    for domain, who in (("example.nl", "alice"), ("charlie.nl", "charlie")):
        assert api("disable-email", who, domain=domain).status_code == 200
    document = node.fetch()
    assert (document["domains"], document["users"], document["purge"]) == ([], [], [])


@pytest.mark.parametrize("rows", [1, 2, 3, 6, 7, 8])
def test_rows_beyond_one_piece_are_put_together_right(
    api: Api, node: Node, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """Users are read and digested in pieces; where they meet must not show."""
    monkeypatch.setattr(export_rows, "ROWS_AT_A_TIME", rows)
    fill(api, *(f"user{number}" for number in range(7)))
    assert node.fetch()["counts"]["users"] == 7


def test_the_same_revision_is_the_same_bytes(api: Api, node: Node) -> None:
    fill(api, "info", "sales")
    assert node.ask().data == node.ask().data
    packed = [node.ask(Accept_Encoding="gzip") for _ in range(2)]
    assert packed[0].data == packed[1].data
    assert gzip.decompress(packed[0].data) == node.ask().data


def test_the_same_revision_is_the_same_bytes_from_every_process(
    app: Flask, api: Api, node: Node
) -> None:
    """A process that starts later builds it anew."""
    fill(api, "info", "sales")
    first, packed = node.ask().data, node.ask(Accept_Encoding="gzip").data
    app.extensions["node_desk"].exports.forget()
    assert node.ask().data == first
    assert node.ask(Accept_Encoding="gzip").data == packed


def test_two_nodes_get_the_same_bytes_and_their_own_tags(api: Api, node: Node) -> None:
    made = api("add-node", "root", name="mpi02").get_json()["data"]["node"]
    other = Node(api.client, made["sync_key"], "mpi02")
    assert node.ask().data == other.ask().data
    assert node.ask().headers["ETag"] != other.ask().headers["ETag"]
    other.fetch()


def test_gzip_is_given_to_those_who_ask(api: Api, node: Node) -> None:
    fill(api, "info")
    for accepted in ("gzip", "deflate, gzip", "gzip;q=0.5", "br;q=1, GZIP;q=0.1"):
        answer = node.ask(Accept_Encoding=accepted)
        assert answer.headers["Content-Encoding"] == "gzip"
        assert int(answer.headers["Content-Length"]) == len(answer.data)
        assert json.loads(gzip.decompress(answer.data)) == node.fetch()
        assert answer.headers["ETag"] == node.ask().headers["ETag"]
        assert answer.headers["Cache-Control"] == "private, no-store"
    for refused in ("", "identity", "gzip;q=0", "br, deflate", "nonsense"):
        answer = node.ask(Accept_Encoding=refused)
        assert "Content-Encoding" not in answer.headers
        assert int(answer.headers["Content-Length"]) == len(answer.data)
        checked(answer)


def test_head_tells_the_same_without_the_body(api: Api, node: Node) -> None:
    fill(api, "info")
    full = node.ask()
    answer = api.client.head("/sync/v1/export", headers={"Authorization": f"Bearer {node.key}"})
    assert answer.status_code == 200
    assert answer.data == b""
    assert answer.headers["ETag"] == full.headers["ETag"]
    assert answer.headers["Content-Length"] == full.headers["Content-Length"]


def test_a_removed_mailbox_is_absent_until_it_is_restored(api: Api, node: Node) -> None:
    fill(api, "info", "sales")
    api("remove-user", email="info@example.nl")
    document = node.fetch()
    assert [user["email"] for user in document["users"]] == ["sales@example.nl"]
    assert document["purge"] == [], "its mail is kept"
    api("restore-user", email="info@example.nl")
    assert node.emails() == ["info@example.nl", "sales@example.nl"]


def test_a_domain_with_email_off_is_absent(api: Api, node: Node) -> None:
    assert "parked.nl" not in node.fetch()["domains"]
    api("enable-email", domain="parked.nl")
    assert "parked.nl" in node.fetch()["domains"]
    api("disable-email", domain="parked.nl")
    assert "parked.nl" not in node.fetch()["domains"]


def test_a_domain_without_a_project_is_absent(api: Api, node: Node) -> None:
    api("add-domain", "root", domain="nobodys.nl")
    assert "nobodys.nl" not in node.fetch()["domains"]


def test_flags_are_told_apart(api: Api, node: Node) -> None:
    """One may be barred from signing in and still receive, and the other way round."""
    fill(api, "info")
    for login, deliver in ((False, True), (True, False), (False, False), (True, True)):
        api("update-user", email="info@example.nl", can_login=login, can_receive=deliver)
        (user,) = node.fetch()["users"]
        assert (user["login"], user["deliver"]) == (login, deliver)


def test_a_mailbox_that_is_gone_for_good_is_on_the_purge_list(api: Api, node: Node) -> None:
    fill(api, "info", "sales")
    keys = {user["email"]: user["id"] for user in node.fetch()["users"]}
    api("remove-user", email="info@example.nl", hard_delete=True)
    document = node.fetch()
    assert document["purge"] == [keys["info@example.nl"]]
    assert [user["id"] for user in document["users"]] == [keys["sales@example.nl"]]


def test_an_address_that_is_made_again_has_another_id(api: Api, node: Node) -> None:
    """So that nobody reads the mail of who had the address before."""
    fill(api, "info")
    (before,) = node.fetch()["users"]
    api("remove-user", email="info@example.nl", hard_delete=True)
    fill(api, "info")
    document = node.fetch()
    (after,) = document["users"]
    assert after["id"] != before["id"]
    assert document["purge"] == [before["id"]]


def test_names_are_in_ascii(api: Api, node: Node) -> None:
    api("add-domain", "root", domain="bücher.nl", project_id=1)
    api("enable-email", domain="bücher.nl")
    api("add-user", email="info@bücher.nl", password=PASSWORD)
    assert node.ask().data.isascii()
    assert node.emails() == ["info@xn--bcher-kva.nl"]
