"""add-token and revoke-token."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.caller import Caller, caller_with_token
from app.errors import Forbidden, NotFound
from app.extensions import db
from app.models import AuditEntry, Feed, Token
from app.operations import OPERATIONS
from app.operations.panel import NewToken, add_token, revoke_token
from tests.conftest import Cast


def person(*projects: int) -> Caller:
    """A customer who belongs to these projects, acting in the first."""
    return Caller(actor="person", projects=frozenset(projects), project_id=projects[0], person_id=1)


def made(core: Cast, **values: object) -> NewToken:
    return add_token(person(1), name="website", project_id=1, **values)


def test_it_works(core: Cast) -> None:
    token = made(core, scope="read", days=30)
    assert (token.token.project_id, token.token.scope) == (1, "read")
    assert token.token.hint == token.text[:8]
    caller = caller_with_token(f"Bearer {token.text}", "192.0.2.1")
    assert (caller.projects, caller.may_write, caller.is_admin) == (frozenset({1}), False, False)


def test_it_keeps_no_token_and_tells_nodes_nothing(core: Cast) -> None:
    before = db.session.scalars(db.select(Feed.revision)).one()
    text = made(core).text
    entry = db.session.scalars(db.select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert entry is not None
    assert (entry.action, entry.object, entry.project_id) == ("add-token", "website", 1)
    assert text not in repr(vars(entry))
    assert db.session.scalars(db.select(Feed.revision)).one() == before


def test_a_customer_makes_none_for_another_project(core: Cast) -> None:
    with pytest.raises(NotFound) as foreign:
        add_token(person(1), name="website", project_id=2)
    with pytest.raises(NotFound) as absent:
        add_token(person(1), name="website", project_id=99)
    assert foreign.value.code == absent.value.code == "PROJECT_NOT_FOUND"
    assert foreign.value.message == absent.value.message


def test_only_an_admin_makes_one_for_every_project(core: Cast) -> None:
    with pytest.raises(Forbidden):
        add_token(person(1), name="website")
    token = add_token(core.root, name="everything").token
    assert token.project_id is None


def test_who_may_only_read_makes_none(core: Cast) -> None:
    with pytest.raises(Forbidden):
        add_token(replace(person(1), may_write=False), name="website", project_id=1)


def test_programs_make_and_revoke_none(core: Cast) -> None:
    assert OPERATIONS["add-token"].is_internal
    assert OPERATIONS["revoke-token"].is_internal


def test_a_revoked_one_stays_revoked_since_then(core: Cast) -> None:
    number = made(core).token.id
    first = revoke_token(person(1), token_id=number).revoked_at
    assert first is not None
    assert revoke_token(person(1), token_id=number).revoked_at == first


def test_a_stranger_cannot_tell_a_token_from_none(core: Cast) -> None:
    number = made(core).token.id
    refusals = []
    for token_id in (number, 99999):
        with pytest.raises(NotFound) as refusal:
            revoke_token(person(2), token_id=token_id)
        refusals.append((refusal.value.code, refusal.value.message))
    assert refusals[0] == refusals[1] == ("TOKEN_NOT_FOUND", "There is no such token.")
    token = db.session.get(Token, number)
    assert token is not None
    assert token.revoked_at is None


def test_a_customer_cannot_revoke_the_token_of_an_admin(core: Cast) -> None:
    number = add_token(core.root, name="everything").token.id
    with pytest.raises(NotFound):
        revoke_token(person(1, 2), token_id=number)
    assert revoke_token(core.root, token_id=number).revoked_at
