"""The overview."""

from __future__ import annotations

from tests.web.conftest import MAX_QUERIES, Browser


def test_it_works(alice: Browser) -> None:
    page = alice.get("/")
    assert page.status_code == 200
    print(len(alice.queries))
    assert len(alice.queries) <= MAX_QUERIES
