"""`mailcote project add`."""

from __future__ import annotations

import pytest

from .mailcote import Mailcote


def test_it_prints_the_id_alone_on_the_last_line(mailcote: Mailcote) -> None:
    assert mailcote.done("project", "add", "Bakery De Korenaar").last_line == "1"
    assert mailcote.done("project", "add", "Café Ünïcode").last_line == "2"


@pytest.mark.parametrize("name", ["", " x", "x\n", "x" * 101, "a\tb", "\udcff"])
def test_it_refuses_a_name_that_is_none(mailcote: Mailcote, name: str) -> None:
    assert mailcote.refused("project", "add", name).startswith("A name has 1 to 100 characters")


def test_it_needs_a_name(mailcote: Mailcote) -> None:
    assert "NAME" in mailcote.used_wrongly("project", "add")


def test_a_name_may_begin_with_a_hyphen(mailcote: Mailcote) -> None:
    assert mailcote.done("project", "add", "--", "-x").last_line == "1"
