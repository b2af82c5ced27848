"""Domains whose home is another node: their mail is accepted and passed on, nobody signs in."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from typing import Any, NamedTuple

import pytest

from .fake_panel import Export, FakePanel, digest, export, recipient, user, users
from .mail_node import Node

HOST = "mpi01.example.net"
WAY = f"relay:[{HOST}]:25"
AWAY: dict[str, Any] = {"relays": {"example.nl": HOST}, "domains": ("own.nl",)}
OWN = user("info@own.nl")


def backup(revision: int, *names: str, **changes: Any) -> Export:
    """This node has one mailbox of its own, and accepts mail for these names at example.nl."""
    recipients = tuple(f"{name}@example.nl" for name in names)
    return export([OWN], revision=revision, **{**AWAY, "recipients": recipients, **changes})


def home(revision: int, *names: str, **changes: Any) -> Export:
    """The same mailboxes, all of them this node's own."""
    boxes = [OWN, *(user(f"{name}@example.nl") for name in names)]
    return export(boxes, revision=revision, domains=("example.nl", "own.nl"), **changes)


def content(node: Node) -> list[list[Any]]:
    """The arrays of an answer in format 2, as the database holds them."""
    relays = node.rows("SELECT domain, host FROM relays ORDER BY domain")
    recipients = node.rows("SELECT email, id FROM recipients ORDER BY id")
    return [
        *node.content(),
        [{"domain": domain, "host": host} for domain, host in relays],
        [{"email": email, "id": key} for email, key in recipients],
    ]


def test_it_works(node: Node, panel: FakePanel) -> None:
    panel.publish(backup(1, "info", "sales", relays={"example.nl": HOST, "lost.nl": None}))
    result = node.once(*node.with_maps())
    assert (result.code, result.err) == (0, "")
    assert node.emails() == ["info@own.nl"]
    assert digest(content(node)) == node.meta()["sha256"]
    known = {"info@own.nl", "info@example.nl", "sales@example.nl"}
    assert node.map("mailboxes").keys() == known
    assert node.map("domains").keys() == {"own.nl", "example.nl", "lost.nl"}
    waits = "retry:4.3.2 the home of this domain is lost"
    assert node.map("relays") == {"example.nl": WAY, "lost.nl": waits}
    assert panel.reports[-1]["counts"] == panel.answer["counts"]
    assert "backup of 2 with 2 addresses" in node.status()


def test_changes_of_any_kind_lead_to_the_whole(node: Node, panel: FakePanel) -> None:
    chance = random.Random(27)
    maps = node.with_maps()
    panel.publish(home(1, "a"))
    node.once(*maps)
    for revision in range(2, 40):
        names = chance.sample("abcdefgh", chance.randrange(9))
        host = chance.choice([HOST, "mpi02.example.net", None])
        made = chance.choice([home, backup])
        changes = {"relays": {"example.nl": host}} if made is backup else {}
        panel.publish(made(revision, *names, **changes))
        result = node.once(*maps)
        assert (result.code, result.err) == (0, "")
        arrays = content(node)
        is_home = made is home
        assert digest(arrays[:3] if is_home else arrays) == panel.answer["sha256"]
        known = {"info@own.nl", *(f"{name}@example.nl" for name in names)}
        assert node.map("mailboxes").keys() == known
        assert node.map("domains").keys() == {"own.nl", "example.nl"}
        assert node.map("relays").keys() == (set() if is_home else {"example.nl"})
    asked = [request["query"] for request in panel.requests]
    assert asked == ["", *(f"since={revision}" for revision in range(1, 39))]


@pytest.mark.parametrize("is_delta", [True, False])
def test_format_1_leaves_nothing_to_relay(node: Node, panel: FakePanel, is_delta: bool) -> None:
    panel.publish(backup(1, "info"))
    node.once(*node.with_maps())
    after = export([OWN], revision=2, domains=("own.nl",))
    if is_delta:
        panel.publish(after)
    else:
        panel.answer = after
    assert node.once(*node.with_maps()).code == 0
    assert content(node)[3:] == [[], []]
    assert node.map("relays") == {}
    assert node.map("mailboxes").keys() == {"info@own.nl"}


# ── A home that moves ────────────────────────────────────────────────────────────────────────


