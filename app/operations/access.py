"""The verbs of getting in: one-time links, passwords of people, sessions."""

from __future__ import annotations

from typing import Any

from .. import clock
from ..caller import Caller, memberships
from ..credentials import WELCOME, digest, is_well_formed, make
from ..database import is_writing
from ..errors import Conflict, Forbidden, Invalid, NotFound
from ..extensions import db, settings
from ..fields import Flag, Id, Password, PersonEmail, ProjectId, Text
from ..models import HalfSession, Membership, Person, Project, WebSession
from ..passwords import NewPassword, matches
from ..throttle import give_back_sign_in, take_sign_in
from .assistants import disconnect_all, disconnect_what_is_out_of_reach
from .operation import operation
from .panel import WELCOME_DAYS, NewPerson
from .seen import Shown, of_person


def welcomed(token: str) -> Person | None:
    """The person a one-time link is for; None when it was used, replaced, or is too old."""
    if not is_well_formed(token, WELCOME):
        return None
    query = db.select(Person).where(
        Person.welcome_digest == digest(token),
        Person.welcome_expires_at > clock.now(),
        Person.disabled_at.is_(None),
    )
    if is_writing():
        query = query.with_for_update()  # of two who use it at once, the second comes too late
    person: Person | None = db.session.scalar(query)
    return person


def _hash_for_welcome(caller: Caller, *, token: str, password: NewPassword) -> None:  # noqa: ARG001
    person = welcomed(token)
    if person:
        password.refuse_if_named_like(person.email, *person.email.split("@"))
        password.hash(settings.person_bcrypt_cost)


@operation(who="self", is_internal=True, first=_hash_for_welcome)
def accept_welcome(caller: Caller, *, token: Text, password: Password) -> Person:  # noqa: ARG001
    """Set the password of the person a one-time link is for; it is used up, all sessions end."""
    person = welcomed(token)
    if person is None:
        raise NotFound("LINK_OVER", "This link has been used or is too old; ask for a new one.")
    person.welcome_digest = person.welcome_expires_at = None
    person.password_hash = password.hash(settings.person_bcrypt_cost)
    end_sessions(person.id)
    disconnect_all(person.id)
    return person


def _hash_for_self(
    caller: Caller,
    *,
    present: str,
    password: NewPassword,
    keep: int,  # noqa: ARG001
) -> None:
    person = _self(caller)
    email, address = person.email, caller.address or ""
    take_sign_in(email, address)  # who found a browser open guesses as slowly as anybody else
    if not person.password_hash or not matches(present, person.password_hash):
        raise Invalid("This is not your present password.", field="present")
    give_back_sign_in(email, address)
    password.refuse_if_named_like(person.email, *person.email.split("@"))
    password.hash(settings.person_bcrypt_cost)


@operation(who="self", is_internal=True, first=_hash_for_self)
def change_own_password(caller: Caller, *, present: Text, password: Password, keep: Id) -> None:  # noqa: ARG001
    """Change one's own password; all one's sessions end but the one to keep.

    Refused when that one has ended: what it has proven, somebody may have changed meanwhile.
    """
    person = _self(caller)
    _session(person, keep)
    person.password_hash = password.hash(settings.person_bcrypt_cost)
    person.welcome_digest = person.welcome_expires_at = None  # a link from before is over
    end_sessions(person.id, but=keep)
    disconnect_all(person.id)


@operation(who="self", is_internal=True)
def end_session(caller: Caller, *, session_id: Id) -> None:
    """End one of one's own sessions."""
    db.session.delete(_session(_self(caller), session_id))


@operation(who="self", is_internal=True)
def end_other_sessions(caller: Caller, *, keep: Id) -> None:
    """End all of one's own sessions but the one to keep."""
    end_sessions(_self(caller).id, but=keep)


