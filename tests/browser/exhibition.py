"""A panel on which every state of every page can be seen. Tests look at it and change nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path
from urllib.parse import urlencode

from app import clock, sessions
from app.caller import caller_with_token
from app.database import write_transaction
from app.demo import example
from app.dns.records import Record
from app.dns.verdicts import RecordState, Verdict
from app.extensions import db
from app.models import (
    Assistant,
    Call,
    DnsCheck,
    Domain,
    DomainClaim,
    Feed,
    HeldCall,
    Mailbox,
    Node,
    OAuthClient,
    OAuthToken,
    Person,
    Project,
    Token,
    TwoFactor,
    ZoneJob,
)
from app.operations import OPERATIONS
from app.operations.zones import records_of
from tests.browser.panel import PASSWORD, Panel

TIRED = "tired"  # proved long ago who they are
CAREFUL = "careful@people.example"  # has a second factor
MANY = 60  # mailboxes, more than two pages
DOCUMENT, CALLBACK = "https://assistant.example/client.json", "https://assistant.example/back"
ASKS = "/oauth/authorize?" + urlencode(
    {
        "response_type": "code",
        "client_id": DOCUMENT,
        "redirect_uri": CALLBACK,
        "code_challenge": "x" * 43,
        "code_challenge_method": "S256",
    }
)
CANARY = '"><svg onload=1>{{7007*7007}}</script>'  # text that somebody may choose


@dataclass
class Exhibition:
    """Who can be signed in, and what cannot be guessed."""

    people: dict[str, tuple[str, str]] = field(default_factory=dict)  # address and password
    welcome: str = ""
    owner: str = ""  # the link of a mailbox that waits for its owner

    def filled(self, path: str) -> str:
        """A path with the links that were made here."""
        return path.replace("WELCOME", self.welcome).replace("OWNER", self.owner)

    def fill(self, panel: Panel, folder: Path) -> None:
        """Put it all into an empty panel."""
        with panel.app.app_context():
            secrets = example.set_up(folder)
        self.people["anna"] = (example.CUSTOMER, secrets.customer_password)
        self.people["admin"] = (example.ADMIN, secrets.admin_password)
        self._bakery(panel)
        self._studio(panel)
        self._beginners(panel)
        self._people(panel)
        _assistants(panel)
        _nodes(panel)
        _reports(panel)
        _asked(panel)
        _zones(panel)

    def _bakery(self, panel: Panel) -> None:
        panel.run("assign-domain", domain="bäckerei.example", project_id=1)
        for name in ("website", "old website", "forgotten", CANARY):
            panel.run("add-token", name=name, scope="read", project_id=1, days=30)
        with panel.app.app_context():
            tokens = {token.name: token for token in db.session.scalars(db.select(Token))}
            tokens["old website"].revoked_at = clock.now()
            tokens["forgotten"].expires_at = clock.from_now(days=-1)
            tokens["website"].last_used_at = clock.from_now(seconds=-300)
            db.session.commit()
            for agent in ("Mozilla/5.0 (iPhone) Version/18.0 Safari/604.1", CANARY):
                email, password = self.people["anna"]
                sessions.sign_in(email, password, address="192.0.2.7", user_agent=agent)

        invited = panel.run("invite-user", project=1, email=f"waiting@{example.BAKERY}")
        self.owner = invited.link.url.rpartition("/")[2]
        panel.run("invite-user", project=1, email=f"nolink@{example.BAKERY}")
        panel.run("revoke-password-link", project=1, email=f"nolink@{example.BAKERY}")

    def _studio(self, panel: Panel) -> None:
        panel.run("assign-domain", domain="a-rather-long-name-for-a-domain.example", project_id=2)
        for number in range(MANY):
            email = f"somebody-{number:02}@{example.STUDIO}"
            panel.mailbox(2, email, quota_mb=512 + number)
        panel.run("update-user", project=2, email=email, can_login=False, can_receive=False)
        self._add(panel, "linde", 1, 2)

    def _beginners(self, panel: Panel) -> None:
        self._add(panel, "first", panel.project("Nothing yet"))
        self._add(panel, "second", panel.project("Off", "off.example", enabled=False))
        self._add(panel, "third", panel.project(CANARY, "on.example"))
        self._add(panel, "nobody")
        self._add(panel, TIRED, 1)
        panel.run("add-domain", domain="unlinked.example")
        gone = panel.project("Only removed", "gone.example")
        panel.mailbox(gone, "was@gone.example")
        panel.run("remove-user", project=gone, email="was@gone.example")

    def _people(self, panel: Panel) -> None:
        made = panel.run("add-person", email="invited@people.example", projects=[1])
        self.welcome = made.welcome
        panel.run("add-person", email="late@people.example", projects=[1])
        panel.run("add-person", email="o'{{7007*7007}}&co@people.example", projects=[1])
        panel.person("disabled", 1)
        panel.person("careful", 1)
        panel.run("update-person", email="disabled@people.example", is_disabled=True)
        with panel.app.app_context():
            late = db.select(Person).where(Person.email == "late@people.example")
            db.session.scalars(late).one().welcome_expires_at = clock.from_now(days=-1)
            careful = db.session.scalars(db.select(Person).where(Person.email == CAREFUL)).one()
            factor = TwoFactor(person_id=careful.id, secret="A" * 32, confirmed_at=clock.now())
            db.session.add(factor)
            db.session.commit()

    def _add(self, panel: Panel, name: str, *projects: int) -> None:
        self.people[name] = (panel.person(name, *projects), PASSWORD)


def _assistants(panel: Panel) -> None:
    """One that anna let in, and calls of it and of another program."""
    with panel.app.app_context():
        anna = db.session.scalars(
            db.select(Person.id).where(Person.email == example.CUSTOMER)
        ).one()
        client = OAuthClient(
            client_id=DOCUMENT,
            name="Claude",
            redirect_uris=CALLBACK,
            fresh_until=clock.from_now(days=1),
            used_at=clock.now(),
        )
        db.session.add(client)
        db.session.flush()
        known = Assistant(
            client_id=client.id, person_id=anna, project_id=1, scope="write", resource="x"
        )
        db.session.add(known)
        db.session.flush()
        held = {"assistant_id": known.id, "expires_at": clock.from_now(days=1)}
        db.session.add(OAuthToken(digest="1" * 64, kind="refresh", scope="write", **held))
        actor = f"person {example.CUSTOMER} through Claude"
        for program, outcome in (("claude", "done"), ("curl", "MAILBOX_EXISTS"), ("", "done")):
            db.session.add(
                Call(
                    project_id=1,
                    program=program,
                    actor=actor,
                    operation="add-user",
                    outcome=outcome,
                    at=clock.now(),
                    count=2,
                )
            )
        db.session.commit()


def _nodes(panel: Panel) -> None:
    """One in each state; the demo's own waits for its first sync."""
    for name, silent in (("mpi01", -3600), ("mpi02", 130), ("mpi03", 7200), ("mpi04", 60)):
        panel.run("add-node", name=name, ip_address="192.0.2.0/24")
        with panel.app.app_context():
            feed = db.session.scalars(db.select(Feed)).one()
            node = db.session.scalars(db.select(Node).where(Node.name == name)).one()
            node.last_sync_at = clock.from_now(seconds=-silent)
            node.applied_epoch, node.applied_revision = feed.epoch, feed.revision - silent % 7
            node.agent_version = "0.3.0"
            db.session.commit()
    panel.run("rotate-node-key", name="mpi02", overlap_hours=24)
    for name in ("mpi01", "mpi02"):
        panel.run("update-node", name=name, host=f"{name}.example.net")
    panel.run("assign-domain", domain="homed.example", project_id=1)
    panel.run("set-home-node", domain="homed.example", node="mpi02")
    panel.run("pause-node", name="mpi04")
    panel.run("rotate-node-key", name="mpi03", overlap_hours=24, key_as_link=True)


