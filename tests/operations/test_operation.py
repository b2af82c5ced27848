"""What all operations have in common: the right, the record, and one ending."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import cycle
from typing import Any

import pytest
from sqlalchemy import event

from app import passkeys, second_factor, totp
from app.caller import Caller, command_line
from app.credentials import CLIENT, WELCOME, digest, make
from app.database import write_transaction
from app.errors import Busy, Invalid, NotFound, OperationError
from app.extensions import db
from app.models import (
    AuditEntry,
    HeldCall,
    Mailbox,
    OAuthClient,
    Passkey,
    PasswordLink,
    WebSession,
)
from app.operations import OPERATIONS
from app.operations.domains import enable_email
from app.operations.mailboxes import add_user, list_users
from app.operations.nodes import add_node
from app.operations.panel import add_person, add_token
from tests.conftest import PASSWORD, Cast
from tests.operations import ledger

EMAIL = "info@example.nl"
LINK, OWNERS_LINK = make(WELCOME), make(WELCOME)
CLIENT_ID = make(CLIENT)
SECRET, STEP = "GEZDGNBVGY3TQOJQ" * 2, 1000
CODE = totp.code_at(SECRET, STEP)
RECOVERY_CODES = [f"aaaa-bbbb-cccc-ddd{number}" for number in range(10)]
NEW_PASSWORD = "one more battery"
# Something for each operation that would be done, were it asked by who may.
INPUT: dict[str, dict[str, Any]] = {
    "accept-welcome": {"token": LINK, "password": "a newcomer's battery"},
    "change-own-password": {"present": PASSWORD, "password": NEW_PASSWORD, "keep": 2},
    "end-session": {"session_id": 2},
    "end-other-sessions": {"keep": 1},
    "begin-two-factor": {},
    "confirm-two-factor": {"code": CODE, "keep": 2},
    "renew-recovery-codes": {"password": NEW_PASSWORD, "code": RECOVERY_CODES[0]},
    "end-two-factor": {"password": NEW_PASSWORD, "code": RECOVERY_CODES[0]},
    "add-passkey": {"name": "Telephone", "answer": {"made": "by a device"}, "keep": 2},
    "rename-passkey": {"passkey_id": 1, "name": "Mobile"},
    "remove-passkey": {"passkey_id": 1},
    "reset-two-factor": {"email": "guest@example.org"},
    "connect-assistant": {
        "client": CLIENT_ID,
        "scope": "read",
        "redirect_uri": "http://127.0.0.1/callback",
        "challenge": "x" * 43,
        "resource": "http://127.0.0.1:8000/mcp",
    },
    "disconnect-assistant": {"assistant_id": 1},
    "invite-person": {"email": "guest@example.org"},
    "update-person": {"email": "guest@example.org", "projects": [2]},
    "update-approval": {"needs_approval": True},
    "refuse-call": {"call_id": 1},
    "enable-email": {"domain": "parked.nl"},
    "disable-email": {"domain": "parked.nl"},
    "list-domains": {},
    "add-user": {"email": EMAIL, "password": PASSWORD},
    "remove-user": {"email": "live@charlie.nl"},
    "restore-user": {"email": "live@charlie.nl"},
    "list-users": {},
    "update-password": {"email": "live@charlie.nl", "password": "another horse battery"},
    "update-user": {"email": "live@charlie.nl", "quota_mb": 5},
    "invite-user": {"email": "owner@example.nl"},
    "send-password-link": {"email": "live@charlie.nl"},
    "revoke-password-link": {"email": "live@charlie.nl"},
    "accept-password-link": {"token": OWNERS_LINK, "password": "an owner's battery"},
    "send-exposed-links": {"name": "mpi01"},
    "add-domain": {"domain": "new.nl"},
    "remove-domain": {"domain": "parked.nl"},
    "assign-domain": {"domain": "new.nl", "project_id": 2},
    "unassign-domain": {"domain": "new.nl"},
    "link-domain": {"domain": "wanted.nl"},
    "verify-domain": {"domain": "example.nl"},
    "unlink-domain": {"domain": "wanted.nl"},
    "list-records": {"domain": "example.nl"},
    "check-domain": {"domain": "example.nl"},
    "update-domain": {"domain": "example.nl", "registered_here": True},
    "list-nodes": {},
    "add-node": {"name": "mpi02"},
    "set-home-node": {"domain": "example.nl", "node": ""},
    "update-node": {"name": "mpi01", "host": "mpi01.example.net"},
    "rotate-node-key": {"name": "mpi01", "key_as_link": True},
    "collect-node-key": {"name": "mpi01"},
    "pause-node": {"name": "mpi01"},
    "resume-node": {"name": "mpi01"},
    "lose-node": {"name": "mpi01"},
    "remove-node": {"name": "mpi01"},
    "add-project": {"name": "Another company"},
    "add-person": {"email": "someone@example.org", "password": "yet another battery"},
    "add-token": {"name": "n8n"},
    "revoke-token": {"token_id": 4},
    "confirm-shrink": {},
    "record-backup": {"name": "Mon"},
    "acknowledge-purge": {"name": "mpi01", "mailboxes": ["0" * 32]},
    "settle-epoch": {},
    "purge": {},
}


@pytest.fixture
def root(core: Cast, monkeypatch: pytest.MonkeyPatch) -> Caller:
    """An admin who is signed in twice; a mailbox to change, and somebody invited by LINK.

    Secrets and the time are such that the codes of INPUT are right.
    """
    made = Passkey(digest="d" * 64, credential=b"", sign_count=0)
    monkeypatch.setattr(passkeys, "made", lambda *_: made)
    monkeypatch.setattr(totp, "make_secret", lambda: SECRET)
    monkeypatch.setattr(totp, "present_step", lambda: STEP)
    monkeypatch.setattr(second_factor, "make_recovery_code", cycle(RECOVERY_CODES).__next__)
    add_user(core.charlie, email="live@charlie.nl", password=PASSWORD)
    owned = add_user(core.charlie, email="owned@charlie.nl", password=PASSWORD).mailbox.id
    admin = add_person(
        command_line(), email="root@example.org", password=PASSWORD, is_admin=True
    ).person
    guest = add_person(command_line(), email="guest@example.org").person
    with write_transaction() as session:
        guest.welcome_digest = digest(LINK)
        end = "2999-01-01T00:00:00Z"
        call = {"operation": "purge", "arguments": {}, "fingerprint": "", "expires_at": end}
        session.add(HeldCall(project_id=1, token_id=1, actor="", **call))
        session.add(PasswordLink(mailbox_id=owned, digest=digest(OWNERS_LINK), expires_at=end))
        session.add(OAuthClient(client_id=CLIENT_ID, name="Helper", redirect_uris=""))
        for number in ("1", "2"):
            session.add(
                WebSession(digest=number * 64, person_id=admin.id, address="::1", user_agent="")
            )
    return replace(core.root, person_id=admin.id)


def _in_its_project(caller: Caller, name: str) -> Caller:
    return caller.in_project(2 if "live@charlie.nl" in str(INPUT[name]) else 1)


def test_it_works(root: Caller) -> None:
    for name, operation in OPERATIONS.items():
        before = len(ledger.entries())
        operation(_in_its_project(root, name), **INPUT[name])
        assert len(ledger.entries()) == before + (not operation.reads)
        if not operation.reads:
            assert ledger.entries()[-1].action == name


def test_it_rejects_writing_with_a_scope_to_read(root: Caller) -> None:
    caller = replace(root, may_write=False)
    for name, operation in OPERATIONS.items():
        if operation.reads:
            operation(_in_its_project(caller, name), **INPUT[name])
        else:
            with ledger.refused("FORBIDDEN"):
                operation(_in_its_project(caller, name), **INPUT[name])


def test_it_rejects_customers_where_only_admins_may(core: Cast) -> None:
    for name, operation in OPERATIONS.items():
        if operation.who == "admin":
            with ledger.refused("FORBIDDEN"):
                operation(core.alice, **INPUT[name])


def test_it_rejects_a_caller_who_acts_in_no_project(root: Caller) -> None:
    for name, operation in OPERATIONS.items():
        if operation.who == "project":
            with ledger.refused("PROJECT_NOT_FOUND"):
                operation(command_line(), **INPUT[name])


def test_it_hides_from_strangers(core: Cast) -> None:
    add_user(core.charlie, email="live@charlie.nl", password=PASSWORD)
    for name, given in INPUT.items():
        if given.get("email") != "live@charlie.nl":
            continue
        with ledger.refused("MAILBOX_NOT_FOUND", "email"):
            OPERATIONS[name](core.alice, **INPUT[name])


def test_it_rejects_null_and_unknown_fields_everywhere(root: Caller) -> None:
    before = ledger.everything()
    for name, operation in OPERATIONS.items():
        caller = _in_its_project(root, name)
        null = [(field, None) for field in operation.input.model_fields]
        unknown = [(field, 1) for field in ("caller", "self", "is_internal", "Email", "x" * 64)]
        for field, value in (*null, *unknown):
            with pytest.raises(Invalid) as refusal:
                operation(caller, **{**INPUT[name], field: value})
            assert refusal.value.field == field
    assert ledger.everything() == before


def test_it_names_no_field_that_nobody_should_repeat(root: Caller) -> None:
    for field in ("x" * 65, "a\nb", "\x1b[31m"):
        with ledger.refused("INVALID_INPUT", "?"):
            OPERATIONS["add-project"](root, **{"name": "x", field: 1})


def test_values_of_any_kind_are_done_or_refused(root: Caller) -> None:
    odd: tuple[object, ...] = (
        "", " ", "\0", "\ud800", "é", "a" * 2000, "../../x", "%s", "' OR 1=1 --", "1e3", "true",
        0, -1, 2**31, 2**63, 10**400, 1.5, float("nan"), float("inf"), -0.0, True, False,
        [], {}, [[]], {"a": 1}, b"bytes", object(),
    )  # fmt: skip
    for name, operation in OPERATIONS.items():
        for field in operation.input.model_fields:
            for value in odd:
                with suppress(OperationError):
                    operation(_in_its_project(root, name), **{**INPUT[name], field: value})


def test_no_secret_is_in_any_table(core: Cast) -> None:
    made = add_token(command_line(), name="n8n", project_id=1).text
    key = add_node(command_line(), name="mpi02").sync_key
    welcome = add_person(command_line(), email="someone@example.org").welcome
    add_person(command_line(), email="other@example.org", password="a person's password")
    add_user(core.alice, email=EMAIL, password=PASSWORD)
    stored = repr(ledger.everything())
    for secret in (made, key, welcome, PASSWORD, "a person's password", *core.tokens.values()):
        assert str(secret) not in stored


def test_a_cursor_and_a_page_number_are_read_from_text(core: Cast) -> None:
    operation = OPERATIONS["list-users"]
    read = {text: operation.value_of_text("limit", text) for text in ("5", "05", "x", "true", "")}
    assert read == {"5": 5, "05": "05", "x": "x", "true": "true", "": ""}
    assert OPERATIONS["remove-user"].value_of_text("hard_delete", "true") is True
    assert OPERATIONS["remove-user"].value_of_text("hard_delete", "1") == "1"


def test_a_refusal_in_the_middle_undoes_what_was_written(core: Cast) -> None:
    with ledger.refused("PROJECT_NOT_FOUND", "projects"):
        add_person(command_line(), email="someone@example.org", projects=[1, 2, 99])


def test_an_error_in_the_middle_undoes_what_was_written(core: Cast) -> None:
    before = ledger.everything()
    with pytest.raises(ZeroDivisionError), write_transaction() as session:
        session.add(AuditEntry(actor="", action="", object="", given="", revision=1 // 0))
    with pytest.raises(ZeroDivisionError), write_transaction() as session:
        session.execute(db.delete(Mailbox))
        session.execute(db.delete(Mailbox).where(Mailbox.quota_mb == 1 // 0))
    assert ledger.everything() == before


def test_a_change_that_was_undone_is_not_counted_later(core: Cast) -> None:
    alice, domain_id = core.alice, ledger.domain("example.nl").id
    hashed = "{BLF-CRYPT}$2y$04$" + "." * 53
    with pytest.raises(ZeroDivisionError), write_transaction() as session:
        session.add(Mailbox(domain_id=domain_id, email=EMAIL, password_hash=hashed, quota_mb=1))
        session.flush()
        session.execute(db.delete(Mailbox).where(Mailbox.quota_mb == 1 // 0))
    with ledger.recorded(revisions=0):
        enable_email(alice, domain="example.nl")
    assert ledger.feed().users == 0


def test_one_transaction_does_not_begin_inside_another(core: Cast) -> None:
    with pytest.raises(RuntimeError), write_transaction():
        add_user(core.alice, email=EMAIL, password=PASSWORD)
    assert list_users(core.alice).total == 0


def test_a_database_that_cannot_be_written_is_busy_and_reads_go_on(core: Cast) -> None:
    alice = core.alice
    with _read_only():
        with pytest.raises(Busy) as refusal:
            add_user(alice, email=EMAIL, password=PASSWORD)
        assert (refusal.value.status, refusal.value.retry_after) == (503, 5)
        assert list_users(alice).total == 0
    assert add_user(alice, email=EMAIL, password=PASSWORD).mailbox.is_active


@contextmanager
def _read_only() -> Iterator[None]:
    """Let the database refuse to be written, as a standby server or a worn-out disk does."""
    is_sqlite = db.engine.dialect.name == "sqlite"
    words = "PRAGMA query_only = ON" if is_sqlite else "SET default_transaction_read_only = on"

    def say(connection: Any, _record: Any, _proxy: Any) -> None:
        connection.cursor().execute(words)
        if not is_sqlite:
            connection.commit()

    db.session.remove()
    event.listen(db.engine, "checkout", say)
    try:
        yield
    finally:
        event.remove(db.engine, "checkout", say)
        db.session.remove()
        db.engine.dispose()


def test_an_absent_project_is_told_like_a_stranger_s(core: Cast) -> None:
    messages = set()
    for project_id in (2, 99):
        with pytest.raises(NotFound) as refusal:
            core.alice.in_project(project_id)
        messages.add((refusal.value.code, refusal.value.message))
    assert len(messages) == 1
