"""disconnect-assistant."""

from __future__ import annotations

from app.caller import command_line
from app.operations import OPERATIONS
from app.operations.assistants import connect_assistant, disconnect_assistant
from tests.conftest import Cast
from tests.operations import ledger
from tests.operations.letting_in import assistants, caller_named, registered, request


def test_it_works(core: Cast) -> None:
    alice, client = caller_named("alice", projects=[1]), registered()
    for _ in range(2):
        connect_assistant(alice, **request(client, project_id=1))
    first, second = (one.id for one in assistants())
    assert disconnect_assistant(alice, assistant_id=first).name == "Helper"
    ended = assistants()[0].revoked_at
    assert ended
    assert disconnect_assistant(alice, assistant_id=first).name == "Helper"
    assert [one.revoked_at for one in assistants()] == [ended, None]
    assert second > first


def test_it_hides_from_strangers(core: Cast) -> None:
    alice, client = caller_named("alice", projects=[1]), registered()
    connect_assistant(alice, **request(client, project_id=1))
    (made,) = assistants()
    root = caller_named("root", is_admin=True)
    for other in (caller_named("bob", projects=[1]), root, core.alice, command_line()):
        for number in (made.id, 99):
            with ledger.refused("ASSISTANT_NOT_FOUND"):
                disconnect_assistant(other, assistant_id=number)


def test_it_ends_with_what_its_person_may(core: Cast) -> None:
    """Out of a project, or disabled: what they let in does not come back with them."""
    client, run = registered(), OPERATIONS["update-person"]
    caller_named("root", is_admin=True)  # one always has to be there
    for name in ("alice", "bob"):
        caller = caller_named(name, projects=[1, 2])
        for project_id in (1, 2):
            connect_assistant(caller, **request(client, project_id=project_id))
    run(command_line(), email="alice@people.example", projects=[2])
    assert [bool(one.revoked_at) for one in assistants()] == [True, False, False, False]
    run(command_line(), email="bob@people.example", is_disabled=True)
    assert [bool(one.revoked_at) for one in assistants()] == [True, False, True, True]


def test_it_ends_with_the_rights_of_an_admin(core: Cast) -> None:
    """What was let in everywhere, or where one was only as an admin; not one's own project's."""
    client, run = registered(), OPERATIONS["update-person"]
    caller_named("root", is_admin=True)
    other = caller_named("other", is_admin=True, projects=[1])
    for project in ({}, {"project_id": 1}, {"project_id": 2}):
        connect_assistant(other, **request(client, **project))
    run(command_line(), email="other@people.example", projects=[1])
    assert not any(one.revoked_at for one in assistants())
    run(command_line(), email="other@people.example", is_admin=False)
    assert [bool(one.revoked_at) for one in assistants()] == [True, False, True]


def test_it_ends_when_a_password_is_renewed(core: Cast) -> None:
    """Whoever sat at the screen for a moment may have let in something of their own."""
    client, run = registered(), OPERATIONS
    alice = caller_named("alice", projects=[1])
    connect_assistant(alice, **request(client, project_id=1))
    connect_assistant(caller_named("bob", projects=[1]), **request(client, project_id=1))
    link = run["invite-person"](command_line(), email="alice@people.example").welcome
    assert not any(one.revoked_at for one in assistants())
    run["accept-welcome"](command_line(), token=link, password="a newcomer's battery")
    assert [bool(one.revoked_at) for one in assistants()] == [True, False]
