"""What the page of mailboxes costs in a project of 100 000, beside the same page in one of 100.

Run it with `python -m tests.bench.bench_mailbox_list`.
"""

from __future__ import annotations

import math
import re
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient

from app import clock, create_app, upgrade
from app.caller import command_line
from app.config import Settings
from app.extensions import db
from app.models import Domain, Mailbox
from app.operations import OPERATIONS
from tests.bench.measure import Figure, computed, in_turns, medians, ratio, show

MANY, FEW = 100_000, 100
GOAL = 2.0
TIMES = 30
DOMAIN, PERSON, PASSWORD = "example.nl", "alice@people.example", "a people's password"
PATHS = ("/mailboxes", "/mailboxes?page=2&per=50")
# These read every mailbox of the project: shown beside the others, without a goal.
READERS = ("/mailboxes?sort=-changed", "/mailboxes?q=user7")

Look = Callable[[], None]


def figures() -> Iterator[Figure]:
    """Each address of the page; those that read every mailbox are there to be seen."""
    with opened(MANY) as many, opened(FEW) as few:
        for path in (*PATHS, *READERS):
            rounds = in_turns(
                partial(_cost, partial(look, many, path)), partial(_cost, partial(look, few, path))
            )
            large, small = medians(rounds)
            yield Figure(
                f"{path} of {MANY} mailboxes, beside {FEW}",
                ratio(rounds),
                "x",
                goal=GOAL if path in PATHS else math.inf,
                details=f"{large:.2f} ms of CPU, {small:.2f} ms",
            )


@contextmanager
def opened(count: int) -> Iterator[FlaskClient]:
    """Somebody signed in on a panel with so many mailboxes in their project."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(
            Settings(instance=Path(folder), mailbox_bcrypt_cost=4, person_bcrypt_cost=4)
        )
        with app.app_context():
            upgrade.bring_up_to_date()
            fill(count)
        yield signed_in(app)
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


def fill(count: int) -> None:
    """One project with one domain, its mailboxes, and one person."""
    operator = command_line()
    OPERATIONS["add-project"](operator, name="Project")
    OPERATIONS["assign-domain"](operator, domain=DOMAIN, project_id=1)
    OPERATIONS["enable-email"](operator.in_project(1), domain=DOMAIN)
    OPERATIONS["add-person"](operator, email=PERSON, password=PASSWORD, projects=[1])
    domain_id = db.session.scalars(db.select(Domain.id)).one()
    rows = (mailbox(domain_id, number) for number in range(count))
    db.session.execute(db.insert(Mailbox), list(rows))
    db.session.commit()
    db.session.execute(db.text("ANALYZE"))
    db.session.commit()


def mailbox(domain_id: int, number: int) -> dict[str, object]:
    """A row as an operation would have made it."""
    return {
        "id": uuid.uuid4().hex,
        "domain_id": domain_id,
        "email": f"user{number:06}@{DOMAIN}",
        "password_hash": "{BLF-CRYPT}$2y$04$" + "x" * 53,
        "quota_mb": 1024,
        "created_at": clock.now(),
        "updated_at": clock.from_now(seconds=-number),
        "revision": number,
    }


def signed_in(app: Flask) -> FlaskClient:
    """The browser of the person."""
    client = app.test_client()
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/sign-in").text)
    fields = {"email": PERSON, "password": PASSWORD, "csrf_token": token[1] if token else ""}
    client.post("/sign-in", data=fields)
    return client


def look(client: FlaskClient, path: str) -> None:
    """Open the page."""
    if client.get(path).status_code != 200:
        raise RuntimeError(f"{path} was not shown")


def _cost(work: Look) -> float:
    """Milliseconds that this process computes for one."""

    def several() -> None:
        for _ in range(TIMES):
            work()

    return computed(several) / TIMES


if __name__ == "__main__":
    show(figures())
