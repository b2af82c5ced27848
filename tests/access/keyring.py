"""Every kind of credential there is, those that open something and those that open nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from flask import Flask

from app import clock, sessions
from app.caller import command_line
from app.config import Settings
from app.credentials import (
    ACCESS,
    HALF_SESSION,
    REFRESH,
    TOKEN,
    WELCOME,
    digest,
    make,
)
from app.extensions import db
from app.models import (
    Assistant,
    HalfSession,
    Mailbox,
    OAuthClient,
    OAuthToken,
    PasswordLink,
    Person,
    SyncKey,
    WebSession,
)
from app.operations import OPERATIONS
from tests.conftest import PASSWORD, Cast
from tests.oauth.program import RESOURCE
from tests.web.conftest import Browser

METRICS_TOKEN = "m" * 32
LONG_AGO, FAR_AHEAD = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"


@dataclass
class Keyring:
    """Browsers by who sits at them, and what programs can send by what it is."""

    app: Flask
    browsers: dict[str, Browser] = field(default_factory=dict)
    bearers: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def browser(self, name: str) -> Iterator[Browser]:
        """Somebody's browser; who has yet to set up a second factor is asked for one."""
        settings: Settings = self.app.extensions["mailcote"]
        if name == "not-set-up":
            self.app.extensions["mailcote"] = replace(settings, two_factor="admins")
        try:
            yield self.browsers[name]
        finally:
            self.app.extensions["mailcote"] = settings

    def headers(self, name: str) -> dict[str, str]:
        """What a program sends with this credential."""
        return {} if name == "nothing" else {"Authorization": f"Bearer {self.bearers[name]}"}


def cut_keys(app: Flask, cast: Cast) -> Keyring:
    """Make all of them; the panel has to have the cast and their people."""
    keys = Keyring(app)
    keys.bearers = {
        "write": cast.tokens["alice"],
        "read": cast.tokens["bob"],
        "other": cast.tokens["charlie"],
        "admin": cast.tokens["root"],
        "node": cast.sync_key,
        "figures": METRICS_TOKEN,
        "unknown-token": make(TOKEN),
    }
    with app.app_context():
        add = OPERATIONS["add-person"]
        add(command_line(), email="disabled@people.example", password=PASSWORD, projects=[1])
        keys.bearers |= _tokens() | _assistants() | _keys_of_nodes() | _links()
        keys.browsers = _browsers(app)
        keys.bearers["session-credential"] = _session_of("alice").credential
        db.session.commit()
    for browser in keys.browsers.values():  # for their form tokens
        browser.get("/sign-in")
        browser.get("/account")
    return keys


def _tokens() -> dict[str, str]:
    add, operator = OPERATIONS["add-token"], command_line()
    made = {
        "admin-read": add(operator, name="admin-read", scope="read").text,
        "expired-token": add(operator, name="expired", project_id=1, days=1).text,
        "revoked-token": add(operator, name="revoked", project_id=1).text,
    }
    for name, column in (("expired", "expires_at"), ("revoked", "revoked_at")):
        db.session.execute(
            db.text(f"UPDATE tokens SET {column} = :at WHERE name = :name"),
            {"at": LONG_AGO, "name": name},
        )
    db.session.commit()
    return made


def _assistants() -> dict[str, str]:
    """What each of them holds: the person, the project it was let into, what it may do there."""
    client = OAuthClient(client_id="https://helper.example/x", name="Helper", redirect_uris="")
    db.session.add(client)
    db.session.flush()
    held = {
        "via": _let_in(client, "alice", 1, "write"),
        "via-read": _let_in(client, "alice", 1, "read"),
        "via-other": _let_in(client, "charlie", 2, "write"),
        "via-admin": _let_in(client, "root", None, "write"),
        "via-admin-read": _let_in(client, "root", None, "read"),
        "via-disabled": _let_in(client, "disabled", 1, "write"),
        "via-disconnected": _let_in(client, "alice", 1, "write", revoked_at=LONG_AGO),
        "via-expired": _let_in(client, "alice", 1, "write", until=LONG_AGO),
        "refresh-token": _let_in(client, "alice", 1, "write", kind="refresh"),
    }
    db.session.commit()
    return held