def _asked(panel: Panel) -> None:
    """Calls of an assistant in each state: one waits, the others are over."""
    text = panel.run("add-token", name="assistant", project_id=1).text
    with panel.app.app_context():
        db.session.execute(db.update(Project).where(Project.id == 1).values(needs_approval=True))
        db.session.commit()
        caller = replace(caller_with_token(f"Bearer {text}", "::1"), is_assistant=True)
        for number in range(1, 6):
            email = f"asked-{number}@{example.BAKERY}"
            OPERATIONS["invite-user"](caller.in_project(1), email=email)
            OPERATIONS["remove-user"](caller.in_project(1), email=email)
        for number, state in ((3, "refused"), (4, "approved"), (5, "failed")):
            call = db.session.get_one(HeldCall, number)
            call.state, call.decided_at = state, clock.now()
            call.decided_by = f"person {example.CUSTOMER}"
            call.problem = "There is no such mailbox." if state == "failed" else None
        db.session.get_one(HeldCall, 2).expires_at = clock.now()
        db.session.commit()


def _reports(panel: Panel) -> None:
    """What a node tells of itself and of mailboxes, all that can be wrong; one that is lost."""
    report: dict[str, object] = {
        "reported_at": clock.now(),
        "reported": {"epoch": None, "revision": None, "sha256": None, "counts": {"users": 1234}},
        "dovecot_version": "2.3.19.1 (9b53102964)",
        "postfix_version": "3.7.11",
        "os": "Debian GNU/Linux 12",
        "disk_free_mb": 200,
        "has_drifted": True,
        "error": f"the mail disk is read-only {CANARY}",
        "rejected": [{"email": f"{CANARY}@example.nl", "why": "no hash"}] * 12,
    }
    for name in ("lost", "mpi05"):
        key = panel.run("add-node", name=name).sync_key
        _tell_of_mailboxes(panel, {"Authorization": f"Bearer {key}"})
    panel.run("lose-node", name="lost")
    with panel.app.app_context():
        db.session.execute(db.update(Node).where(Node.name == "mpi03").values(report))
        db.session.commit()


