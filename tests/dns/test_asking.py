"""How many wait for name servers at once, and whose."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import pytest

from app.config import Settings
from app.errors import Busy
from app.operations import asking
from app.operations.domains import enable_email
from app.operations.linking import link_domain, verify_domain
from app.operations.zone_checks import check_domain
from tests.conftest import Cast


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A panel whose resolver is not there."""
    return replace(settings, dns_resolvers=(("127.0.0.1", 1),))


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PATIENCE", 0.01)


def occupied(projects: list[int]) -> ExitStack:
    """Looks that these projects are waiting for."""
    held = ExitStack()
    for project_id in projects:
        held.enter_context(asking.asking(project_id))
    return held


def test_it_works(core: Cast) -> None:
    enable_email(core.alice, domain="example.nl")
    with occupied([1] * (asking.OF_ONE_PROJECT - 1)):
        assert check_domain(core.alice, domain="example.nl").state == "checking"


def test_one_project_keeps_nobody_else_from_asking(core: Cast) -> None:
    link_domain(core.alice, domain="slow.test")
    link_domain(core.charlie, domain="slow.test")
    with occupied([1] * asking.OF_ONE_PROJECT):
        for refused in (check_domain, verify_domain):
            with pytest.raises(Busy):
                refused(core.alice, domain="slow.test")
        assert check_domain(core.charlie, domain="slow.test").state == "unproven"
    assert check_domain(core.alice, domain="slow.test").state == "unproven"


def test_all_together_have_no_more_than_so_many(core: Cast) -> None:
    link_domain(core.alice, domain="slow.test")
    with occupied(list(range(100, 100 + asking.AT_ONCE))), pytest.raises(Busy):
        check_domain(core.alice, domain="slow.test")
