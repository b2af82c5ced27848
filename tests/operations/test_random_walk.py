"""A long walk over all operations, beside a simple reckoning of what each has to do.

Nothing here is taken from the code under test: the reckoning knows the contract's rules only. After
every step each table has to be what it says, and the nodes have to be told exactly that.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from app.caller import command_line
from app.errors import OperationError
from app.export import build
from app.extensions import db
from app.models import Domain, Mailbox
from app.operations import OPERATIONS
from tests.conftest import PASSWORD, Cast
from tests.operations import ledger
from tests.operations.reckoning import Box, Reckoning

STEPS = 200
DOMAINS = ("example.nl", "parked.nl", "charlie.nl", "new.nl", "never.nl")
LOCAL_PARTS = ("a", "b", "c")
# Who asks, and how often: mostly the owner, or hardly anything would come about.
CALLERS = {"alice": 8, "charlie": 3, "root": 2, "bob": 1}


Step = tuple[str, dict[str, object]]


class Walk:
    """One walk, its steps chosen by one seed."""

    def __init__(self, cast: Cast, seed: int) -> None:
        self.chance = random.Random(seed)
        self.callers = {name: cast.caller(name) for name in CALLERS}
        self.reckoning = Reckoning(ledger.revision(), len(ledger.entries()))
        self.reckoning.owners = {"example.nl": 1, "parked.nl": 1, "charlie.nl": 2}
        self.reckoning.enabled = {"example.nl", "charlie.nl"}
        self.bodies: dict[int, bytes] = {}
        self.codes: set[str | None] = set()

    def step(self) -> None:
        """Do anything at all, and look at everything."""
        steps = [self.on_mailbox] * 12 + [self.on_domain] * 4 + [self.as_admin] * 5 + [self.later]
        self.chance.choice(steps)()
        self.look()

    def on_mailbox(self) -> None:
        email = f"{self.chance.choice(LOCAL_PARTS)}@{self._domain()}"
        hard_delete = self.chance.random() < 0.3
        quota_mb, can_login = self.chance.choice((1024, 5)), self.chance.random() < 0.7
        steps: list[Step] = [
            ("add-user", {"email": email, "password": PASSWORD}),
            ("add-user", {"email": email, "password": PASSWORD}),
            ("remove-user", {"email": email, "hard_delete": hard_delete}),
            ("restore-user", {"email": email}),
            ("update-password", {"email": email, "password": PASSWORD}),
            ("update-user", {"email": email, "quota_mb": quota_mb, "can_login": can_login}),
        ]
        self.in_project(self.chance.choice(steps))

    def on_domain(self) -> None:
        verb = self.chance.choice(("enable-email", "enable-email", "disable-email"))
        self.in_project((verb, {"domain": self._domain()}))

    def _domain(self) -> str:
        return self.chance.choices(DOMAINS, (16, 4, 4, 2, 1))[0]

    def in_project(self, what: Step) -> None:
        name, values = what
        who = self.chance.choices(list(CALLERS), list(CALLERS.values()))[0]
        known = {key: value for key, value in values.items() if key != "password"}
        reckon: Callable[..., str | None] = getattr(self.reckoning, name.replace("-", "_"))
        project = 2 if who == "charlie" else 1
        expected = "FORBIDDEN" if who == "bob" else reckon(project, **known)
        self.expect(expected, lambda: OPERATIONS[name](self.callers[who], **values))

    def as_admin(self) -> None:
        domain, project_id = self._domain(), self.chance.choice((1, 2))
        steps: list[Step] = [
            ("add-domain", {"domain": domain, "project_id": project_id}),
            ("assign-domain", {"domain": domain, "project_id": project_id}),
            ("remove-domain", {"domain": domain}),
            ("purge", {}),
        ]
        name, values = self.chance.choice(steps)
        expected = getattr(self.reckoning, name.replace("-", "_"))(**values)
        self.expect(expected, lambda: OPERATIONS[name](command_line(), **values))

    def later(self) -> None:
        self.reckoning.let_grace_periods_end()
        ledger.let_grace_periods_end()

    def expect(self, expected: str | None, do: Callable[[], object]) -> None:
        code = None
        try:
            do()
        except OperationError as refusal:
            code = refusal.code
        assert code == expected
        self.codes.add(code)
        self.reckoning.entries += code is None

    def look(self) -> None:
        """Every table, and the export, are as they should be."""
        db.session.rollback()
        self._look_at_tables()
        document = ledger.exported()
        body = b"".join(build().chunks(0))
        reckoning = self.reckoning
        live = {email for email, box in reckoning.boxes.items() if box.is_active}
        assert {user["email"] for user in document["users"]} == live
        assert document["domains"] == sorted(reckoning.enabled)
        assert len(document["purge"]) == reckoning.released
        assert document["revision"] == reckoning.revision
        assert document["allow_shrink"] is True
        assert self.bodies.setdefault(reckoning.revision, body) == body

    def _look_at_tables(self) -> None:
        reckoning, feed = self.reckoning, ledger.feed()
        boxes = {
            row.email: Box(
                row.email.partition("@")[2],
                row.purge_at is None,
                row.quota_mb,
                row.can_login,
                row.can_receive,
                row.purge_at == ledger.LONG_AGO,
            )
            for row in db.session.execute(db.select(Mailbox.__table__))
        }
        assert boxes == reckoning.boxes
        assert feed.revision == reckoning.revision
        assert feed.users == sum(box.is_active for box in boxes.values())
        assert len(ledger.entries()) == reckoning.entries
        orders = sorted(ledger.orders().values())
        waiting = reckoning.waiting + reckoning.waiting_and_due
        assert orders == [False] * waiting + [True] * reckoning.released
        domains = db.session.execute(db.select(Domain.__table__)).all()
        assert {row.name: row.project_id for row in domains} == reckoning.owners
        assert {row.name for row in domains if row.email_enabled} == reckoning.enabled


@pytest.mark.long  # what it is for, shorter stories (test_stories) look for as well
@pytest.mark.parametrize("seed", [1, 3])
def test_a_walk_never_leaves_the_reckoning(core: Cast, seed: int) -> None:
    walk = Walk(core, seed)
    for _step in range(STEPS):
        walk.step()
    assert walk.codes >= {
        None, "FORBIDDEN", "DOMAIN_NOT_FOUND", "MAILBOX_NOT_FOUND", "EMAIL_NOT_ENABLED",
        "MAILBOX_EXISTS", "MAILBOX_REMOVED", "MAILBOXES_EXIST",
    }  # fmt: skip
