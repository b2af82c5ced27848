"""What changed since a revision: applied to what a node held then, it gives the whole state."""

from __future__ import annotations

import gzip
import json
import random
from contextlib import suppress
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from app.caller import command_line
from app.errors import OperationError
from app.export import rows, state
from app.extensions import db
from app.housekeeping import tidy_up
from app.operations import OPERATIONS
from tests.api.answers import assert_failure
from tests.conftest import PASSWORD, Api
from tests.sync.node import DOCUMENT, Node, checked, digest, execute, fill
from tests.sync.on_both import cast, database, settings

__all__ = ["cast", "database", "settings"]
OTHER_EPOCH = "00000000-0000-4000-8000-000000000000"


class Held:
    """What a node holds: applied by the letter of the contract, and nothing taken on trust."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.revision: int = document["revision"]
        self.domains = set(document["domains"])
        self.users = {user["id"]: user for user in document["users"]}

    def apply(self, delta: dict[str, Any]) -> None:
        """Take what is gone away, put in what changed, and compare counts and digest."""
        assert delta.keys() == {*DOCUMENT, "gone"}
        assert delta["full"] is False
        assert delta["gone"].keys() == {"domains", "users", "aliases"}
        assert not set(delta["gone"]["users"]) & {user["id"] for user in delta["users"]}
        assert not set(delta["gone"]["domains"]) & set(delta["domains"])
        for part in (delta["domains"], *delta["gone"].values()):
            assert part == sorted(set(part))
        self.domains = (self.domains - set(delta["gone"]["domains"])) | set(delta["domains"])
        for key in delta["gone"]["users"]:
            self.users.pop(key, None)
        self.users |= {user["id"]: user for user in delta["users"]}
        self.revision = delta["revision"]
        domains, users = sorted(self.domains), [self.users[key] for key in sorted(self.users)]
        assert delta["counts"] == {"domains": len(domains), "users": len(users), "aliases": 0}
        assert delta["sha256"] == digest(domains, users, [])


def test_it_works(api: Api, node: Node) -> None:
    fill(api, "info", "sales")
    held = Held(node.fetch())
    fill(api, "new")
    api("remove-user", email="info@example.nl")
    answer = node.ask(since=str(held.revision))
    delta = answer.get_json()
    assert answer.headers["ETag"] == node.ask().headers["ETag"]
    assert [user["email"] for user in delta["users"]] == ["new@example.nl"]
    assert len(delta["gone"]["users"]) == 1
    held.apply(delta)
    assert held.revision == node.fetch()["revision"]


def test_a_domain_that_is_removed_with_its_email_on_is_gone(api: Api, node: Node) -> None:
    """In that order within one transaction: first the e-mail, then the row."""
    held = Held(node.fetch())
    api("remove-domain", "root", domain="example.nl")
    delta = node.ask(since=str(held.revision)).get_json()
    assert delta["gone"]["domains"] == ["example.nl"]
    held.apply(delta)


def test_it_is_told_to_who_waits(api: Api, node: Node) -> None:
    answer = node.ask()
    fill(api, "info")
    tag, since = answer.headers["ETag"], str(answer.get_json()["revision"])
    delta = node.ask(wait="55", since=since, If_None_Match=tag)
    Held(answer.get_json()).apply(delta.get_json())
    assert node.ask(since=since, If_None_Match=delta.headers["ETag"]).status_code == 304


def test_when_nothing_changed_it_is_empty(api: Api, node: Node) -> None:
    fill(api, "info")
    held = Held(node.fetch())
    delta = node.ask(since=str(held.revision)).get_json()
    held.apply(delta)
    assert (delta["domains"], delta["users"]) == ([], [])


def test_it_is_the_same_bytes(app: Flask, api: Api, node: Node) -> None:
    held = node.fetch()["revision"]
    fill(api, "info")
    first = node.ask(since=str(held))
    app.extensions["node_desk"].exports.forget()
    assert node.ask(since=str(held)).data == first.data
    packed = node.ask(since=str(held), Accept_Encoding="gzip")
    assert gzip.decompress(packed.data) == first.data
    assert int(packed.headers["Content-Length"]) == len(packed.data)
    api("remove-user", email="info@example.nl", hard_delete=True)
    after = node.ask(since=str(held)).data
    app.extensions["node_desk"].exports.forget()
    assert node.ask(since=str(held)).data == after


def test_a_revision_of_another_epoch_is_answered_with_everything(api: Api, node: Node) -> None:
    fill(api, "info")
    revision = node.fetch()["revision"]
    tag = f'"{OTHER_EPOCH}-{revision}-mpi01"'
    checked(node.ask(since=str(revision), If_None_Match=tag))


def test_so_is_one_that_has_not_been_or_is_too_old(
    app: Flask, api: Api, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = node.fetch()["revision"]
    fill(api, "info", "sales")
    checked(node.ask(since=str(held + 3)))
    checked(node.ask(since="999999999"))
    monkeypatch.setattr(state, "KEPT", 1)
    checked(node.ask(since=str(held)))
    assert node.ask(since=str(held + 1)).get_json()["full"] is False


def test_what_went_before_it_was_kept_is_answered_with_everything(
    app: Flask, api: Api, node: Node
) -> None:
    """As on a panel that was brought up to date from a version that kept nothing."""
    fill(api, "info")
    held = node.fetch()["revision"]
    execute(app, "UPDATE feed SET deltas_from = revision")
    fill(api, "sales")
    checked(node.ask(since=str(held - 1)))
    assert node.ask(since=str(held)).get_json()["full"] is False
    execute(app, "UPDATE feed SET deltas_from = 0")


@pytest.mark.parametrize("since", ["-1", "", "x", "1.0", "01", "9" * 10, "9" * 5000, " 1", "¹"])
def test_it_rejects_other_values(node: Node, since: str) -> None:
    assert_failure(node.ask(since=since), 422, "INVALID_INPUT", "since")


def test_a_damaged_row_is_gone(api: Api, app: Flask, node: Node) -> None:
    fill(api, "info")
    held = Held(node.fetch())
    execute(app, "UPDATE feed SET revision = revision + 1")
    execute(app, "UPDATE mailboxes SET password_hash = 'x', revision = (SELECT revision FROM feed)")
    held.apply(node.ask(since=str(held.revision)).get_json())
    assert held.users == {}


def test_housekeeping_forgets_what_nobody_can_ask_for(
    app: Flask, api: Api, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(api, "info", "sales", "abuse")
    for name in ("info", "sales", "abuse"):
        api("remove-user", email=f"{name}@example.nl", hard_delete=True)
    held = node.fetch()["revision"]
    monkeypatch.setattr(state, "KEPT", 2)
    with app.app_context():
        tidy_up()
        kept = db.session.scalars(text("SELECT revision FROM gone WHERE kind = 'user'")).all()
    assert sorted(kept) == [held - 1, held]
    assert len(node.ask(since=str(held - 2)).get_json()["gone"]["users"]) == 2


# One of these is done at each step; what is refused changes nothing, and that is fine.
NAMES = [f"{name}@{domain}" for domain in ("example.nl", "parked.nl") for name in "abcd"]
DOMAINS = ["example.nl", "parked.nl", "extra.nl"]
ON_DOMAINS = ["enable-email", "disable-email", "remove-domain", "unassign-domain"]


def _step(chance: random.Random) -> list[tuple[str, dict[str, object]]]:
    email, domain = chance.choice(NAMES), chance.choice(DOMAINS)
    linked: list[tuple[str, dict[str, object]]] = [
        ("assign-domain", {"domain": domain, "project_id": 1}),
        ("enable-email", {"domain": domain}),
    ]
    steps: list[list[tuple[str, dict[str, object]]]] = [
        linked,
        [(chance.choice(ON_DOMAINS), {"domain": domain})],
        [("add-user", {"email": email, "password": PASSWORD})],
        [("remove-user", {"email": email})],
        [("remove-user", {"email": email, "hard_delete": True})],
        [("restore-user", {"email": email})],
        [("update-user", {"email": email, "quota_mb": chance.randint(1, 9)})],
        [("update-password", {"email": email, "password": PASSWORD})],
        [("purge", {})],
    ]
    return chance.choice(steps)


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.long) for n in (1, 2))])
def test_a_random_walk_leads_to_the_same_from_everywhere(
    app: Flask, node: Node, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "ROWS_AT_A_TIME", 3)
    chance, caller = random.Random(seed), command_line().in_project
    states = {(start := node.fetch())["revision"]: start}
    for _ in range(100):
        with app.app_context():
            for name, values in _step(chance):
                with suppress(OperationError):
                    OPERATIONS[name](caller(1), **values)
            if chance.random() < 0.1:
                db.session.execute(text("UPDATE mailboxes SET purge_at = '2020-01-01T00:00:00Z' "
                                        "WHERE purge_at IS NOT NULL"))  # fmt: skip
                db.session.commit()
        document = node.fetch()
        states[document["revision"]] = document
        for since in {*chance.sample([*states], min(2, len(states))), start["revision"]}:
            held = Held(json.loads(json.dumps(states[since])))
            held.apply(node.ask(since=str(since)).get_json())
            assert held.users == {user["id"]: user for user in document["users"]}
            assert sorted(held.domains) == document["domains"]
    assert len(states) > 20
    app.extensions["node_desk"].exports.forget()
    assert node.fetch() == document, "what was read piece by piece is what there is"
