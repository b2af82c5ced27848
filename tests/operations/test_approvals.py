"""approve-call and refuse-call among themselves, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from threading import Barrier, Thread
from typing import Any

import pytest
from flask import Flask

from app import clock
from app.caller import Caller, caller_of_assistant, command_line
from app.database import write_transaction
from app.errors import Conflict, Forbidden
from app.extensions import db
from app.models import Assistant, HeldCall, Mailbox, OAuthClient
from app.operations.approvals import approve_call, forget_old_calls, refuse_call, update_approval
from app.operations.held import Held
from app.operations.mailboxes import add_user, remove_user, update_password, update_user
from app.operations.panel import add_person
from tests.conftest import PASSWORD, Cast
from tests.operations import ledger

EMAIL = "info@example.nl"


@pytest.fixture
def anna(core: Cast) -> Caller:
    """A person of project 1, whose assistants have to ask; there is a mailbox."""
    person = add_person(
        command_line(), email="anna@people.example", password=PASSWORD, projects=[1]
    ).person
    caller = Caller(
        actor="person anna@people.example",
        projects=frozenset({1}),
        project_id=1,
        person_id=person.id,
    )
    update_approval(caller, needs_approval=True)
    add_user(core.alice, email=EMAIL, password=PASSWORD)
    return caller


def ask(core: Cast, operation: Any = remove_user, **values: Any) -> int:
    """The id of a call that an assistant made, and that is held."""
    held = operation(replace(core.alice, is_assistant=True), email=EMAIL, **values)
    assert isinstance(held, Held)
    return held.call.id


def test_it_works(core: Cast, anna: Caller) -> None:
    with ledger.recorded(revisions=0, entries=0):
        call_id = ask(core, hard_delete=True)
    with ledger.recorded():
        done = approve_call(anna, call_id)
    assert (done.call.state, done.link) == ("approved", None)
    assert ledger.exported_users() == {}
    entry = ledger.entries()[-1]
    assert (entry.actor, entry.approved_by) == ("token 1 (alice)", anna.actor)
    assert entry.action == "remove-user"


def test_refusing_leaves_all_as_it_was(core: Cast, anna: Caller) -> None:
    call_id = ask(core)
    with ledger.recorded(revisions=0):
        refuse_call(anna, call_id=call_id)
    assert EMAIL in ledger.exported_users()
    with ledger.refused("CALL_DECIDED"):
        approve_call(anna, call_id)


@pytest.mark.parametrize("other", [approve_call, lambda who, call: refuse_call(who, call_id=call)])
def test_of_two_who_decide_at_once_one_is_in_time(
    core: Cast, anna: Caller, app: Flask, other: Callable[[Caller, int], object]
) -> None:
    call_id = ask(core, hard_delete=True)
    together, decided = Barrier(2), []

    def decide(verdict: Callable[[Caller, int], object]) -> None:
        with app.app_context(), suppress(Conflict):
            together.wait()
            verdict(anna, call_id)
            decided.append(verdict)

    threads = [Thread(target=decide, args=(verdict,)) for verdict in (approve_call, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(decided) == 1
    db.session.rollback()
    gone = db.session.scalars(db.select(Mailbox)).all() == []
    assert gone == (decided[0] is approve_call)
    assert [one.action for one in ledger.entries()].count("remove-user") == gone


def test_who_lost_the_project_decides_nothing(core: Cast, anna: Caller) -> None:
    call_id = ask(core)
    with write_transaction() as session:
        session.execute(db.text("DELETE FROM memberships"))
    with ledger.refused("PROJECT_NOT_FOUND"):
        approve_call(anna, call_id)
    with ledger.refused("PROJECT_NOT_FOUND"):
        refuse_call(anna, call_id=call_id)


def test_programs_decide_nothing(core: Cast, anna: Caller) -> None:
    call_id = ask(core)
    for caller in (core.alice, core.root, command_line().in_project(1)):
        with ledger.refused("FORBIDDEN"):
            approve_call(caller, call_id)
        with ledger.refused("FORBIDDEN"):
            refuse_call(caller, call_id=call_id)
        with ledger.refused("FORBIDDEN"):
            update_approval(caller, needs_approval=False)


def test_it_hides_from_strangers(core: Cast, anna: Caller) -> None:
    call_id = ask(core)
    boris = add_person(
        command_line(), email="boris@people.example", password=PASSWORD, projects=[2]
    ).person
    stranger = replace(anna, projects=frozenset({2}), project_id=2, person_id=boris.id)
    with ledger.refused("CALL_NOT_FOUND"):
        approve_call(stranger, call_id)
    with ledger.refused("CALL_NOT_FOUND"):
        refuse_call(stranger, call_id=call_id)


def test_old_ones_are_forgotten_and_their_hashes_before(core: Cast, anna: Caller) -> None:
    ask(core, update_password, password="another horse battery")
    for days, kept, hashed in ((0, 1, True), (3, 1, False), (31, 0, False)):
        with write_transaction() as session:
            session.execute(db.update(HeldCall).values(created_at=clock.from_now(days=-days)))
        forget_old_calls()
        calls = db.session.scalars(db.select(HeldCall)).all()
        assert len(calls) == kept
        assert any(call.password_hash for call in calls) is hashed
        db.session.rollback()


def test_an_assistant_that_a_person_let_in_has_to_ask_as_well(core: Cast, anna: Caller) -> None:
    through = let_in(anna)
    call = remove_user(through, email=EMAIL)
    assert isinstance(call, Held)
    again = remove_user(through, email=EMAIL)
    assert isinstance(again, Held) and again.call.id == call.call.id
    assert approve_call(anna, call.call.id).call.state == "approved"
    entry = ledger.entries()[-1]
    assert (entry.actor, entry.approved_by) == (
        "person anna@people.example through Helper",
        anna.actor,
    )
    with pytest.raises(Forbidden):
        approve_call(through, call.call.id)


def test_what_an_assistant_asked_for_ends_with_it(core: Cast, anna: Caller) -> None:
    through = let_in(anna)
    call = remove_user(through, email=EMAIL)
    assert isinstance(call, Held)
    with write_transaction() as session:
        assert through.assistant_id
        session.get_one(Assistant, through.assistant_id).revoked_at = clock.now()
    done = approve_call(anna, call.call.id).call
    assert done.state == "failed" and "no longer connected" in (done.problem or "")
    assert EMAIL in ledger.exported_users()


def let_in(person: Caller) -> Caller:
    """The person, through an assistant that they let into their project."""
    with write_transaction() as session:
        client = OAuthClient(client_id="wpc_x", name="Helper", redirect_uris="")
        session.add(client)
        session.flush()
        assistant = Assistant(
            client_id=client.id,
            person_id=person.person_id,
            project_id=1,
            scope="write",
            resource="",
        )
        session.add(assistant)
        session.flush()
        known = assistant.id
    caller = caller_of_assistant(known, "::1").in_project(1)
    return replace(caller, is_assistant=True)


@pytest.mark.parametrize("switch", ["can_login", "can_receive"])
def test_turning_a_mailbox_off_takes_something_away(core: Cast, anna: Caller, switch: str) -> None:
    through = let_in(anna)
    assert isinstance(update_user(through, email=EMAIL, **{switch: False}), Held)
    assert not isinstance(update_user(through, email=EMAIL, **{switch: True}), Held)
