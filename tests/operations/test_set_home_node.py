"""set-home-node."""

from __future__ import annotations

from functools import partial

import pytest

from app.export import build
from app.extensions import db
from app.models import Mailbox, Node, PastHome
from app.operations import browse, fleet
from app.operations.domains import add_domain, enable_email, list_domains
from app.operations.mailboxes import add_user, remove_user, update_password, update_user
from app.operations.nodes import add_node, lose_node, pause_node, remove_node, update_node
from app.operations.placement import set_home_node
from tests.conftest import PASSWORD, Cast
from tests.databases import statements
from tests.operations import ledger

HOST = "mpi01.example.net"


@pytest.fixture
def nodes(core: Cast) -> Cast:
    """mpi01 and mpi02, both with a public name, and one mailbox."""
    add_node(core.root, name="mpi02")
    for name in ("mpi01", "mpi02"):
        update_node(core.root, name=name, host=f"{name}.example.net")
    add_user(core.alice, email="info@example.nl", password=PASSWORD)
    return core


def place(cast: Cast, node: str, domain: str = "example.nl") -> str | None:
    return set_home_node(cast.root, domain=domain, node=node).to_dict().get("home_node")


def seen_by(node: int) -> tuple[list[str], list[str]]:
    """The domains that a node has for its own, and those it is a backup for."""
    places = build(node).places
    return list(places.own), list(places.relayed)


def test_it_works(nodes: Cast) -> None:
    with ledger.recorded():
        assert place(nodes, "mpi01") == "mpi01"
    with ledger.recorded(revisions=0):
        assert place(nodes, "mpi01") == "mpi01"
    entry = ledger.entries()[-1]
    assert (entry.action, entry.object) == ("set-home-node", "example.nl")
    assert seen_by(1) == (["charlie.nl", "example.nl"], [])
    assert seen_by(2) == (["charlie.nl"], ["example.nl"])
    with ledger.recorded():
        assert place(nodes, "mpi02") == "mpi02"
    assert seen_by(1) == (["charlie.nl"], ["example.nl"])
    with ledger.recorded():
        assert place(nodes, "") is None
    assert seen_by(1) == seen_by(2) == (["charlie.nl", "example.nl"], [])
    past = db.session.scalars(db.select(PastHome.node_id).order_by(PastHome.id)).all()
    assert past == [None, 1, 2]


def test_admins_are_told_the_home_and_customers_are_not(nodes: Cast) -> None:
    place(nodes, "mpi01")
    [told] = list_domains(nodes.root).to_answer()["domains"]
    assert told["home_node"] == "mpi01"
    [told] = list_domains(nodes.alice).to_answer()["domains"]
    assert "home_node" not in told


def test_nodes_are_not_told_of_a_domain_without_e_mail(nodes: Cast) -> None:
    with ledger.recorded(revisions=0):
        place(nodes, "mpi01", "parked.nl")
    with ledger.recorded(revisions=0):
        update_node(nodes.root, name="mpi01", host="other.example.net")


def test_it_is_for_admins_only(nodes: Cast) -> None:
    for customer in (nodes.alice, nodes.charlie):
        with ledger.refused("FORBIDDEN"):
            set_home_node(customer, domain="example.nl", node="mpi01")


def test_it_rejects_what_does_not_exist(nodes: Cast) -> None:
    with ledger.refused("NODE_NOT_FOUND", "node"):
        place(nodes, "mpi99")
    with ledger.refused("DOMAIN_NOT_FOUND", "domain"):
        place(nodes, "mpi01", "nowhere.nl")


def test_it_rejects_a_node_that_others_cannot_reach(nodes: Cast) -> None:
    update_node(nodes.root, name="mpi01", host="")
    with ledger.refused("NODE_WITHOUT_HOST", "node"):
        place(nodes, "mpi01")
    lose_node(nodes.root, name="mpi02")
    with ledger.refused("NODE_LOST", "node"):
        place(nodes, "mpi02")


