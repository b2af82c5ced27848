"""The API beside its own description, by Schemathesis: examples, boundary values and random ones.

Every check is on. One is told more than it knows by itself: JSON Schema cannot say that a password
is not a common one, or that a domain name has an encoding in IDNA. For input that fits the schema
a 422 is therefore accepted (it is a documented answer), but only when it names one of the fields
in NARROWER; for all others what the schema allows has to be accepted.

More examples: MAILCOTE_TEST_EXAMPLES=300 MAILCOTE_TEST_SEED=2 pytest tests/api/test_schemathesis.py
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from flask import Flask
from schemathesis.config import SchemathesisConfig

from app import create_app, openapi
from app.extensions import db
from app.operations import OFFERED
from app.operations.mailboxes import add_user
from tests.conftest import Api, Cast, cheap_settings

pytest_plugins = ["schemathesis.pytest.plugin"]  # makes a test of each operation

EXAMPLES = int(os.environ.get("MAILCOTE_TEST_EXAMPLES", "8"))
SEED = int(os.environ.get("MAILCOTE_TEST_SEED", "1"))
NARROWER = {"domain", "host", "email", "password", "cursor", "ip_address"}


class OnStage:
    """The panel of the running test, for a schema that is made before there is one."""

    app: Flask

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return self.app(environ, start_response)


def described(*, coverage: bool) -> Any:
    """The schema, as /iapi/openapi.json tells it; with or without the boundary values."""
    config = SchemathesisConfig.from_dict(
        {
            "seed": SEED,
            "parameters": {"path.project_id": 1},
            "generation": {"max-examples": EXAMPLES, "database": "none"},
            "phases": {"coverage": {"enabled": coverage}},
            "checks": {
                "positive_data_acceptance": {
                    "expected-statuses": ["2xx", "401", "403", "404", "409", "422"]
                }
            },
        }
    )
    schema = schemathesis.openapi.from_dict(openapi.document(OFFERED, "1"), config=config)
    schema.app = ON_STAGE
    return schema


ON_STAGE = OnStage()
FOR_ADMINS = described(coverage=True)
FOR_CUSTOMERS = described(coverage=EXAMPLES > 100)


@pytest.fixture(scope="module")
def fuzzed(
    staged_panel: tuple[Path, Cast], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    """A panel with a mailbox, for all that comes."""
    folder = tmp_path_factory.mktemp("fuzzed")
    shutil.copy(staged_panel[0], folder / "panel.db")
    app, cast = create_app(cheap_settings(folder)), deepcopy(staged_panel[1])
    with app.app_context():
        add_user(cast.alice, email="info@example.nl", password="correct horse battery")
    ON_STAGE.app = app
    yield Api(app.test_client(), cast)
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def refusals_name_what_schemas_cannot_say(_context: Any, response: Any, case: Any) -> None:
    """Input that fits the schema is refused for the rules behind it, and for nothing else."""
    if response.status_code == 422 and case.meta.generation.mode.is_positive:
        assert response.json()["error"]["field"] in NARROWER


@FOR_ADMINS.parametrize()  # type: ignore[untyped-decorator]
def test_it_works(case: Any, fuzzed: Api) -> None:
    _call(case, fuzzed, "root")


@FOR_CUSTOMERS.parametrize()  # type: ignore[untyped-decorator]
def test_it_works_for_customers(case: Any, fuzzed: Api) -> None:
    _call(case, fuzzed, "alice")


def _call(case: Any, fuzzed: Api, who: str) -> None:
    case.call_and_validate(
        headers=fuzzed.as_(who), additional_checks=[refusals_name_what_schemas_cannot_say]
    )
