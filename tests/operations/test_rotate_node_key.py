"""rotate-node-key."""

from __future__ import annotations

import pytest

from app import clock
from app.errors import Forbidden, Invalid, NotFound
from app.extensions import db
from app.models import AuditEntry, Feed, SyncKey
from app.operations.nodes import rotate_node_key
from tests.conftest import Cast


def _keys() -> list[SyncKey]:
    return list(db.session.scalars(db.select(SyncKey).order_by(SyncKey.id)))


def test_it_works(core: Cast) -> None:
    answer = rotate_node_key(core.root, name="mpi01").to_answer()
    key = answer["node"]["sync_key"]
    assert key.startswith("mck_")
    assert key != core.sync_key
    old, new = _keys()
    assert (new.hint, new.expires_at) == (key[:8], None)
    assert old.expires_at is not None
    assert 167.9 * 3600 < -clock.seconds_since(old.expires_at) <= 168 * 3600


def test_two_keys_work_at_most(core: Cast) -> None:
    for _ in range(3):
        rotate_node_key(core.root, name="mpi01", overlap_hours=1)
    old, new = _keys()
    assert old.expires_at is not None
    assert new.expires_at is None


def test_without_overlap_only_the_new_key_is_left(core: Cast) -> None:
    rotate_node_key(core.root, name="mpi01")
    key = rotate_node_key(core.root, name="mpi01", overlap_hours=0).sync_key
    (left,) = _keys()
    assert key is not None
    assert left.hint == key[:8]


def test_it_is_in_the_audit_log_and_no_node_has_to_fetch_anything(core: Cast) -> None:
    before = db.session.scalars(db.select(Feed.revision)).one()
    key = rotate_node_key(core.root, name="mpi01", overlap_hours=24).sync_key
    entry = db.session.scalars(db.select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert entry is not None
    assert (entry.action, entry.object) == ("rotate-node-key", "mpi01")
    assert key not in (entry.object, entry.given)
    assert db.session.scalars(db.select(Feed.revision)).one() == before


@pytest.mark.parametrize("hours", [-1, 169, True, "24", 0.5])
def test_it_rejects_an_overlap_that_is_none(core: Cast, hours: object) -> None:
    with pytest.raises(Invalid) as refusal:
        rotate_node_key(core.root, name="mpi01", overlap_hours=hours)
    assert refusal.value.field == "overlap_hours"
    assert len(_keys()) == 1


def test_it_says_that_a_node_does_not_exist(core: Cast) -> None:
    with pytest.raises(NotFound) as refusal:
        rotate_node_key(core.root, name="mpi99")
    assert refusal.value.code == "NODE_NOT_FOUND"


def test_it_is_for_admins(core: Cast) -> None:
    with pytest.raises(Forbidden):
        rotate_node_key(core.alice, name="mpi01")
    assert len(_keys()) == 1
