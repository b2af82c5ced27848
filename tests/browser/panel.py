"""A panel as it runs in production, on a free port and with a folder of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask

from app import create_app, upgrade
from app.caller import command_line
from app.config import PREFIX, Settings
from app.extensions import db
from app.models import Mailbox, Node, Person, WebSession
from app.operations import OPERATIONS
from tests.applications import let_go
from tests.nameless import resolver
from tests.processes import eventually, free_port, is_listening, process

ROOT = Path(__file__).parents[2]
PASSWORD = "a people's password"
_OURS = {
    "MAILBOX_BCRYPT_COST": "4",
    "PERSON_BCRYPT_COST": "4",
    "RATE_WRONG_CREDENTIALS": "0",
    "RATE_SIGN_INS": "0",
    "RATE_WRITES": "0",
    "MAIL_HOST": "mail.mailcote.example",
    "WORKERS": "2",
}


@dataclass(frozen=True)
class Panel:
    """A running server; operations go to the same database, past the pages."""

    url: str
    app: Flask

    def run(self, operation: str, *, project: int | None = None, **values: Any) -> Any:
        """Run an operation as the operator, acting in a project if one is given."""
        with self.app.app_context():
            caller = command_line()
            return OPERATIONS[operation](
                caller.in_project(project) if project else caller, **values
            )

    def project(self, name: str, *domains: str, enabled: bool = True) -> int:
        """A project with domains; its number."""
        with self.app.app_context():
            number: int = OPERATIONS["add-project"](command_line(), name=name).id
        for domain in domains:
            self.run("assign-domain", domain=domain, project_id=number)
            if enabled:
                self.run("enable-email", project=number, domain=domain)
        return number

    def person(self, name: str, *projects: int, is_admin: bool = False) -> str:
        """Somebody who signs in with PASSWORD; their address."""
        email = f"{name}@people.example"
        self.run(
            "add-person",
            email=email,
            password=PASSWORD,
            is_admin=is_admin,
            projects=list(projects),
        )
        return email

    def fill(self, email: str, percent_used: int) -> None:
        """Let a mailbox be as full as a node would have reported."""
        with self.app.app_context():
            full = db.update(Mailbox).where(Mailbox.email == email)
            db.session.execute(full.values(percent_used=percent_used))
            db.session.commit()

    def forget_proofs(self, email: str) -> None:
        """Let it be long ago that somebody proved who they are."""
        theirs = db.select(Person.id).where(Person.email == email).scalar_subquery()
        with self.app.app_context():
            query = db.update(WebSession).where(WebSession.person_id == theirs)
            db.session.execute(query.values(proven_at=None))
            db.session.commit()

    def nodes(self) -> list[str]:
        """The names of all nodes."""
        with self.app.app_context():
            return list(db.session.scalars(db.select(Node.name)))

    def mailbox(self, project: int, email: str, **values: Any) -> None:
        """A mailbox."""
        self.run("add-user", project=project, email=email, password=PASSWORD, **values)


@contextmanager
def serve(folder: Path, fill: Callable[[Panel, Path], None]) -> Iterator[Panel]:
    """A panel that is filled first and then served."""
    port = free_port()
    host, resolver_port = resolver()
    asked = {"DNS_RESOLVERS": f"{host}:{resolver_port}"}
    url = f"http://localhost:{port}"  # a name, which passkeys are for
    values = {**_OURS, **asked, "INSTANCE": str(folder), "PUBLIC_URL": url}
    environment = {PREFIX + name: value for name, value in values.items()}
    app = create_app(Settings.from_environment(environment))
    panel = Panel(url, app)
    with app.app_context():
        upgrade.bring_up_to_date()
    fill(panel, folder)
    command = [sys.executable, "-m", "app.cli", "serve", "--port", str(port)]
    around = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    with process(command, around):
        eventually(lambda: is_listening(port))
        yield panel
    let_go(app)
