"""`mailcote token add`: what it prints works on the API, as far as it was meant to."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from app.credentials import TOKEN, is_well_formed
from tests.conftest import Cast

from .mailcote import Mailcote


def status(app: Flask, token: str, endpoint: str, project: int = 1) -> int:
    return (
        app.test_client()
        .post(
            f"/iapi/project/{project}/email_account/{endpoint}",
            json={"domain": "parked.nl"} if endpoint.endswith("-email") else {},
            headers={"Authorization": f"Bearer {token}"},
        )
        .status_code
    )


def test_a_projects_token_works_in_that_project_only(
    mailcote: Mailcote, app: Flask, cast: Cast
) -> None:
    said = mailcote.done("token", "add", "--project", "1")
    token = said.last_line
    assert is_well_formed(token, TOKEN)
    assert said.out == f"{token}\n"
    assert status(app, token, "enable-email") == 200
    assert status(app, token, "list-domains", project=2) == 404
    assert status(app, token, "list-nodes") == 403


def test_an_admins_token_works_everywhere(mailcote: Mailcote, app: Flask, cast: Cast) -> None:
    token = mailcote.done("token", "add", "--admin").last_line
    assert status(app, token, "list-nodes") == 200
    assert status(app, token, "list-domains", project=2) == 200


def test_a_token_to_read_changes_nothing(mailcote: Mailcote, app: Flask, cast: Cast) -> None:
    token = mailcote.done("token", "add", "--project", "1", "--scope", "read").last_line
    assert status(app, token, "list-domains") == 200
    assert status(app, token, "enable-email") == 403


def test_it_ends_after_so_many_days(mailcote: Mailcote, app: Flask, cast: Cast) -> None:
    token = mailcote.done("token", "add", "--project", "1", "--expires", "30").last_line
    assert status(app, token, "list-domains") == 200
    with closing(sqlite3.connect(mailcote.settings.instance / "panel.db")) as database:
        expires_at, hint = database.execute(
            "SELECT expires_at, hint FROM tokens WHERE expires_at IS NOT NULL"
        ).fetchone()
        in_30_days = datetime.now(UTC) + timedelta(days=30)
        assert abs(datetime.fromisoformat(expires_at) - in_30_days) < timedelta(hours=1)
        assert token.startswith(hint)
        database.execute("UPDATE tokens SET expires_at = '2020-01-01T00:00:00Z'")
        database.commit()
    assert status(app, token, "list-domains") == 401


def test_the_token_itself_is_not_stored(mailcote: Mailcote) -> None:
    token = mailcote.done("token", "add", "--admin").last_line
    files = [path for path in mailcote.settings.instance.iterdir() if path.is_file()]
    assert not any(token.encode() in path.read_bytes() for path in files)


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--admin", "--project", "1"),
        ("--admin", "--scope", "all"),
        ("--admin", "--scope", ""),
        ("--admin", "--expires", "0"),
        ("--admin", "--expires", "-1"),
        ("--admin", "--expires", "3651"),
        ("--admin", "--expires", "1.5"),
        ("--admin", "--expires", "soon"),
        ("--project", "one"),
        ("--admin", "--nonsense"),
    ],
)
def test_it_says_how_it_is_used(mailcote: Mailcote, options: tuple[str, ...]) -> None:
    assert mailcote.used_wrongly("token", "add", *options).startswith("Error: ")


@pytest.mark.parametrize("project", ["1", "0", "-1", "2147483648", "99999999999999999999"])
def test_it_refuses_a_project_that_is_not_there(mailcote: Mailcote, project: str) -> None:
    assert mailcote.refused("token", "add", "--project", project)


def test_it_refuses_a_name_that_is_none(mailcote: Mailcote) -> None:
    assert "A name has" in mailcote.refused("token", "add", "--admin", "--name", " x ")
