"""Asking for what is newer than what one has: ordinary HTTP, so that curl can do it too."""

from __future__ import annotations

import pytest

from tests.conftest import Api
from tests.sync.node import Node, checked, fill

OTHER_EPOCH = "00000000-0000-4000-8000-000000000000"


def test_it_works(api: Api, node: Node) -> None:
    tag = node.ask().headers["ETag"]
    same = node.ask(If_None_Match=tag)
    assert same.status_code == 304
    assert same.data == b""
    assert same.headers["ETag"] == tag
    assert same.headers["Cache-Control"] == "private, no-store"
    assert same.headers["Vary"] == "Authorization"
    assert "Content-Encoding" not in node.ask(If_None_Match=tag, Accept_Encoding="gzip").headers
    fill(api, "info")
    newer = node.ask(If_None_Match=tag)
    assert checked(newer)["counts"]["users"] == 1
    assert newer.headers["ETag"] != tag


@pytest.mark.parametrize("form", ["W/{}", '"x", {}', '{}, "x"', 'W/"x" , W/{}', "*", " {} "])
def test_other_ways_to_name_it_are_a_304_too(node: Node, form: str) -> None:
    tag = node.ask().headers["ETag"]
    answer = node.ask(If_None_Match=form.format(tag))
    assert answer.status_code == 304
    assert answer.headers["ETag"] == tag


def test_every_other_tag_gets_the_whole(api: Api, node: Node) -> None:
    fill(api, "info")
    document = node.fetch()
    epoch, revision = document["epoch"], document["revision"]
    for tag in (
        f'"{epoch}-{revision - 1}-mpi01"',  # older
        f'"{epoch}-{revision + 1}-mpi01"',  # has not been
        f'"{epoch}-{revision}-mpi02"',  # another node's
        f'"{epoch}-{revision}-MPI01"',
        f'"{OTHER_EPOCH}-{revision}-mpi01"',  # before a backup was restored
        f'"{epoch}-{revision}"',
        f'"{epoch}-0{revision}-mpi01"',
        f'"{epoch}-{revision}-mpi01 "',
        f"{epoch}-{revision}-mpi01x",
        f'"{epoch}-{"9" * 400}-mpi01"',
        '""',
        '"',
        "",
        ",,,",
        "nonsense",
        "é",
        '"' + "x" * 7000 + '"',
    ):
        assert checked(node.ask(If_None_Match=tag)) == document, tag


def test_a_date_is_no_reason_for_a_304(api: Api, node: Node) -> None:
    answer = node.ask(If_Modified_Since="Fri, 01 Jan 2999 00:00:00 GMT")
    checked(answer)
    assert "Last-Modified" not in answer.headers


def test_a_range_is_not_cut_out(api: Api, node: Node) -> None:
    checked(node.ask(Range="bytes=0-10"))


def test_anothers_304_is_not_to_be_had_with_a_wrong_key(api: Api, node: Node) -> None:
    tag = node.ask().headers["ETag"]
    stranger = Node(api.client, "mck_" + "x" * 38)
    assert stranger.ask(If_None_Match=tag).status_code == 401
