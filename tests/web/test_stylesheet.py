"""The stylesheet knows what the pages ask for, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_OF_SCRIPTS = {"htmx-request", "knows-passkeys"}
_PLACEHOLDER = re.compile(r"\{[{%].*?[%}]\}")


def asked_for() -> Iterator[str]:
    """The classes that templates give, but for those with a part that is not theirs."""
    for path in (ROOT / "templates").rglob("*.html"):
        for classes in re.findall(r'class="([^"]*)"', path.read_text()):
            yield from _PLACEHOLDER.sub(" ", classes).split()


def test_it_knows_every_class_of_the_pages() -> None:
    sheet = (ROOT / "static/app.css").read_text()
    known = set(re.findall(r"\.([a-z][\w-]*)", sheet))
    assert set(asked_for()) - known == set()


def test_it_has_no_class_that_no_page_asks_for() -> None:
    sheet = (ROOT / "static/app.css").read_text()
    sheet = re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL)
    pages = "".join(path.read_text() for path in (ROOT / "templates").rglob("*.html"))
    words = set(re.findall(r"[\w-]+", pages))
    assert set(re.findall(r"\.([a-z][\w-]*)", sheet)) - words - _OF_SCRIPTS == set()
