"""Rate limits: those of the JSON API and counted with it, in words an assistant can follow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from app import create_app
from app.config import Settings
from app.credentials import TOKEN, make
from app.extensions import db
from tests.api.answers import assert_failure, unchanged
from tests.conftest import PASSWORD, Api, Cast
from tests.mcp.client import URL, Assistant, done, refused


@pytest.fixture
def strict(cast: Cast, settings: Settings) -> Iterator[Assistant]:
    """Five wrong credentials and five changes a minute."""
    app = create_app(replace(settings, rate_wrong_credentials=5, rate_writes=5))
    yield Assistant(app.test_client(), cast)
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def test_it_works(strict: Assistant) -> None:
    for number in range(5):
        done(strict("add-user", email=f"user{number}@example.nl", password=PASSWORD))
    with unchanged(strict.client.application):
        error = refused(
            strict("add-user", email="user5@example.nl", password=PASSWORD), "RATE_LIMITED"
        )
    assert error["recovery"] == "Try again in 12 seconds."


def test_changes_by_json_count_too(strict: Assistant) -> None:
    api = Api(strict.client, strict.cast)
    for number in range(5):
        api("add-user", email=f"user{number}@example.nl", password=PASSWORD)
    refused(strict("remove-user", email="user0@example.nl"), "RATE_LIMITED")


def test_refused_changes_count_too(strict: Assistant) -> None:
    for _ in range(5):
        refused(strict("add-user", email="x"), "INVALID_INPUT", "email")
    refused(strict("enable-email", domain="example.nl"), "RATE_LIMITED")


def test_reads_and_other_tokens_are_not_limited(strict: Assistant) -> None:
    for _ in range(6):
        last = strict("enable-email", domain="example.nl")
    refused(last, "RATE_LIMITED")
    done(strict("list-users"))
    strict.result("tools/list")
    done(strict("enable-email", "charlie", domain="charlie.nl"))


def test_wrong_credentials_count_with_those_of_json(strict: Assistant) -> None:
    wrong = {"Authorization": f"Bearer {make(TOKEN)}"}
    for _ in range(3):
        assert_failure(strict.client.post(URL, headers=wrong), 401, "UNAUTHORIZED")
    for _ in range(2):
        strict.client.get("/iapi/project/1/integrations", headers=wrong)
    assert_failure(strict.client.post("/mcp", headers=wrong), 429, "RATE_LIMITED")
    done(strict("list-users"))
