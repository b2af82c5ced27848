"""list-users."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from app.extensions import db
from app.operations.answers import UsersAnswer
from app.operations.domains import enable_email
from app.operations.mailboxes import add_user, list_users, remove_user
from tests.conftest import ON_BOTH, PASSWORD, Cast
from tests.operations import ledger

# In byte order, which no locale's order is.
EMAILS = [
    "a-b@example.nl",
    "a.b@example.nl",
    "a0@example.nl",
    "a@example.nl",
    "a@parked.nl",
    "a_b@example.nl",
    "aa@example.nl",
    "z@example.nl",
]


@pytest.fixture(autouse=True)
def mailboxes(core: Cast) -> None:
    """alice has two domains with mailboxes, charlie one."""
    enable_email(core.alice, domain="parked.nl")
    for email in reversed(EMAILS):
        add_user(core.alice, email=email, password=PASSWORD)
    add_user(core.charlie, email="a1@charlie.nl", password=PASSWORD)


def _emails(answer: UsersAnswer) -> list[str]:
    return [user["email"] for user in answer["users"]]


def test_it_works(core: Cast) -> None:
    answer = list_users(core.alice).to_answer()
    assert _emails(answer) == EMAILS == sorted(EMAILS)
    assert (answer["total"], answer["next_cursor"]) == (len(EMAILS), None)


@pytest.mark.parametrize("database", [ON_BOTH[1]])
def test_postgresql_sorts_in_byte_order_whatever_its_locale(core: Cast) -> None:
    collations = db.session.execute(
        text(
            "SELECT table_name, column_name FROM information_schema.columns WHERE collation_name = "
            "'C' AND column_name IN ('name', 'email', 'id', 'mailbox_id')"
        )
    ).all()
    assert {tuple(row) for row in collations} >= {
        ("mailboxes", "email"), ("mailboxes", "id"), ("domains", "name"), ("nodes", "name"),
        ("purge_orders", "mailbox_id"),
    }  # fmt: skip


def test_its_fields_are_the_contract_s(core: Cast) -> None:
    remove_user(core.alice, email="z@example.nl")
    answer = list_users(core.alice).to_answer()
    fields = {"email", "domain", "quota_mb", "active", "can_login", "can_receive"}
    assert answer.keys() == {"users", "total", "next_cursor"}
    assert answer["users"][0].keys() == fields | {"created_at", "updated_at"}
    assert answer["users"][-1].keys() == fields | {"created_at", "updated_at", "purge_at"}


def test_it_shows_removed_ones_as_inactive(core: Cast) -> None:
    remove_user(core.alice, email="aa@example.nl")
    answer = list_users(core.alice).to_answer()
    assert [user["email"] for user in answer["users"] if not user["active"]] == ["aa@example.nl"]
    assert answer["total"] == len(EMAILS)


def test_it_leaves_out_those_that_are_gone(core: Cast) -> None:
    remove_user(core.alice, email="aa@example.nl", hard_delete=True)
    assert "aa@example.nl" not in _emails(list_users(core.alice).to_answer())


def test_it_can_be_asked_for_one_domain(core: Cast) -> None:
    answer = list_users(core.alice, domain="Parked.NL").to_answer()
    assert (_emails(answer), answer["total"]) == (["a@parked.nl"], 1)


def test_its_pages_together_are_the_whole(core: Cast) -> None:
    for limit in [1, 2, 3, 4, 7, 8, 9, 1000]:
        found, answer = [], list_users(core.alice, limit=limit).to_answer()
        while True:
            assert answer["total"] == len(EMAILS)
            found += _emails(answer)
            if answer["next_cursor"] is None:
                break
            assert len(answer["users"]) == limit
            answer = list_users(core.alice, limit=limit, cursor=answer["next_cursor"]).to_answer()
        assert found == EMAILS


def test_a_last_page_that_is_just_full_has_no_cursor(core: Cast) -> None:
    assert list_users(core.alice, limit=len(EMAILS)).to_answer()["next_cursor"] is None
    assert list_users(core.alice, limit=len(EMAILS) - 1).to_answer()["next_cursor"] is not None


def test_a_page_goes_on_after_a_mailbox_that_is_gone(core: Cast) -> None:
    first = list_users(core.alice, limit=3).to_answer()
    for email in EMAILS[1:4]:
        remove_user(core.alice, email=email, hard_delete=True)
    add_user(core.alice, email="a-a@example.nl", password=PASSWORD)
    second = list_users(core.alice, limit=100, cursor=first["next_cursor"]).to_answer()
    assert _emails(second) == EMAILS[4:]
    assert second["total"] == len(EMAILS) - 2


def test_a_cursor_works_within_one_domain_and_without_a_limit(core: Cast) -> None:
    first = list_users(core.alice, domain="example.nl", limit=3).to_answer()
    rest = list_users(core.alice, domain="example.nl", cursor=first["next_cursor"]).to_answer()
    assert _emails(first) + _emails(rest) == [e for e in EMAILS if e.endswith("@example.nl")]
    assert rest["total"] == len(EMAILS) - 1


def test_a_cursor_past_the_end_finds_nothing(core: Cast) -> None:
    first = list_users(core.alice, limit=len(EMAILS) - 1).to_answer()
    remove_user(core.alice, email=EMAILS[-1], hard_delete=True)
    answer = list_users(core.alice, limit=2, cursor=first["next_cursor"]).to_answer()
    assert answer == {"users": [], "total": len(EMAILS) - 1, "next_cursor": None}


def test_it_changes_nothing(core: Cast) -> None:
    before = ledger.everything()
    list_users(core.caller("bob"), limit=1)
    assert ledger.everything() == before


def test_it_hides_from_strangers(core: Cast) -> None:
    assert _emails(list_users(core.charlie).to_answer()) == ["a1@charlie.nl"]
    for name in ("example.nl", "absent.nl"):
        with ledger.refused("DOMAIN_NOT_FOUND", "domain"):
            list_users(core.charlie, domain=name)


def test_a_stranger_s_cursor_shows_nothing_of_its_owner(core: Cast) -> None:
    cursor = list_users(core.alice, limit=1).to_answer()["next_cursor"]
    answer = list_users(core.charlie, cursor=cursor).to_answer()
    assert (_emails(answer), answer["total"]) == (["a1@charlie.nl"], 1)


def test_it_rejects_a_limit_out_of_range(core: Cast) -> None:
    for value in [0, -1, 1001, 1.5, True, "10", None, [], 10**30]:
        with ledger.refused("INVALID_INPUT", "limit"):
            list_users(core.alice, limit=value)


def test_it_rejects_what_is_no_cursor(core: Cast) -> None:
    for value in [
        "",
        "x",
        "====",
        "YQ",
        "YUBleGFtcGxlLm5s=",
        "YUBFWEFNUExFLm5s",
        "é",
        "%27",
        1,
        None,
    ]:
        with ledger.refused("INVALID_INPUT", "cursor"):
            list_users(core.alice, cursor=value)