def _let_in(
    client: OAuthClient,
    name: str,
    project_id: int | None,
    scope: str,
    *,
    kind: str = "access",
    until: str = FAR_AHEAD,
    revoked_at: str | None = None,
) -> str:
    assistant = Assistant(
        client_id=client.id,
        person_id=person(name).id,
        project_id=project_id,
        scope=scope,
        resource=RESOURCE,
        revoked_at=revoked_at,
    )
    db.session.add(assistant)
    db.session.flush()
    credential = make(ACCESS if kind == "access" else REFRESH)
    row = {"digest": digest(credential), "assistant_id": assistant.id, "kind": kind}
    db.session.add(OAuthToken(**row, scope=scope, expires_at=until))
    return credential


def _keys_of_nodes() -> dict[str, str]:
    run, operator = OPERATIONS, command_line()
    keys = {
        name: run["add-node"](operator, name=name).sync_key
        for name in ("lost", "removed", "rotated")
    }
    run["lose-node"](operator, name="lost")
    run["remove-node"](operator, name="removed")
    past = db.update(SyncKey).where(SyncKey.digest == digest(keys["rotated"]))
    db.session.execute(past.values(expires_at=LONG_AGO))
    db.session.commit()
    return {
        "key-of-lost": keys["lost"],
        "key-of-removed": keys["removed"],
        "key-expired": keys["rotated"],
    }


def _links() -> dict[str, str]:
    links = {"welcome-link": make(WELCOME), "password-link": make(WELCOME)}
    OPERATIONS["add-user"](command_line().in_project(1), email="live@example.nl", password=PASSWORD)
    mailbox = db.session.scalars(db.select(Mailbox)).one()
    invited = OPERATIONS["add-person"](command_line(), email="invited@people.example").person
    db.session.add(
        PasswordLink(
            mailbox_id=mailbox.id, digest=digest(links["password-link"]), expires_at=FAR_AHEAD
        )
    )
    db.session.get_one(Person, invited.id).welcome_digest = digest(links["welcome-link"])
    db.session.commit()
    return links


def _browsers(app: Flask) -> dict[str, Browser]:
    """A session each; what became of it since is done to its row."""
    rows = {
        "over": ("alice", None),
        "idle": ("alice", {"seen_at": LONG_AGO}),
        "disabled": ("disabled", {}),
        "customer": ("alice", {}),
        "admin": ("root", {}),
        "unproven": ("root", {"proven_at": clock.from_now(seconds=-sessions.PROOF_SECONDS - 1)}),
        "not-set-up": ("root", {}),
    }
    browsers = {"nobody": Browser(app, app.test_client())}
    for kind, (name, changes) in rows.items():
        credential = _session_of(name).credential
        row = WebSession.digest == digest(credential)
        if changes is None:
            db.session.execute(db.delete(WebSession).where(row))
        elif changes:
            db.session.execute(db.update(WebSession).where(row).values(changes))
        db.session.commit()  # the next session begins with what is committed
        browsers[kind] = _browser_with(app, "_user_id", credential)
    half = make(HALF_SESSION)
    db.session.add(HalfSession(digest=digest(half), person_id=person("alice").id))
    browsers["half"] = _browser_with(app, "half", half)
    db.session.execute(
        db.update(Person).where(Person.email.startswith("disabled@")).values(disabled_at=LONG_AGO)
    )
    db.session.commit()
    return browsers


def _session_of(name: str) -> sessions.Begun:
    return sessions.begin_for(person(name), address="192.0.2.1", user_agent="")


def _browser_with(app: Flask, name: str, credential: str) -> Browser:
    browser = Browser(app, app.test_client())
    with browser.client.session_transaction() as kept:
        kept[name] = credential
    return browser


def person(name: str) -> Person:
    """One of the people."""
    email = f"{name}@people.example"
    found: Person = db.session.scalars(db.select(Person).where(Person.email == email)).one()
    return found
