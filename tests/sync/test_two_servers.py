"""Two servers, as on two hosts, on one PostgreSQL: a change through one is told by the other.

`mailcote serve` each, with nothing in common but the database and the secret key.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import psycopg
import pytest
from flask import Flask

from app.config import Settings
from app.sync import hearing
from tests.conftest import PASSWORD, Cast, cast, needs_postgres, settings
from tests.databases import libpq
from tests.processes import eventually, free_port, is_listening, process

__all__ = ["cast", "settings"]  # on an empty panel rather than on a copy
pytestmark = [pytest.mark.real, needs_postgres]
ADD = "/iapi/project/1/email_account/add-user"
SERVERS = 2


@pytest.fixture
def database() -> str:
    """Several hosts need a database that is on none of them alone."""
    return "postgresql"


@pytest.fixture
def ports(
    app: Flask, cast: Cast, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[int]]:
    """Where two servers of the panel listen, each with an instance folder of its own."""
    found = [free_port() for _ in range(SERVERS)]
    with ExitStack() as running:
        for port in found:
            environment = {
                **os.environ,
                "MAILCOTE_DATABASE_URL": settings.database_url,
                "MAILCOTE_INSTANCE": str(tmp_path_factory.mktemp("host")),
                "MAILCOTE_SECRET_KEY": settings.secret_key,
                "MAILCOTE_MAILBOX_BCRYPT_COST": "4",
                "MAILCOTE_WORKERS": "1",
            }
            serve = [sys.executable, "-m", "app.cli", "serve", "--port", str(port)]
            running.enter_context(process(serve, environment))
        for port in found:
            eventually(lambda port=port: is_listening(port))  # type: ignore[misc]
        yield found


def test_a_change_through_one_wakes_who_waits_at_the_other(
    ports: list[int], cast: Cast, settings: Settings
) -> None:
    here, there = ports
    tag = _ask(here, cast.sync_key)[1]
    with ThreadPoolExecutor(SERVERS) as threads:
        asked = [threads.submit(_ask, port, cast.sync_key, tag) for port in ports]
        eventually(lambda: _listening(settings) == SERVERS)
        assert not any(one.done() for one in asked)
        _add(here, cast, "info@example.nl")
        answers = [one.result() for one in asked]
        assert [told(answer) for answer in answers] == [["info@example.nl"]] * SERVERS
        assert answers[0][1] == answers[1][1], "both tell the same revision"
        again = threads.submit(_ask, here, cast.sync_key, answers[0][1])
        _add(there, cast, "sales@example.nl")
        assert told(again.result()) == ["info@example.nl", "sales@example.nl"]


Answer = tuple[int, str, bytes]


def _ask(port: int, key: str, tag: str = "") -> Answer:
    """Ask for the export; with a tag, wait for something else."""
    headers = {"Authorization": f"Bearer {key}"} | ({"If-None-Match": tag} if tag else {})
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("GET", f"/sync/v1/export?wait={55 if tag else 0}", headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers["ETag"], answer.read()


def told(answer: Answer) -> list[str]:
    """The addresses in an answer, sorted."""
    status, _, body = answer
    assert status == 200
    return sorted(user["email"] for user in json.loads(body)["users"])


def _add(port: int, cast: Cast, email: str) -> None:
    headers = {
        "Authorization": f"Bearer {cast.tokens['alice']}",
        "Content-Type": "application/json",
    }
    body = json.dumps({"email": email, "password": PASSWORD})
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("POST", ADD, body, headers)
        assert connection.getresponse().status == 201


def _listening(settings: Settings) -> int:
    """How many processes have PostgreSQL tell them of changes."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
    with psycopg.connect(libpq(settings.database_url)) as connection:
        return int(connection.execute(query, [hearing.NAME]).fetchone()[0])  # type: ignore[index]