def _tell_of_mailboxes(panel: Panel, authorization: dict[str, str]) -> None:
    """As a node does that has fetched them: one half full, one nearly, one over its limit."""
    node = panel.app.test_client()
    node.get("/sync/v1/export", headers=authorization)
    with panel.app.app_context():
        live = db.select(Mailbox).where(Mailbox.purge_at.is_(None)).order_by(Mailbox.email)
        mailboxes = list(db.session.scalars(live.limit(3)))
    shares = zip(mailboxes, (50, 90, 130), strict=True)
    usage = [
        {"id": mailbox.id, "bytes": mailbox.quota_mb * 2**20 * share // 100, "messages": 1234}
        for mailbox, share in shares
    ]
    report = {"epoch": None, "revision": None, "usage": usage}
    report["last_login"] = [{"id": mailboxes[0].id, "at": clock.now()}]
    answer = node.post("/sync/v1/report", json=report, headers=authorization)
    assert answer.status_code == 204, answer.text


def _zones(panel: Panel) -> None:
    """Domains in every state that the DNS can put them in, with records in each of theirs."""
    for number, state in enumerate(("pending", "receiving", "ready", "attention", "blocked")):
        name = f"{state}.zone.example"
        panel.run("assign-domain", domain=name, project_id=1)
        panel.run("enable-email", project=1, domain=name)
        with panel.app.app_context(), write_transaction() as session:
            row = session.scalars(db.select(Domain).where(Domain.name == name)).one()
            check = session.get_one(DnsCheck, row.id)
            check.state, check.checked_at = state, clock.from_now(seconds=-60 * number)
            check.next_at = clock.from_now(days=30)
            check.provider = CANARY
            check.records = [
                _verdict(record, found, check.checked_at).to_json()
                for record, found in zip(records_of(row), cycle(_FOUND), strict=False)
            ]
    panel.run("update-domain", domain="pending.zone.example", registered_here=True)
    panel.run("update-domain", domain="ready.zone.example", registered_here=True)
    for name in ("wanted.zone.example", "xn--knigin-wxa.example"):
        panel.run("link-domain", project=1, domain=name)
    with panel.app.app_context(), write_transaction() as session:
        job = session.get_one(ZoneJob, "pending.zone.example")
        job.problem, job.next_at = f"The name server refuses {CANARY}.", clock.from_now(days=1)
        session.get_one(ZoneJob, "ready.zone.example").done_at = clock.now()
        claim = session.scalars(db.select(DomainClaim).order_by(DomainClaim.name)).first()
        assert claim
        claim.problem, claim.checked_at = f"There is {CANARY} instead.", clock.now()


_FOUND: tuple[RecordState, ...] = ("ok", "different", "conflict", "missing")


def _verdict(record: Record, state: RecordState, checked_at: str) -> Verdict:
    """A verdict with all that it can have."""
    if state == "ok":
        return Verdict(record, state, (), None, None, checked_at, checked_at)
    other = "v=spf1 include:elsewhere.example ~all"
    merged = other if state == "different" else None
    advice = f"Mail goes to {CANARY}: replace it."
    return Verdict(record, state, (CANARY, other), advice, merged, checked_at, checked_at)
