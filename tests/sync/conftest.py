"""These tests begin with a copy of one panel."""

import pytest

from tests.conftest import Api
from tests.staged import cast, settings
from tests.sync.node import Node

__all__ = ["cast", "node", "settings"]


@pytest.fixture
def node(api: Api) -> Node:
    """The node of the cast."""
    return Node(api.client, api.cast.sync_key)
