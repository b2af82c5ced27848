"""No story ends badly, and a story is found for each mistake that is made on purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app import caller
from app.extensions import db
from app.models import Feed
from app.operations import OPERATIONS
from app.operations.results import Changed
from tests.operations.conftest import Stage
from tests.operations.story import tell

STEPS = 30


@pytest.fixture
def stage(database: str, stage_on: Callable[[str], Stage]) -> Stage:
    """The panel that every story begins with."""
    return stage_on(database)


@pytest.mark.parametrize("stories", [5, pytest.param(150, marks=pytest.mark.long)])
def test_it_works(stage: Stage, database: str, stories: int) -> None:
    tell(stage, stories if database == "sqlite" else stories // 2, STEPS)


def forget_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """A domain goes while it has mailboxes: rows of nobody."""
    monkeypatch.setattr("app.operations.domains.refuse_while_in_use", lambda _domain: None)


def forget_the_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes are never told."""

    def present(session: Session) -> int:
        found: int = session.scalars(db.select(Feed.revision)).one()
        return found

    monkeypatch.setattr("app.operations.operation.raise_revision", present)


def forget_whose_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A domain is looked up by its name alone."""
    monkeypatch.setattr(caller, "_DOMAIN_OF_PROJECT", caller._DOMAIN)


def forget_what_was_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who gets a domain finds the removed mailboxes of who had it."""
    monkeypatch.setattr("app.operations.domains._order_purges", lambda _domain: None)


def forget_to_remove(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said to be removed, and goes on to be exported."""

    def removed(who: caller.Caller, *, email: Any, **_values: Any) -> Changed:
        return Changed(who.mailbox(email))

    monkeypatch.setattr(OPERATIONS["remove-user"], "function", removed)


def tell_a_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer holds what nobody is to see."""
    answer = Changed.to_answer

    def with_hash(self: Changed) -> Any:
        return {**answer(self), "password": self.mailbox.password_hash}

    monkeypatch.setattr(Changed, "to_answer", with_hash)


@pytest.mark.parametrize("database", ["sqlite"])
@pytest.mark.parametrize(
    "mistake",
    [
        forget_the_revision,
        forget_whose_it_is,
        forget_to_remove,
        # by longer stories
        *(
            pytest.param(mistake, marks=pytest.mark.long)
            for mistake in (forget_to_refuse, forget_what_was_removed, tell_a_hash)
        ),
    ],
)
def test_a_mistake_is_found(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, mistake: Callable[[pytest.MonkeyPatch], None]
) -> None:
    mistake(monkeypatch)
    with pytest.raises((AssertionError, IntegrityError)):  # the tables' own rules find some
        tell(stage, 40, STEPS, phases=[Phase.generate])
