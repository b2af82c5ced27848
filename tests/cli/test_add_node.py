"""`mailcote node add`: the key it prints works on the export."""

from __future__ import annotations

import pytest
from flask import Flask

from app.credentials import SYNC_KEY, is_well_formed

from .mailcote import Mailcote


def status(app: Flask, key: str, address: str = "192.0.2.7") -> int:
    answer = app.test_client().get(
        "/sync/v1/export",
        headers={"Authorization": f"Bearer {key}"},
        environ_base={"REMOTE_ADDR": address},
    )
    return answer.status_code


def test_it_prints_the_sync_key_alone_on_the_last_line(mailcote: Mailcote, app: Flask) -> None:
    key = mailcote.done("node", "add", "mpi01").last_line
    assert is_well_formed(key, SYNC_KEY)
    assert status(app, key) == 200


@pytest.mark.parametrize("network", ["192.0.2.7", "192.0.2.0/24"])
def test_with_an_address_the_key_works_from_there_only(
    mailcote: Mailcote, app: Flask, network: str
) -> None:
    key = mailcote.done("node", "add", "mpi01", "--ip", network).last_line
    assert status(app, key) == 200
    assert status(app, key, "198.51.100.1") == 401


def test_the_key_itself_is_not_stored(mailcote: Mailcote) -> None:
    key = mailcote.done("node", "add", "mpi01").last_line
    files = [path for path in mailcote.settings.instance.iterdir() if path.is_file()]
    assert not any(key.encode() in path.read_bytes() for path in files)


@pytest.mark.parametrize("name", ["", "MPI01", "-x", "a b", "a_b", "x" * 64, "één", "a\n"])
def test_it_refuses_a_name_that_is_none(mailcote: Mailcote, name: str) -> None:
    assert mailcote.refused("node", "add", "--", name).startswith("A node's name has")


def test_it_refuses_a_name_that_is_taken(mailcote: Mailcote) -> None:
    mailcote.done("node", "add", "mpi01")
    assert mailcote.refused("node", "add", "mpi01") == "There already is a node mpi01."


@pytest.mark.parametrize("network", ["", "mpi01.example.nl", "192.0.2.7/24", "1.2.3", "fe80::1%a"])
def test_it_refuses_what_is_no_address(mailcote: Mailcote, network: str) -> None:
    assert mailcote.refused("node", "add", "mpi01", "--ip", network)