@operation(who="admin", is_internal=True)
def invite_person(caller: Caller, *, email: PersonEmail) -> NewPerson:  # noqa: ARG001
    """Give somebody a new one-time link to choose a password; links from before end."""
    person = _person(email)
    if person.disabled_at:
        raise Conflict("PERSON_DISABLED", f"{email} is disabled; enable the account first.")
    welcome = make(WELCOME)
    person.welcome_digest = digest(welcome)
    person.welcome_expires_at = clock.from_now(days=WELCOME_DAYS)
    return NewPerson(person, welcome)


def _rights_shown(_caller: Caller, given: dict[str, Any]) -> Shown:
    person = _person(given["email"])
    theirs = db.select(Project).join(Membership).where(Membership.person_id == person.id)
    return of_person(person, db.session.scalars(theirs).all())


@operation(who="admin", shows=_rights_shown, is_internal=True)
def update_person(
    caller: Caller,
    *,
    email: PersonEmail,
    is_admin: Flag | None = None,
    is_disabled: Flag | None = None,
    projects: list[ProjectId] | None = None,
) -> Person:
    """Change what somebody may do; disabling ends their sessions. One admin always remains."""
    person = _person(email)
    counted = person.is_admin and person.state == "active"
    if is_admin is not None:
        person.is_admin = is_admin
    if is_disabled is not None:
        person.disabled_at = clock.now() if is_disabled else None
    if is_disabled:
        person.welcome_digest = person.welcome_expires_at = None
        end_sessions(person.id)
    if projects is not None:
        _set_projects(caller, person, set(projects))
    db.session.flush()
    disconnect_what_is_out_of_reach(person)
    if is_disabled or is_admin is False:
        _refuse_without_admin(counted)
    return person


def _set_projects(caller: Caller, person: Person, projects: set[int]) -> None:
    before = memberships(person.id)
    gone = Membership.project_id.in_(before - projects)
    db.session.execute(db.delete(Membership).where(Membership.person_id == person.id, gone))
    for project_id in sorted(projects - before):
        caller.in_project(project_id, field="projects")
        db.session.add(Membership(person_id=person.id, project_id=project_id))


def _refuse_without_admin(had_one: bool) -> None:
    """Two admins removing each other at once would leave none: their rows are locked in order.

    Somebody invited does not stand in for one who can sign in: they may never come.
    """
    passwords = db.session.scalars(
        db.select(Person.password_hash)
        .where(Person.is_admin, Person.disabled_at.is_(None))
        .order_by(Person.id)
        .with_for_update()
    ).all()
    if not passwords or (had_one and not any(passwords)):
        raise Conflict("LAST_ADMIN", "There has to be one admin; make somebody else one first.")


def _person(email: str) -> Person:
    # All admins' rows are locked first: who is the last one must not change meanwhile.
    db.session.scalars(
        db.select(Person.id).where(Person.is_admin).order_by(Person.id).with_for_update()
    ).all()
    person: Person | None = db.session.scalar(db.select(Person).where(Person.email == email))
    if person is None:
        raise NotFound("PERSON_NOT_FOUND", f"There is no person {email}.", field="email")
    return person


def _self(caller: Caller) -> Person:
    """Who is asking, their row locked while a transaction writes: the order is person, session."""
    query = db.select(Person).where(Person.id == caller.person_id)
    if is_writing():
        query = query.with_for_update()
    person: Person | None = db.session.scalar(query)
    if person is None:
        raise Forbidden("Only somebody who is signed in can do this.")
    return person


def _session(person: Person, session_id: int) -> WebSession:
    found = db.session.get(WebSession, session_id)
    if found is None or found.person_id != person.id:
        raise NotFound("SESSION_NOT_FOUND", "This session has ended already.")
    return found


def end_sessions(person_id: int, *, but: int | None = None) -> None:
    """End all of somebody's sessions, and what was half begun; one may stay."""
    query = db.delete(WebSession).where(WebSession.person_id == person_id)
    if but is not None:
        query = query.where(WebSession.id != but)
    db.session.execute(query)
    # Half of one was begun with the password of before.
    db.session.execute(db.delete(HalfSession).where(HalfSession.person_id == person_id))
