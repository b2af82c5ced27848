"""update-person and invite-person."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from flask import Flask

from app.caller import Caller
from app.errors import Conflict, Forbidden, NotFound, OperationError
from app.extensions import db
from app.models import Person
from app.operations.access import invite_person, update_person
from app.operations.panel import add_person
from tests.conftest import PASSWORD, Cast

ROOT = Caller(actor="person root@people.example", is_admin=True, projects=None)
ROUNDS = 10


def _admins() -> list[str]:
    db.session.rollback()
    query = db.select(Person.email).where(Person.is_admin, Person.disabled_at.is_(None))
    return list(db.session.scalars(query))


def test_it_works(core: Cast) -> None:
    add_person(core.root, email="root@people.example", is_admin=True)
    add_person(core.root, email="anna@people.example", projects=[1])
    person = update_person(core.root, email="Anna@people.example", is_admin=True, projects=[2])
    assert person.is_admin
    assert update_person(core.root, email="anna@people.example", is_disabled=True).disabled_at
    assert not update_person(core.root, email="anna@people.example", is_disabled=False).disabled_at


@pytest.mark.parametrize("change", [{"is_admin": False}, {"is_disabled": True}])
def test_the_last_admin_stays(core: Cast, change: dict[str, bool]) -> None:
    add_person(core.root, email="root@people.example", is_admin=True)
    with pytest.raises(Conflict) as refusal:
        update_person(core.root, email="root@people.example", **change)
    assert refusal.value.code == "LAST_ADMIN"
    assert _admins() == ["root@people.example"]


def test_a_disabled_admin_does_not_count(core: Cast) -> None:
    for name in ("root", "rita"):
        add_person(core.root, email=f"{name}@people.example", is_admin=True)
    update_person(core.root, email="rita@people.example", is_disabled=True)
    with pytest.raises(Conflict):
        update_person(core.root, email="root@people.example", is_admin=False)


@pytest.mark.parametrize("change", [{"is_admin": False}, {"is_disabled": True}])
def test_an_admin_who_never_came_does_not_count(core: Cast, change: dict[str, bool]) -> None:
    add_person(core.root, email="root@people.example", is_admin=True, password=PASSWORD)
    add_person(core.root, email="rita@people.example", is_admin=True)
    with pytest.raises(Conflict) as refusal:
        update_person(core.root, email="root@people.example", **change)
    assert refusal.value.code == "LAST_ADMIN"
    assert _admins() == ["root@people.example", "rita@people.example"]
    update_person(core.root, email="rita@people.example", **change)


@pytest.mark.parametrize("change", [{"is_admin": False}, {"is_disabled": True}])
def test_of_two_admins_who_remove_each_other_at_once_one_remains(
    app: Flask, change: dict[str, bool]
) -> None:
    names = ("root@people.example", "rita@people.example")
    with app.app_context():
        for name in names:
            add_person(ROOT, email=name, is_admin=True)
    for _round in range(ROUNDS):
        refusals = _at_once([_remover(app, name, change) for name in names])
        with app.app_context():
            assert len(_admins()) == 1
            assert [error.code for error in refusals] == ["LAST_ADMIN"]
            for name in names:
                update_person(ROOT, email=name, is_admin=True, is_disabled=False)


def _remover(app: Flask, email: str, change: dict[str, bool]) -> Callable[[], None]:
    def remove() -> None:
        with app.app_context():
            update_person(ROOT, email=email, **change)

    return remove


def _at_once(deeds: list[Callable[[], None]]) -> list[OperationError]:
    """Do all of them at the same moment; what was refused."""
    barrier, refusals = threading.Barrier(len(deeds)), []

    def do(deed: Callable[[], None]) -> None:
        barrier.wait()
        try:
            deed()
        except OperationError as error:
            refusals.append(error)

    threads = [threading.Thread(target=do, args=(deed,)) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return refusals


def test_a_new_link_ends_the_one_before(core: Cast) -> None:
    first = add_person(core.root, email="anna@people.example").welcome
    second = invite_person(core.root, email="anna@people.example").welcome
    assert first
    assert second
    assert first != second


def test_nobody_disabled_gets_a_link(core: Cast) -> None:
    add_person(core.root, email="root@people.example", is_admin=True)
    add_person(core.root, email="anna@people.example")
    update_person(core.root, email="anna@people.example", is_disabled=True)
    with pytest.raises(Conflict) as refusal:
        invite_person(core.root, email="anna@people.example")
    assert refusal.value.code == "PERSON_DISABLED"


def test_it_is_for_admins_and_says_that_a_person_does_not_exist(core: Cast) -> None:
    with pytest.raises(Forbidden):
        update_person(core.alice, email="root@people.example", is_admin=True)
    with pytest.raises(NotFound):
        update_person(core.root, email="nobody@people.example", is_admin=True)
