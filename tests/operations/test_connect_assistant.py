"""connect-assistant."""

from __future__ import annotations

import pytest

from app.credentials import CODE, digest, is_well_formed
from app.errors import Forbidden
from app.extensions import db
from app.models import OAuthClient, OAuthCode
from app.operations.assistants import connect_assistant
from tests.conftest import Cast
from tests.operations import ledger
from tests.operations.letting_in import assistants, caller_named, registered, request


def test_it_works(core: Cast) -> None:
    alice, client = caller_named("alice", projects=[1]), registered()
    code = connect_assistant(alice, **request(client, project_id=1))
    assert is_well_formed(code, CODE)
    (made,) = assistants()
    assert (made.person_id, made.project_id, made.scope) == (alice.person_id, 1, "write")
    kept = db.session.scalars(db.select(OAuthCode)).one()
    assert (kept.digest, kept.used_at) == (digest(code), None)
    assert db.session.scalars(db.select(OAuthClient.used_at)).one()
    entry = ledger.entries()[-1]
    assert (entry.actor, entry.object) == ("person alice@people.example", client)
    assert entry.project_id == 1
    assert code not in str(vars(entry))


def test_it_hides_from_strangers(core: Cast) -> None:
    alice, client = caller_named("alice", projects=[1]), registered()
    with ledger.refused("PROJECT_NOT_FOUND", "project_id"):
        connect_assistant(alice, **request(client, project_id=2))
    with ledger.refused("PROJECT_NOT_FOUND", "project_id"):
        connect_assistant(alice, **request(client, project_id=99))


def test_only_an_admin_lets_one_in_everywhere(core: Cast) -> None:
    alice, client = caller_named("alice", projects=[1]), registered()
    with ledger.refused("FORBIDDEN"):
        connect_assistant(alice, **request(client))
    connect_assistant(caller_named("root", is_admin=True), **request(client))
    assert [one.project_id for one in assistants()] == [None]


def test_it_is_for_who_is_signed_in(core: Cast) -> None:
    client = registered()
    with pytest.raises(Forbidden):
        connect_assistant(core.root, **request(client, project_id=1))


def test_it_rejects_a_client_that_is_gone(core: Cast) -> None:
    alice = caller_named("alice", projects=[1])
    with ledger.refused("CLIENT_NOT_FOUND"):
        connect_assistant(alice, **request("wpc_gone", project_id=1))