class Seen(NamedTuple):
    """What Postfix read after a writing of the maps, and who was Dovecot's meanwhile."""

    relays: list[str]
    domains: list[str]
    mailboxes: list[str]
    users: list[str]


class Watched:
    """Maps whose every version is kept, with the state that Dovecot had then."""

    def __init__(self, node: Node) -> None:
        self.node, self.folder = node, node.folder / "seen"
        self.folder.mkdir()
        number = f"$(wc -l < {node.mapped})"
        keep = " ".join(
            f'cdb:*/{name}) cp "${{a#cdb:}}" {self.folder}/{number}.{name};;'
            for name in Seen._fields[:3]
        )
        script = f'for a; do case "$a" in {keep} esac; done\n'
        script += f"for e in '' -wal; do cp {node.database}$e {self.folder}/{number}.db$e; done"
        self.maps = node.with_maps(f"{{ {script}\n}} 2>/dev/null")

    def last(self, count: int) -> list[Seen]:
        number = self.node.maps_written()
        return [self._seen(at) for at in range(number - count + 1, number + 1)]

    def _seen(self, number: int) -> Seen:
        lines = [
            [
                line.split()[0]
                for line in (self.folder / f"{number}.{name}").read_text().splitlines()
            ]
            for name in Seen._fields[:3]
        ]
        with closing(sqlite3.connect(self.folder / f"{number}.db")) as state:
            found = state.execute("SELECT email FROM users ORDER BY email").fetchall()
        relays, domains, mailboxes = map(sorted, lines)
        return Seen(relays, domains, mailboxes, [email for (email,) in found])


@pytest.fixture
def watched(node: Node) -> Watched:
    return Watched(node)


BOTH, KNOWN = ["example.nl", "own.nl"], ["info@example.nl", "info@own.nl"]


def test_mail_is_passed_on_before_the_rows_go(
    node: Node, panel: FakePanel, watched: Watched
) -> None:
    panel.publish(home(1, "info"))
    node.once(*watched.maps)
    panel.publish(backup(2, "info"))
    node.once(*watched.maps)
    before, after = watched.last(2)
    assert before == Seen(["example.nl"], BOTH, KNOWN, KNOWN)
    assert after == Seen(["example.nl"], BOTH, KNOWN, ["info@own.nl"])


def test_mail_stays_here_after_the_rows_came(
    node: Node, panel: FakePanel, watched: Watched
) -> None:
    panel.publish(backup(1, "info"))
    node.once(*watched.maps)
    panel.publish(home(2, "info"))
    node.once(*watched.maps)
    before, after = watched.last(2)
    assert before == Seen(["example.nl"], BOTH, KNOWN, ["info@own.nl"])
    assert after == Seen([], BOTH, KNOWN, KNOWN)


def test_a_new_address_comes_and_one_goes_with_the_move(
    node: Node, panel: FakePanel, watched: Watched
) -> None:
    panel.publish(home(1, "info", "old"))
    node.once(*watched.maps)
    panel.publish(backup(2, "info", "new"))
    node.once(*watched.maps)
    before, after = watched.last(2)
    assert before.mailboxes == KNOWN
    assert after.mailboxes == [*KNOWN, "new@example.nl"]


def test_a_home_that_moves_removes_no_mail(node: Node, panel: FakePanel) -> None:
    panel.publish(home(1, "info"))
    mail = node.folder / "mail"
    key = recipient("info@example.nl")["id"]
    message = mail / key / "Maildir/new/1"
    message.parent.mkdir(parents=True)
    message.touch()
    options = ("--mail", str(mail), "--doveadm", node.doveadm())
    node.once(*options)
    panel.publish(backup(2, "info"))
    assert node.once(*options).code == 0
    assert node.kicks() == ["[kick][info@example.nl]"]
    panel.publish(backup(3))
    assert node.once(*options).code == 0
    assert message.exists()
    panel.publish(backup(4, purge=[key]))
    node.once(*options)
    assert not message.exists()


def test_a_state_of_an_older_agent_is_taken_over(node: Node, panel: FakePanel) -> None:
    maps = node.with_maps()
    panel.publish(home(1, "info"))
    node.once(*maps)
    node.change("DROP TABLE relays; DROP TABLE recipients;")
    (node.maps / "relays.cdb").unlink()
    assert "2 mailboxes" in node.status()
    panel.publish(backup(2, "info"))
    result = node.once(*maps)
    assert (result.code, result.err) == (0, "")
    assert node.map("relays") == {"example.nl": WAY}
    assert digest(content(node)) == panel.answer["sha256"]