@pytest.mark.parametrize("version", ["0.2.0", "0.2.99", "0", "x"])
def test_it_rejects_agents_that_do_not_know_of_homes(nodes: Cast, version: str) -> None:
    _has_agent("mpi02", version)
    with ledger.refused("AGENT_TOO_OLD", "node"):
        place(nodes, "mpi01")
    assert place(nodes, "") is None
    lose_node(nodes.root, name="mpi02")
    assert place(nodes, "mpi01") == "mpi01"


@pytest.mark.parametrize("version", ["0.3.0", "0.3", "0.10.1", "1.0.0-beta"])
def test_it_takes_agents_that_do(nodes: Cast, version: str) -> None:
    _has_agent("mpi02", version)
    assert place(nodes, "mpi01") == "mpi01"


def _has_agent(name: str, version: str) -> None:
    db.session.execute(db.update(Node).where(Node.name == name).values(agent_version=version))
    db.session.commit()


# ── A home that goes ─────────────────────────────────────────────────────────────────────────


def test_a_home_cannot_be_removed(nodes: Cast) -> None:
    place(nodes, "mpi01")
    with ledger.refused("NODE_IS_HOME", "name"):
        remove_node(nodes.root, name="mpi01")
    with ledger.refused("NODE_IS_HOME", "host"):
        update_node(nodes.root, name="mpi01", host="")
    place(nodes, "mpi02")
    remove_node(nodes.root, name="mpi01")
    assert seen_by(2) == (["charlie.nl", "example.nl"], [])


def test_mail_waits_when_a_home_is_lost(nodes: Cast) -> None:
    place(nodes, "mpi01")
    assert build(2).places.relayed == {"example.nl": HOST}
    with ledger.recorded():
        lose_node(nodes.root, name="mpi01")
    assert build(2).places.relayed == {"example.nl": None}
    with ledger.recorded(revisions=0):
        lose_node(nodes.root, name="mpi01")
    with ledger.refused("NODE_IS_HOME", "name"):
        remove_node(nodes.root, name="mpi01")
    place(nodes, "mpi02")
    assert build(2).places.relayed == {}


def test_backups_are_told_of_another_host(nodes: Cast) -> None:
    place(nodes, "mpi01")
    with ledger.recorded():
        update_node(nodes.root, name="mpi01", host="new.example.net")
    assert build(2).places.relayed == {"example.nl": "new.example.net"}


def test_another_host_is_as_many_statements_for_a_home_of_many(nodes: Cast) -> None:
    place(nodes, "mpi01")
    with statements(db.engine) as of_one:
        update_node(nodes.root, name="mpi01", host="one.example.net")
    for number in range(8):
        add_domain(nodes.root, domain=f"d{number}.nl", project_id=1)
        enable_email(nodes.root, domain=f"d{number}.nl")
        place(nodes, "mpi01", f"d{number}.nl")
    with statements(db.engine) as of_nine:
        update_node(nodes.root, name="mpi01", host="nine.example.net")
    assert set(build(2).places.relayed.values()) == {"nine.example.net"}
    assert len(build(2).places.relayed) == 9
    assert len(of_nine) == len(of_one)


# ── Live on n of n nodes ─────────────────────────────────────────────────────────────────────


def test_backups_count_where_they_know_the_address(nodes: Cast) -> None:
    place(nodes, "mpi01")
    made = add_user(nodes.alice, email="new@example.nl", password=PASSWORD)
    assert made.sync is not None
    assert (made.sync.nodes, made.sync.nodes_applied) == (2, 0)
    _have_applied(2)
    assert _live(nodes, "new@example.nl") == (2, 1, "mpi01")
    _have_applied(1)
    assert _live(nodes, "new@example.nl") == (2, 2, None)

    changed = update_password(nodes.alice, email="new@example.nl", password="another battery")
    assert changed.sync is not None
    assert (changed.sync.nodes, changed.sync.nodes_applied) == (2, 1)
    assert _live(nodes, "new@example.nl") == (2, 1, "mpi01")
    _have_applied(1)
    assert _live(nodes, "new@example.nl") == (2, 2, None)

    for change in (partial(update_user, can_receive=False), remove_user):
        change(nodes.alice, email="new@example.nl")
        _have_applied(1)
        assert _live(nodes, "new@example.nl") == (2, 1, "mpi02")
        _have_applied(2)
        assert _live(nodes, "new@example.nl") == (2, 2, None)


