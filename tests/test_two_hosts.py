"""Two panels as on two hosts: one PostgreSQL and one secret key, and nothing else in common."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
from flask import Flask

from app import create_app
from app.config import Settings
from app.extensions import db
from app.housekeeping import tidy_up
from app.models import AuditEntry
from tests.applications import let_go
from tests.conftest import (
    JUST_MIGRATED,
    PASSWORD,
    Api,
    Cast,
    cheap_settings,
    fill,
    needs_postgres,
)
from tests.databases import postgres_database
from tests.operations import ledger
from tests.web.conftest import Browser, peopled_panel

__all__ = ["peopled_panel"]
pytestmark = [pytest.mark.real, needs_postgres]
ALICE = "alice@people.example"
LIMIT = 4


@pytest.fixture
def settings(postgres_url: str, tmp_path: Path) -> Iterator[Settings]:
    """Of the first host; few attempts are allowed."""
    with postgres_database(postgres_url, like=JUST_MIGRATED) as url:
        yield replace(
            cheap_settings(tmp_path, url),
            rate_sign_ins=LIMIT,
            rate_writes=LIMIT,
            rate_wrong_credentials=LIMIT,
        )


@pytest.fixture
def hosts(
    settings: Settings, peopled_panel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Flask]]:
    """The panel on both, with its people."""
    elsewhere = replace(settings, instance=tmp_path_factory.mktemp("other"))
    apps = [create_app(settings), create_app(elsewhere)]
    fill(apps[0], peopled_panel)
    yield apps
    for app in apps:
        let_go(app)


def at(app: Flask, browser: Browser) -> Browser:
    """The same browser, sent to another host by what is in front of both."""
    other = Browser(app, app.test_client(), browser.csrf_token, browser.project)
    other.client._cookies = browser.client._cookies
    return other


def test_a_session_is_one_at_both(hosts: list[Flask]) -> None:
    here = Browser(hosts[0], hosts[0].test_client())
    assert here.sign_in(ALICE).status_code == 200
    there = at(hosts[1], here)
    assert there.get("/mailboxes").status_code == 200
    fields = {"local_part": "info", "domain": "example.nl", "password": PASSWORD, "quota_mb": "5"}
    there.get("/mailboxes/new")
    assert there.post("/mailboxes/new", **fields).status_code == 200
    assert "info@example.nl" in here.get("/mailboxes").text
    kept = at(hosts[0], here)
    assert there.post("/sign-out").status_code == 303
    assert kept.get("/mailboxes").status_code == 303


def test_with_another_key_it_is_none(hosts: list[Flask], settings: Settings) -> None:
    here = Browser(hosts[0], hosts[0].test_client())
    here.sign_in(ALICE)
    stranger = create_app(replace(settings, secret_key="y" * 32))
    there = at(stranger, here)
    assert there.get("/mailboxes").status_code == 303
    assert there.get("/sign-in").status_code == 200
    let_go(stranger)


def test_attempts_count_at_both(hosts: list[Flask]) -> None:
    """Those at an account, those from an address, and changes by a token."""
    browsers = [Browser(app, app.test_client()) for app in hosts]
    codes = []
    for number in range(LIMIT + 3):
        browser = browsers[number % 2]
        browser.get("/sign-in")
        codes.append(browser.post("/sign-in", email=ALICE, password="wrong one").status_code)
    assert codes == [422] * (LIMIT + 1) + [429] * 2  # the last one is its owner's
    browsers[1].get("/sign-in")
    wrong = {"Authorization": "Bearer wpa_wrong"}
    url = "/iapi/project/1/integrations"
    codes = [
        hosts[number % 2].test_client().get(url, headers=wrong).status_code
        for number in range(LIMIT + 2)
    ]
    assert codes == [401] * LIMIT + [429] * 2


def test_changes_by_a_token_count_at_both(
    hosts: list[Flask], staged_panel: tuple[Path, Cast]
) -> None:
    apis = [Api(app.test_client(), staged_panel[1]) for app in hosts]
    codes = [
        apis[number % 2]("enable-email", domain="parked.nl").status_code
        for number in range(LIMIT + 2)
    ]
    assert codes == [200] * LIMIT + [429] * 2


def test_what_is_due_is_done_once(hosts: list[Flask], staged_panel: tuple[Path, Cast]) -> None:
    api = Api(hosts[0].test_client(), staged_panel[1])
    api("add-user", email="gone@example.nl", password=PASSWORD)
    api("remove-user", email="gone@example.nl")
    with hosts[0].app_context():
        ledger.let_grace_periods_end()
        before = ledger.revision()
    together = Barrier(len(hosts))

    def tidy(app: Flask) -> None:
        with app.app_context():
            together.wait()
            tidy_up()

    with ThreadPoolExecutor(len(hosts)) as threads:
        list(threads.map(tidy, hosts))
    with hosts[1].app_context():
        assert ledger.revision() == before + 1
        assert list(ledger.orders().values()) == [True]
        query = db.select(AuditEntry.revision).where(AuditEntry.action == "purge")
        assert before + 1 in db.session.scalars(query).all()
