"""end-other-sessions."""

from __future__ import annotations

import pytest

from app import sessions
from app.caller import Caller, command_line
from app.errors import Forbidden
from app.extensions import db
from app.models import Person
from app.operations import OPERATIONS
from app.operations.access import end_other_sessions
from tests.conftest import PASSWORD, Cast


def signed_in(email: str) -> Person:
    """Somebody with two sessions."""
    OPERATIONS["add-person"](command_line(), email=email, password=PASSWORD)
    person: Person = db.session.scalars(db.select(Person).where(Person.email == email)).one()
    for _ in range(2):
        sessions.begin_for(person, address="192.0.2.1", user_agent="")
    return person


def test_it_works(core: Cast) -> None:
    alice, bob = signed_in("alice@people.example"), signed_in("bob@people.example")
    caller = Caller(actor="person alice@people.example", person_id=alice.id)
    keep = sessions.of_person(alice.id)[0].id
    end_other_sessions(caller, keep=keep)
    assert [one.id for one in sessions.of_person(alice.id)] == [keep]
    assert len(sessions.of_person(bob.id)) == 2


def test_it_is_for_who_is_signed_in(core: Cast) -> None:
    with pytest.raises(Forbidden):
        end_other_sessions(core.alice, keep=1)
