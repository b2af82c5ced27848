"""add-person."""

from __future__ import annotations

from app import clock
from app.caller import command_line
from app.credentials import WELCOME, digest, is_well_formed
from app.extensions import db
from app.models import Membership, Person
from app.operations.panel import add_person
from app.passwords import matches
from tests.conftest import PASSWORD, Cast
from tests.operations import ledger

EMAIL = "alice@customer.example"


def test_it_works(core: Cast) -> None:
    with ledger.recorded(revisions=0):
        add_person(command_line(), email="Alice@Customer.Example", password=PASSWORD, projects=[1])
    person = db.session.scalars(db.select(Person)).one()
    assert (person.email, person.is_admin, person.welcome_digest) == (EMAIL, False, None)
    assert matches(PASSWORD, str(person.password_hash))
    assert _projects(person) == [1]


def test_without_a_password_there_is_a_link_for_seven_days(core: Cast) -> None:
    made = add_person(command_line(), email=EMAIL)
    assert is_well_formed(str(made.welcome), WELCOME)
    assert made.person.password_hash is None
    assert made.person.welcome_digest == digest(str(made.welcome))
    left = -clock.seconds_since(str(made.person.welcome_expires_at))
    assert 6 * 86400 < left <= 7 * 86400


def test_an_admin_is_made_by_saying_so(core: Cast) -> None:
    assert add_person(command_line(), email=EMAIL, is_admin=True).person.is_admin


def test_a_project_given_twice_is_one_membership(core: Cast) -> None:
    made = add_person(command_line(), email=EMAIL, projects=[2, 1, 2])
    assert _projects(made.person) == [1, 2]


def _projects(person: Person) -> list[int]:
    return sorted(
        db.session.scalars(
            db.select(Membership.project_id).where(Membership.person_id == person.id)
        )
    )


def test_the_address_need_not_be_one_of_ours(core: Cast) -> None:
    made = add_person(command_line(), email="o'neil+panel@bücher.example")
    assert made.person.email == "o'neil+panel@xn--bcher-kva.example"


def test_the_audit_entry_tells_no_secret(core: Cast) -> None:
    add_person(command_line(), email=EMAIL, password=PASSWORD, is_admin=True)
    entry = ledger.entries()[-1]
    assert (entry.actor, entry.action, entry.object) == ("command line", "add-person", EMAIL)
    assert entry.given == "email is_admin password"


def test_it_rejects_an_address_that_is_taken(core: Cast) -> None:
    add_person(command_line(), email=EMAIL)
    with ledger.refused("PERSON_EXISTS", "email"):
        add_person(command_line(), email=EMAIL.upper())


def test_it_rejects_a_project_that_is_not_there(core: Cast) -> None:
    with ledger.refused("PROJECT_NOT_FOUND", "projects"):
        add_person(command_line(), email=EMAIL, projects=[1, 99])


def test_it_rejects_an_unusable_password(core: Cast) -> None:
    for value in ("", "short", "a" * 73, "password1", EMAIL, "customer.example", 12345678, None):
        with ledger.refused("INVALID_INPUT", "password"):
            add_person(command_line(), email=EMAIL, password=value)


def test_it_rejects_what_is_no_list_of_projects(core: Cast) -> None:
    for value in (1, "1", ["1"], [0], [True], [1.5], None):
        with ledger.refused("INVALID_INPUT", "projects"):
            add_person(command_line(), email=EMAIL, projects=value)


def test_it_rejects_what_is_no_address(core: Cast) -> None:
    for value in ("", "alice", "@example.nl", "a b@example.nl", "a@b@example.nl", "a..b@c.nl", 1):
        with ledger.refused("INVALID_INPUT", "email"):
            add_person(command_line(), email=value)


def test_it_rejects_customers(core: Cast) -> None:
    with ledger.refused("FORBIDDEN"):
        add_person(core.alice, email=EMAIL, is_admin=True)