# ── What is refused ──────────────────────────────────────────────────────────────────────────

GOOD = backup(2, "info")
ROW = recipient("info@example.nl")
WRONG: dict[str, tuple[Export, str]] = {
    "without recipients": (
        {name: value for name, value in GOOD.items() if name != "recipients"},
        "missing",
    ),
    "relays in format 1": ({**GOOD, "format": 1}, "unknown field"),
    "a relay with a port": (backup(2, relays={"example.nl": "mpi01.example.net:26"}), "host"),
    "a relay to an address": (backup(2, relays={"example.nl": "192.0.2.1"}), "host"),
    "a relay to nothing": (backup(2, relays={"example.nl": ""}), "host"),
    "a relay with more": (
        {**GOOD, "relays": [{"domain": "example.nl", "host": HOST, "port": 25}]},
        "exactly",
    ),
    "a recipient with a hash": ({**GOOD, "recipients": [user("info@example.nl")]}, "exactly"),
    "a recipient without a relay": (backup(2, "info", relays={"other.nl": HOST}), "not listed"),
    "a recipient of its own": (
        export([OWN], revision=2, **{**AWAY, "recipients": ("x@own.nl",)}),
        "not listed",
    ),
    "a recipient with a tag": (
        {**GOOD, "recipients": [{**ROW, "email": "a+b@example.nl"}]},
        "address",
    ),
    "a recipient twice": ({**GOOD, "recipients": [ROW, {**ROW, "id": "a" * 32}]}, "twice"),
    "a domain that is own and relayed": (
        backup(2, relays={"own.nl": HOST, "example.nl": HOST}),
        "both here",
    ),
    "a mailbox that is own and relayed": (
        export([{**OWN, "id": ROW["id"]}], revision=2, **AWAY, recipients=("info@example.nl",)),
        "both here",
    ),
    "an order to purge a recipient": (backup(2, "info", purge=[ROW["id"]]), "still there"),
    "another digest": ({**GOOD, "sha256": "0" * 64}, "sha256"),
    "the digest of format 1": (
        {**GOOD, "sha256": digest([GOOD[name] for name in ("domains", "users", "aliases")])},
        "sha256",
    ),
    "another count": ({**GOOD, "counts": {**GOOD["counts"], "recipients": 2}}, "counts"),
}


@pytest.mark.parametrize("name", WRONG)
def test_it_rejects_the_whole_for_one_mistake(node: Node, panel: FakePanel, name: str) -> None:
    panel.publish(home(1, "info"))
    node.once()
    before = node.everything()
    answer, reason = WRONG[name]
    panel.always(answer)
    result = node.once()
    assert (result.code, reason in result.err) == (1, True), result.err
    assert node.everything() == before


def test_addresses_do_not_go_unless_it_is_meant(node: Node, panel: FakePanel) -> None:
    names = [f"user{number}" for number in range(20)]
    panel.publish(backup(1, *names))
    node.once()
    panel.answer = backup(2, *names[:10])
    assert "more than a fifth" in node.once().err
    panel.answer = backup(2, *names[:10], allow_shrink=True)
    assert node.once().code == 0
    panel.answer = export([OWN, *users(10)], revision=3, domains=("example.nl", "own.nl"))
    assert node.once().code == 0


def test_a_postfix_that_is_not_prepared_is_no_backup(node: Node, panel: FakePanel) -> None:
    panel.publish(home(1, "info"))
    maps = node.with_maps()
    node.once(*maps)
    postconf = node.folder / "postconf"
    postconf.write_text("#!/bin/sh\ntest \"$*\" = '-h transport_maps'\n")
    postconf.chmod(0o700)
    before = node.everything()
    panel.publish(backup(2, "info"))
    assert "run the installer again" in node.once(*maps).err
    assert node.everything() == before
    assert node.map("relays") == {}
    postconf.write_text("#!/bin/sh\necho cdb:/var/lib/mailcote/maps/relays\n")
    assert node.once(*maps).code == 0
