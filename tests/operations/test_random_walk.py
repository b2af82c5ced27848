"""A long walk over all operations, beside a simple reckoning of what each has to do.

Nothing here is taken from the code under test: the reckoning knows the contract's rules only. After
every step each table has to be what it says, and the nodes have to be told exactly that.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from app.caller import command_line
from app.errors import OperationError
from app.export import build
from app.extensions import db
from app.models import Domain, Mailbox
from app.operations import OPERATIONS
from tests.conftest import PASSWORD, Cast
from tests.operations import ledger

STEPS = 200
DOMAINS = ("example.nl", "parked.nl", "charlie.nl", "new.nl", "never.nl")
LOCAL_PARTS = ("a", "b", "c")
# Who asks, and how often: mostly the owner, or hardly anything would come about.
CALLERS = {"alice": 8, "charlie": 3, "root": 2, "bob": 1}


Step = tuple[str, dict[str, object]]


@dataclass
class Box:
    """A mailbox as it should be."""

    domain: str
    is_active: bool = True
    quota_mb: int = 1024
    can_login: bool = True
    can_receive: bool = True
    is_due: bool = False


@dataclass
class Reckoning:
    """What the panel should hold. Each verb answers the code of a refusal, or None."""

    revision: int
    entries: int
    owners: dict[str, int | None] = field(default_factory=dict)
    enabled: set[str] = field(default_factory=set)
    boxes: dict[str, Box] = field(default_factory=dict)
    waiting: int = 0  # purge orders that nodes are not told of yet
    waiting_and_due: int = 0
    released: int = 0

    def raise_if(self, is_changed: bool) -> None:
        """Nodes must know, or need not."""
        self.revision += is_changed

    def of(self, domain: str, *, is_active: bool) -> list[str]:
        """The addresses on a domain."""
        return [
            email
            for email, box in self.boxes.items()
            if box.domain == domain and box.is_active == is_active
        ]

    def refusal_of_domain(self, project: int, domain: str) -> str | None:
        """Why a domain cannot be named by this project."""
        return None if self.owners.get(domain) == project else "DOMAIN_NOT_FOUND"

    def refusal_of_mailbox(self, project: int, email: str) -> str | None:
        """Why a mailbox cannot be named by this project."""
        domain = email.partition("@")[2]
        if self.refusal_of_domain(project, domain):
            return "MAILBOX_NOT_FOUND"
        if domain not in self.enabled:
            return "EMAIL_NOT_ENABLED"
        return None if email in self.boxes else "MAILBOX_NOT_FOUND"

    def refusal_of_live(self, project: int, email: str) -> str | None:
        """Why a live mailbox cannot be named by this project."""
        refusal = self.refusal_of_mailbox(project, email)
        return refusal or (None if self.boxes[email].is_active else "MAILBOX_REMOVED")

    def enable_email(self, project: int, domain: str) -> str | None:
        if refusal := self.refusal_of_domain(project, domain):
            return refusal
        self.raise_if(domain not in self.enabled)
        self.enabled.add(domain)
        return None

    def disable_email(self, project: int, domain: str) -> str | None:
        if refusal := self.refusal_of_domain(project, domain):
            return refusal
        if self.of(domain, is_active=True):
            return "MAILBOXES_EXIST"
        self.raise_if(domain in self.enabled)
        self.enabled.discard(domain)
        return None

    def add_user(self, project: int, email: str) -> str | None:
        domain = email.partition("@")[2]
        if refusal := self.refusal_of_domain(project, domain):
            return refusal
        if domain not in self.enabled:
            return "EMAIL_NOT_ENABLED"
        if email in self.boxes:
            return "MAILBOX_EXISTS" if self.boxes[email].is_active else "MAILBOX_REMOVED"
        self.boxes[email] = Box(domain)
        self.raise_if(True)
        return None

    def remove_user(self, project: int, email: str, hard_delete: bool) -> str | None:
        if refusal := self.refusal_of_mailbox(project, email):
            return refusal
        self.raise_if(hard_delete or self.boxes[email].is_active)
        if hard_delete:
            del self.boxes[email]
            self.released += 1
        else:
            self.boxes[email].is_active = False
        return None

    def restore_user(self, project: int, email: str) -> str | None:
        if refusal := self.refusal_of_mailbox(project, email):
            return refusal
        self.raise_if(not self.boxes[email].is_active)
        self.boxes[email].is_active, self.boxes[email].is_due = True, False
        return None

    def update_password(self, project: int, email: str) -> str | None:
        refusal = self.refusal_of_live(project, email)
        self.raise_if(refusal is None)
        return refusal

    def update_user(self, project: int, email: str, quota_mb: int, can_login: bool) -> str | None:
        if refusal := self.refusal_of_live(project, email):
            return refusal
        box = self.boxes[email]
        self.raise_if((box.quota_mb, box.can_login) != (quota_mb, can_login))
        box.quota_mb, box.can_login = quota_mb, can_login
        return None

    def add_domain(self, domain: str, project_id: int) -> str | None:
        if domain in self.owners:
            return "DOMAIN_EXISTS"
        self.owners[domain] = project_id
        return None

    def remove_domain(self, domain: str) -> str | None:
        if domain not in self.owners:
            return "DOMAIN_NOT_FOUND"
        if self.of(domain, is_active=True):
            return "MAILBOXES_EXIST"
        self._let_go(domain)
        del self.owners[domain]
        return None

    def assign_domain(self, domain: str, project_id: int) -> str | None:
        if self.owners.get(domain) not in (None, project_id):
            if self.of(domain, is_active=True):
                return "MAILBOXES_EXIST"
            self._let_go(domain)
        self.owners[domain] = project_id
        return None

    def _let_go(self, domain: str) -> None:
        for email in self.of(domain, is_active=False):
            is_due = self.boxes.pop(email).is_due
            self.waiting += not is_due
            self.waiting_and_due += is_due
        self.raise_if(domain in self.enabled)
        self.enabled.discard(domain)

    def purge(self) -> str | None:
        due = [email for email, box in self.boxes.items() if box.is_due]
        for email in due:
            del self.boxes[email]
        self.raise_if(bool(due) or self.waiting_and_due > 0)
        self.released += len(due) + self.waiting_and_due
        self.waiting_and_due = 0
        return None

    def let_grace_periods_end(self) -> None:
        for box in self.boxes.values():
            box.is_due = not box.is_active
        self.waiting, self.waiting_and_due = 0, self.waiting + self.waiting_and_due


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


@pytest.mark.parametrize("seed", [1, pytest.param(3, marks=pytest.mark.long)])
def test_a_walk_never_leaves_the_reckoning(core: Cast, seed: int) -> None:
    walk = Walk(core, seed)
    for _step in range(STEPS):
        walk.step()
    assert walk.codes >= {
        None, "FORBIDDEN", "DOMAIN_NOT_FOUND", "MAILBOX_NOT_FOUND", "EMAIL_NOT_ENABLED",
        "MAILBOX_EXISTS", "MAILBOX_REMOVED", "MAILBOXES_EXIST",
    }  # fmt: skip
