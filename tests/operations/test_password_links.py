"""invite-user, send-password-link, revoke-password-link, and what their links open."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier, Thread

import pytest
from flask import Flask
from sqlalchemy import Connection, event

from app import clock
from app.caller import Caller, command_line
from app.database import write_transaction
from app.errors import NotFound, OperationError
from app.extensions import db
from app.models import Mailbox, Node, PasswordLink
from app.operations.domains import assign_domain, disable_email, enable_email
from app.operations.links import (
    LINK_DAYS,
    accept_password_link,
    forget_old_links,
    invite_user,
    linked,
    revoke_password_link,
    send_exposed_links,
    send_password_link,
)
from app.operations.mailboxes import (
    add_user,
    list_users,
    remove_user,
    restore_user,
    update_password,
    update_user,
)
from app.operations.results import Linked
from app.passwords import HASH, matches
from tests.conftest import PASSWORD, Cast
from tests.operations import ledger

EMAIL = "info@example.nl"
OTHER = "another horse battery"
OWNER = Caller(actor=f"owner of {EMAIL}", address="192.0.2.7")


def token_of(made: Linked) -> str:
    """The secret part of a link."""
    address, _, token = made.link.url.rpartition("/")
    assert address == "http://127.0.0.1:8000/welcome"
    return token


def works(made: Linked) -> bool:
    """Whether a link still opens its page."""
    db.session.rollback()
    return linked(token_of(made)) is not None


def test_it_works(core: Cast) -> None:
    with ledger.recorded():
        made = invite_user(core.alice, email=EMAIL, quota_mb=5)
    answer = made.to_answer()
    assert (answer["user"]["quota_mb"], answer["user"].get("waits_for_owner")) == (5, True)
    left = -clock.seconds_since(answer["link"]["expires_at"])
    assert LINK_DAYS * 86400 - 60 < left <= LINK_DAYS * 86400
    with ledger.recorded():
        done = accept_password_link(OWNER, token=token_of(made), password=OTHER)
    assert "waits_for_owner" not in done.to_answer()["user"]
    assert matches(OTHER, ledger.exported_users()[EMAIL]["password"])
    assert ledger.entries()[-1].actor == OWNER.actor
    assert not works(made)


def test_who_is_invited_gets_mail_and_nobody_can_sign_in(core: Cast) -> None:
    invite_user(core.alice, email=EMAIL)
    user = ledger.exported_users()[EMAIL]
    assert user["deliver"] is True
    assert HASH.fullmatch(user["password"])
    for text in ("", ".", "." * 31, "/", PASSWORD, user["password"]):
        assert not matches(text, user["password"])


def test_a_renewed_password_leaves_the_present_one_until_then(core: Cast) -> None:
    add_user(core.alice, email=EMAIL, password=PASSWORD)
    with ledger.recorded(revisions=0):
        made = send_password_link(core.alice, email=EMAIL)
    assert matches(PASSWORD, ledger.exported_users()[EMAIL]["password"])
    accept_password_link(OWNER, token=token_of(made), password=OTHER)
    assert matches(OTHER, ledger.exported_users()[EMAIL]["password"])


def test_a_list_tells_who_waits(core: Cast) -> None:
    invite_user(core.alice, email=EMAIL)
    add_user(core.alice, email="other@example.nl", password=PASSWORD)
    users = list_users(core.alice).to_answer()["users"]
    assert [user.get("waits_for_owner") for user in users] == [True, None]


ENDS: dict[str, Callable[[Cast], object]] = {
    "another link": lambda core: send_password_link(core.alice, email=EMAIL),
    "revoked": lambda core: revoke_password_link(core.alice, email=EMAIL),
    "another password": lambda core: update_password(core.alice, email=EMAIL, password=PASSWORD),
    "removed": lambda core: remove_user(core.alice, email=EMAIL),
    "gone for good": lambda core: remove_user(core.alice, email=EMAIL, hard_delete=True),
    "removed and restored": lambda core: (
        remove_user(core.alice, email=EMAIL),
        restore_user(core.alice, email=EMAIL),
    ),
    "e-mail turned off and on": lambda core: (
        remove_user(core.alice, email=EMAIL),
        disable_email(core.alice, domain="example.nl"),
        enable_email(core.alice, domain="example.nl"),
        restore_user(core.alice, email=EMAIL),
    ),
    "moved to another project": lambda core: (
        remove_user(core.alice, email=EMAIL),
        assign_domain(command_line(), domain="example.nl", project_id=2),
    ),
    "too old": lambda _core: _age(),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_link_ends(core: Cast, how: str) -> None:
    made = invite_user(core.alice, email=EMAIL)
    assert works(made)
    ENDS[how](core)
    assert not works(made)
    with pytest.raises(NotFound, match="ask for a new one"):
        accept_password_link(OWNER, token=token_of(made), password=OTHER)


def _age() -> None:
    with write_transaction() as session:
        session.execute(db.update(PasswordLink).values(expires_at=clock.from_now(seconds=-1)))


def test_settings_leave_it_alone(core: Cast) -> None:
    made = invite_user(core.alice, email=EMAIL)
    update_user(core.alice, email=EMAIL, quota_mb=7, can_receive=False)
    assert works(made)


def test_old_ones_are_forgotten(core: Cast) -> None:
    made = invite_user(core.alice, email=EMAIL)
    forget_old_links()
    assert works(made)
    _age()
    forget_old_links()
    assert db.session.scalars(db.select(PasswordLink)).all() == []


def test_of_two_at_once_one_is_in_time(core: Cast, app: Flask) -> None:
    token = token_of(invite_user(core.alice, email=EMAIL))
    together, done = Barrier(2), []

    def choose(password: str) -> None:
        with app.app_context():
            together.wait()
            try:
                accept_password_link(OWNER, token=token, password=password)
                done.append(password)
            except NotFound:
                pass

    threads = [Thread(target=choose, args=(password,)) for password in (PASSWORD, OTHER)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 1
    db.session.rollback()
    assert matches(done[0], ledger.mailbox(EMAIL).password_hash)


def test_the_link_is_in_no_table_and_no_message(core: Cast) -> None:
    made = invite_user(core.alice, email=EMAIL)
    assert token_of(made) not in repr(ledger.everything())
    with pytest.raises(OperationError) as refusal:
        accept_password_link(OWNER, token=token_of(made), password="short")
    assert token_of(made) not in str(refusal.value)


@pytest.mark.parametrize(
    "password", ["short", "é" * 37, EMAIL, "example.nl", "password", "a\tbcdefgh"]
)
def test_it_rejects_a_password_that_may_not_be_and_works_on(core: Cast, password: str) -> None:
    made = invite_user(core.alice, email=EMAIL)
    with ledger.refused("INVALID_INPUT", "password"):
        accept_password_link(OWNER, token=token_of(made), password=password)
    assert works(made)


def test_it_rejects_an_address_that_is_taken(core: Cast) -> None:
    invite_user(core.alice, email=EMAIL)
    with ledger.refused("MAILBOX_EXISTS", "email"):
        invite_user(core.alice, email=EMAIL)
    remove_user(core.alice, email=EMAIL)
    for operation in (invite_user, send_password_link):
        with ledger.refused("MAILBOX_REMOVED", "email"):
            operation(core.alice, email=EMAIL)
    revoke_password_link(core.alice, email=EMAIL)


def test_it_hides_from_strangers(core: Cast) -> None:
    made = invite_user(core.alice, email=EMAIL)
    with ledger.refused("DOMAIN_NOT_FOUND", "email"):
        invite_user(core.charlie, email="new@example.nl")
    for operation in (send_password_link, revoke_password_link):
        with ledger.refused("MAILBOX_NOT_FOUND", "email"):
            operation(core.charlie, email=EMAIL)
    assert works(made)


def test_links_for_what_a_lost_node_held_skip_who_was_quicker(
    core: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole batch can be renewed while its domain is waited for; those that follow get theirs."""
    monkeypatch.setattr("app.operations.links.MANY", 1)
    for name in ("anna", "boris"):
        add_user(core.alice, email=f"{name}@example.nl", password=PASSWORD)
    with write_transaction() as session:
        session.execute(db.update(Mailbox).values(created_at="2026-01-01T00:00:00Z"))
        lost = {"last_sync_at": ledger.LONG_AGO, "lost_at": "2026-02-01T00:00:00Z"}
        session.execute(db.update(Node).values(lost))

    def renew(connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        """Between the two looks, as if its owner had been waited for."""
        if statement.startswith("SELECT domains.id"):
            connection.exec_driver_sql(
                "UPDATE mailboxes SET password_at = '2999-01-01T00:00:00Z' "
                "WHERE email = 'anna@example.nl'"
            )

    event.listen(db.engine, "before_cursor_execute", renew)
    try:
        first = send_exposed_links(core.root, name="mpi01")
    finally:
        event.remove(db.engine, "before_cursor_execute", renew)
    assert (first.links, first.last) == ([], "anna@example.nl")
    second = send_exposed_links(core.root, name="mpi01", after=first.last)
    assert [made.email for made in second.links] == ["boris@example.nl"]
    third = send_exposed_links(core.root, name="mpi01", after=second.last)
    assert (third.links, third.last) == ([], None)