def test_a_move_is_live_when_all_know_of_it(nodes: Cast) -> None:
    _have_applied(1)
    _have_applied(2)
    assert _live(nodes, "info@example.nl") == (2, 2, None)
    place(nodes, "mpi01")
    assert _live(nodes, "info@example.nl") == (2, 0, "mpi01")
    _have_applied(1)
    assert _live(nodes, "info@example.nl") == (2, 1, "mpi02")
    pause_node(nodes.root, name="mpi02")
    assert _live(nodes, "info@example.nl") == (1, 1, None)


def _have_applied(node: int) -> None:
    feed = ledger.feed()
    values = {"applied_epoch": feed.epoch, "applied_revision": feed.revision}
    db.session.execute(db.update(Node).where(Node.id == node).values(values))
    db.session.commit()


def _live(cast: Cast, email: str) -> tuple[int, int, str | None]:
    found = browse.sync(cast.alice, ledger.mailbox(email))
    waiting_for = found.waiting_for.name if found.waiting_for else None
    return found.nodes, found.nodes_applied, waiting_for


# ── Whose hashes a lost node held ────────────────────────────────────────────────────────────

DAY = "2026-01-{:02}T00:00:00Z"


def _exposed(cast: Cast, name: str, *, lost: int) -> list[str]:
    """What is told of a node that was lost on a day of January."""
    db.session.execute(db.update(Node).values(created_at=DAY.format(2), last_sync_at=DAY.format(3)))
    changed = db.update(Node).where(Node.name == name).values(lost_at=DAY.format(lost))
    db.session.execute(changed)
    db.session.commit()
    return [row.email for row in fleet.all_exposed(cast.root, fleet.one(cast.root, name))]


def _placed(domain: str, home: int | None, day: int, *past: tuple[int | None, int, int]) -> None:
    """Where a domain's home is since a day, and where it was from one day until another."""
    row = ledger.domain(domain)
    row.home_node_id, row.placed_at = home, DAY.format(day)
    db.session.execute(db.delete(PastHome).where(PastHome.domain_id == row.id))
    for node, since, until in past:
        dates = {"since": DAY.format(since), "until": DAY.format(until)}
        db.session.add(PastHome(domain_id=row.id, node_id=node, **dates))
    db.session.commit()


@pytest.mark.parametrize(
    ("home", "day", "past", "is_exposed"),
    [
        (None, 1, (), True),
        (2, 1, (), True),
        (1, 4, (), False),
        (1, 6, ((2, 1, 6),), True),
        (1, 8, ((None, 1, 8),), True),
        (1, 12, ((2, 11, 12),), False),
        (2, 11, ((1, 1, 11),), False),
        (None, 11, ((1, 1, 11),), False),
    ],
    ids=[
        "without a home every node has them",
        "it is the home",
        "another always was the home",
        "it was the home",
        "all had them, it too",
        "it became the home after it was lost, and did not stay it",
        "it became the home after it was lost",
        "its domain lost its home after it was lost",
    ],
)
def test_a_lost_node_exposes_what_it_ever_held(
    nodes: Cast,
    home: int | None,
    day: int,
    past: tuple[tuple[int | None, int, int], ...],
    is_exposed: bool,
) -> None:
    db.session.execute(db.update(Mailbox).values(created_at=DAY.format(5)))
    _placed("example.nl", home, day, *past)
    assert _exposed(nodes, "mpi02", lost=10) == (["info@example.nl"] if is_exposed else [])


def test_it_does_not_expose_what_came_after_the_home_had_moved(nodes: Cast) -> None:
    add_domain(nodes.root, domain="other.nl", project_id=1)
    db.session.execute(db.update(Mailbox).values(created_at=DAY.format(7)))
    _placed("example.nl", 1, 6, (2, 1, 6))
    assert _exposed(nodes, "mpi02", lost=10) == []
