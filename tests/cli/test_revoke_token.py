"""`mailcote token list` and `mailcote token revoke`: the operator can end what anybody made."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.conftest import Cast

from .mailcote import Mailcote
from .test_add_token import status


def id_of(mailcote: Mailcote, name: str) -> str:
    [line] = [line for line in mailcote.done("token", "list").out.splitlines() if name in line]
    return line.split()[0]


@pytest.mark.parametrize("options", [("--admin",), ("--project", "1")])
def test_it_works(mailcote: Mailcote, app: Flask, cast: Cast, options: tuple[str, ...]) -> None:
    token = mailcote.done("token", "add", *options, "--name", "old script").last_line
    assert status(app, token, "list-domains") == 200
    mailcote.done("token", "revoke", id_of(mailcote, "old script"))
    assert status(app, token, "list-domains") == 401
    assert status(app, cast.tokens["alice"], "list-domains") == 200
    *_, last = mailcote.done("token", "list").out.splitlines()
    assert "old script" in last
    assert "revoked" in last


def test_the_list_shows_no_token(mailcote: Mailcote, cast: Cast) -> None:
    listed = mailcote.done("token", "list").out
    assert len(listed.splitlines()) == len(cast.tokens)
    assert not any(token in listed for token in cast.tokens.values())


def test_it_rejects_one_that_is_not_there(mailcote: Mailcote) -> None:
    for token_id in ("99", "0", "x", str(2**63)):
        said = mailcote("token", "revoke", token_id)
        assert said.code in (1, 2)
        assert said.err
