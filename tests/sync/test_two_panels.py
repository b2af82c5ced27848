"""Several processes serve one panel: what one of them changes, the others tell at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from app import create_app
from app.config import Settings
from app.export import build
from app.extensions import db
from tests.applications import let_go
from tests.conftest import Api, Cast
from tests.sync.node import Node, assert_unauthorized, execute, fill


@pytest.fixture
def other(cast: Cast, settings: Settings) -> Iterator[Flask]:
    """Another process of the same panel, as far as data is concerned."""
    app = create_app(settings)
    yield app
    let_go(app)


@pytest.fixture
def there(other: Flask, cast: Cast) -> Node:
    """The node, asking the other process."""
    return Node(other.test_client(), cast.sync_key)


def test_it_works(api: Api, node: Node, there: Node) -> None:
    assert node.ask().data == there.ask().data
    for name in ("info", "sales", "abuse"):
        fill(api, name)
        assert f"{name}@example.nl" in there.emails()
        assert there.ask().data == node.ask().data


def test_a_tag_from_one_is_good_at_the_other(api: Api, node: Node, there: Node) -> None:
    fill(api, "info")
    tag = node.ask().headers["ETag"]
    assert there.ask(If_None_Match=tag).status_code == 304
    api("remove-user", email="info@example.nl")
    assert there.ask(If_None_Match=tag).status_code == 200
    assert there.emails() == []


def test_changes_alternate(api: Api, other: Flask, node: Node, there: Node) -> None:
    both = [(api, there), (Api(other.test_client(), api.cast), node)]
    seen = [node.fetch()["revision"]]
    for number in range(10):
        writer, reader = both[number % 2]
        fill(writer, f"user{number}")
        document = reader.fetch()
        assert document["counts"]["users"] == number + 1
        seen.append(document["revision"])
    assert seen == list(range(seen[0], seen[0] + 11)), "it rises by one with every change"


def test_a_key_revoked_at_one_is_refused_by_the_other(app: Flask, node: Node, there: Node) -> None:
    node.fetch()
    there.fetch()
    execute(app, "DELETE FROM sync_keys")
    assert_unauthorized(there.ask())
    assert_unauthorized(node.ask())


def test_a_new_node_is_known_to_the_other(api: Api, other: Flask) -> None:
    made = api("add-node", "root", name="mpi02").get_json()["data"]["node"]
    Node(other.test_client(), made["sync_key"], "mpi02").fetch()


def test_a_new_epoch_is_told_by_both(api: Api, app: Flask, node: Node, there: Node) -> None:
    fill(api, "info")
    old = there.ask()
    epoch = "11111111-2222-4333-8444-555555555555"
    execute(app, "UPDATE feed SET epoch = :epoch, revision = 1", epoch=epoch)
    for one in (node, there):
        answer = one.ask(If_None_Match=old.headers["ETag"])
        assert answer.status_code == 200
        document = one.fetch()
        assert (document["epoch"], document["revision"]) == (epoch, 1)


def test_a_change_that_is_not_committed_is_not_told(app: Flask, other: Flask) -> None:
    with app.app_context():
        db.session.execute(db.text("UPDATE feed SET revision = 999"))
        with other.app_context():
            assert build().revision < 999
        db.session.commit()
    with other.app_context():
        assert build().revision == 999
