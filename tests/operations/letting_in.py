"""People, and an assistant that wants to be let in."""

from __future__ import annotations

from typing import Any

from app.caller import Caller, command_line
from app.credentials import CLIENT, make
from app.database import write_transaction
from app.extensions import db
from app.models import Assistant, OAuthClient, Person
from app.operations import OPERATIONS
from app.sessions import caller_of
from tests.conftest import PASSWORD


def caller_named(name: str, **values: Any) -> Caller:
    """Somebody who is signed in."""
    email = f"{name}@people.example"
    OPERATIONS["add-person"](command_line(), email=email, password=PASSWORD, **values)
    person = db.session.scalars(db.select(Person).where(Person.email == email)).one()
    return caller_of(person, "192.0.2.1")


def registered() -> str:
    """A client's id."""
    client_id = make(CLIENT)
    with write_transaction() as session:
        session.add(OAuthClient(client_id=client_id, name="Helper", redirect_uris=""))
    return client_id


def request(client: str, **changes: Any) -> dict[str, Any]:
    """What it is let in with."""
    return {
        "client": client,
        "scope": "write",
        "redirect_uri": "http://127.0.0.1/callback",
        "challenge": "x" * 43,
        "resource": "http://127.0.0.1:8000/mcp",
        **changes,
    }


def assistants() -> list[Assistant]:
    """All that were ever let in."""
    db.session.rollback()
    return list(db.session.scalars(db.select(Assistant).order_by(Assistant.id)))
