"""What a running panel does by itself: it lets go of mailboxes whose time has come."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import update

from app.caller import command_line
from app.extensions import db
from app.housekeeping import each_minute, look_at_domains, tidy_up
from app.models import AuditEntry, Bucket, Call, Feed, Mailbox, PurgeOrder
from app.operations import OPERATIONS
from tests.applications import at_once
from tests.conftest import ON_BOTH, PASSWORD, Api, Cast


@pytest.fixture(params=ON_BOTH)
def database(request: pytest.FixtureRequest) -> str:
    """SQLite, then PostgreSQL."""
    return str(request.param)


def remove_mailboxes(count: int, *, purge_at: str) -> None:
    """Mailboxes that are removed, to be purged at that moment."""
    caller = command_line().in_project(1)
    for number in range(count):
        email = f"box{number}@example.nl"
        OPERATIONS["add-user"](caller, email=email, password=PASSWORD)
        OPERATIONS["remove-user"](caller, email=email)
    db.session.execute(update(Mailbox).values(purge_at=purge_at))
    db.session.commit()


def counts() -> tuple[int, int, int]:
    """How many mailboxes, released purge orders and entries of purges there are."""
    db.session.rollback()
    mailboxes = db.select(db.func.count()).select_from(Mailbox)
    orders = db.select(db.func.count()).select_from(PurgeOrder).where(PurgeOrder.is_released)
    entries = db.select(db.func.count()).where(AuditEntry.action == "purge")
    a, b, c = (db.session.scalar(query) or 0 for query in (mailboxes, orders, entries))
    return a, b, c


def test_it_lets_go_of_a_mailbox_past_its_date(core: Cast) -> None:
    remove_mailboxes(1, purge_at="2020-01-01T00:00:00Z")
    before = db.session.scalars(db.select(Feed.revision)).one()
    tidy_up()
    assert counts() == (0, 1, 1)
    assert db.session.scalars(db.select(Feed.revision)).one() == before + 1
    actor = db.session.scalar(db.select(AuditEntry.actor).where(AuditEntry.action == "purge"))
    assert actor == "housekeeping"


@pytest.mark.parametrize("work", [each_minute, look_at_domains])
def test_its_thread_outlives_its_work(
    work: Callable[[Flask], None], app: Flask, cast: Cast, caplog: pytest.LogCaptureFixture
) -> None:
    # As a thread of the server does it: there is no application at hand but the one it is given.
    with caplog.at_level(logging.WARNING), ThreadPoolExecutor(1) as pool:
        pool.submit(work, app).result()
    assert not caplog.records


def test_it_writes_what_was_called(api: Api) -> None:
    app = api.client.application
    for _ in range(3):
        path = "/iapi/project/1/email_account/list-users"
        assert api.client.get(path, headers=api.as_("alice")).status_code == 200
    each_minute(app)
    with app.app_context():
        assert sum(db.session.scalars(db.select(Call.count))) == 3


def test_it_leaves_one_alone_whose_date_has_not_come(core: Cast) -> None:
    remove_mailboxes(1, purge_at="2999-01-01T00:00:00Z")
    tidy_up()
    assert counts() == (1, 0, 0)


def test_it_does_nothing_where_there_is_nothing_to_do(core: Cast) -> None:
    tidy_up()
    tidy_up()
    assert counts() == (0, 0, 0)


def test_two_at_once_do_no_harm(core: Cast, app: Flask) -> None:
    for _ in range(5):
        remove_mailboxes(4, purge_at="2020-01-01T00:00:00Z")
        at_once(app, tidy_up, 2)
        assert counts()[0] == 0
    assert counts()[1] == 20


def test_it_forgets_rate_limits_that_are_over(core: Cast) -> None:
    db.session.add(Bucket(key="wrong:192.0.2.1", tokens=1.0, filled_at=1.0))
    db.session.commit()
    tidy_up()
    assert db.session.scalar(db.select(db.func.count()).select_from(Bucket)) == 0
