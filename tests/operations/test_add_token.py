"""add-token, revoke-token, and what a token opens."""

from __future__ import annotations

import pytest

from app import clock
from app.caller import caller_with_token, command_line
from app.credentials import TOKEN, digest, is_well_formed, make
from app.database import write_transaction
from app.errors import NotFound, Unauthorized
from app.extensions import db
from app.models import Token
from app.operations.panel import add_token, revoke_token
from tests.conftest import Cast
from tests.operations import ledger


def test_it_works(core: Cast) -> None:
    with ledger.recorded(revisions=0):
        made = add_token(command_line(), name="n8n", project_id=1)
    assert is_well_formed(made.text, TOKEN)
    assert (made.token.project_id, made.token.scope, made.token.expires_at) == (1, "write", None)
    caller = caller_with_token(f"Bearer {made.text}", "192.0.2.1")
    assert (caller.is_admin, caller.may_write, caller.projects) == (False, True, frozenset({1}))


def test_only_its_digest_and_its_beginning_are_kept(core: Cast) -> None:
    made = add_token(command_line(), name="n8n", project_id=1)
    assert (made.token.digest, made.token.hint) == (digest(made.text), made.text[:8])
    assert made.text not in repr(ledger.everything())


def test_without_a_project_it_is_an_admin_s(core: Cast) -> None:
    made = add_token(command_line(), name="ops", scope="read")
    caller = caller_with_token(f"Bearer {made.text}", "192.0.2.1")
    assert (caller.is_admin, caller.may_write, caller.projects) == (True, False, None)
    assert caller.in_project(2).project_id == 2


def test_it_opens_its_own_project_and_no_other(core: Cast) -> None:
    caller = caller_with_token(f"Bearer {core.tokens['alice']}", "192.0.2.1")
    assert caller.in_project(1).project_id == 1
    for project_id in (2, 99):
        with pytest.raises(NotFound, match="There is no such project"):
            caller.in_project(project_id)


def test_an_admin_s_token_opens_no_project_that_is_not_there(core: Cast) -> None:
    with pytest.raises(NotFound, match="There is no such project"):
        core.root.in_project(99)


def test_one_that_has_expired_opens_nothing(core: Cast) -> None:
    made = add_token(command_line(), name="n8n", project_id=1, days=1)
    header = f"Bearer {made.text}"
    assert caller_with_token(header, "192.0.2.1").token_id == made.token.id
    with write_transaction() as session:
        session.execute(db.update(Token).values(expires_at=clock.now()))
    with pytest.raises(Unauthorized):
        caller_with_token(header, "192.0.2.1")


def test_one_that_is_revoked_opens_nothing(core: Cast) -> None:
    with ledger.recorded(revisions=0):
        revoke_token(command_line(), token_id=1)
    entry = ledger.entries()[-1]
    assert (entry.action, entry.object, entry.given) == ("revoke-token", "1", "token_id")
    with pytest.raises(Unauthorized):
        caller_with_token(f"Bearer {core.tokens['alice']}", "192.0.2.1")
    assert caller_with_token(f"Bearer {core.tokens['bob']}", "192.0.2.1").token_id == 2


def test_one_that_was_revoked_keeps_its_date(core: Cast) -> None:
    revoke_token(command_line(), token_id=1)
    with write_transaction() as session:
        session.execute(db.update(Token).values(revoked_at=ledger.LONG_AGO))
    revoke_token(command_line(), token_id=1)
    assert db.session.scalar(db.select(Token.revoked_at).where(Token.id == 1)) == ledger.LONG_AGO


def test_nothing_else_opens_anything(core: Cast) -> None:
    alice = core.tokens["alice"]
    for header in (
        "", "Bearer", "Bearer ", alice, f"bearer {alice}", f"Bearer  {alice}", f"Bearer {alice} ",
        f"Basic {alice}", f"Bearer Bearer {alice}", f"Bearer {alice[:-1]}", f"Bearer {alice}x",
        f"Bearer {alice.upper()}", f"Bearer {make(TOKEN)}", f"Bearer {digest(alice)}",
        f"Bearer {core.sync_key}", "Bearer wpa_é", "Bearer \ud800",
    ):  # fmt: skip
        with pytest.raises(Unauthorized):
            caller_with_token(header, "192.0.2.1")


def test_its_last_use_is_noted_once_a_minute(core: Cast) -> None:
    header = f"Bearer {core.tokens['alice']}"
    for before, is_noted in ((None, True), (clock.now(), False), (ledger.LONG_AGO, True)):
        with write_transaction() as session:
            session.execute(db.update(Token).values(last_used_at=before))
        caller_with_token(header, "192.0.2.1")
        after = db.session.scalar(db.select(Token.last_used_at).where(Token.id == 1))
        assert (after != before) == is_noted


def test_a_last_use_in_the_future_is_put_right(core: Cast) -> None:
    with write_transaction() as session:
        session.execute(db.update(Token).values(last_used_at="2999-01-01T00:00:00Z"))
    caller_with_token(f"Bearer {core.tokens['alice']}", "192.0.2.1")
    after = db.session.scalar(db.select(Token.last_used_at).where(Token.id == 1))
    assert str(after) <= clock.now()


def test_it_rejects_a_project_that_is_not_there(core: Cast) -> None:
    with ledger.refused("PROJECT_NOT_FOUND", "project_id"):
        add_token(command_line(), name="n8n", project_id=99)


def test_it_rejects_unusable_values(core: Cast) -> None:
    for field, values in {
        "name": ("", " n8n", "n8n\n", "a\tb", "a" * 101, 1, None),
        "scope": ("admin", "", "WRITE", 1, None),
        "days": (0, -1, 3651, True, "30", 1.5, None),
        "project_id": (0, True, "1", None),
    }.items():
        for value in values:
            with ledger.refused("INVALID_INPUT", field):
                add_token(command_line(), **{"name": "n8n", field: value})


def test_it_rejects_customers(core: Cast) -> None:
    with ledger.refused("FORBIDDEN"):
        add_token(core.alice, name="mine")
    for token_id in (3, 4, 99):  # a stranger's, an admin's, nobody's
        with ledger.refused("TOKEN_NOT_FOUND", "token_id"):
            revoke_token(core.alice, token_id=token_id)
