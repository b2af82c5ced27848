"""What holds for every page and every route, found by walking them."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from app.web import BLUEPRINTS
from tests.web.conftest import Browser

TEMPLATES = Path(__file__).parents[2] / "templates"
# Where people get in, and nothing else.
FOR_EVERYONE = {
    "client_settings.show",
    "auth.sign_in",
    "auth.enter",
    "auth.ask_code",
    "auth.finish",
    "passkeys.ask",
    "passkeys.enter",
    "welcome.show",
    "welcome.choose",
}
# What our content policy forbids, or what dies silently under it.
FORBIDDEN = re.compile(
    r"""\shx-on|hx-vals=.js:|hx-trigger="[^"]*\[|javascript:"""
    r"""|\sstyle=|<style|\son[a-z]+=|<script(?! defer src)""",
    re.IGNORECASE,
)


def rules(app: Flask) -> Iterator[tuple[str, str, str]]:
    """Every page's endpoint, verb and a path for it."""
    names = {blueprint.name for blueprint in BLUEPRINTS}
    for rule in app.url_map.iter_rules():
        if rule.endpoint.partition(".")[0] in names:
            path = re.sub(r"<int:[^>]+>", "1", rule.rule)
            path = re.sub(r"<[^>]+>", "thing", path)
            for verb in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield rule.endpoint, verb, path


def test_every_view_says_who_may_see_it(app: Flask) -> None:
    lacking = [
        endpoint
        for endpoint, _, _ in rules(app)
        if not hasattr(app.view_functions[endpoint], "access")
    ]
    assert lacking == []


def test_who_is_not_signed_in_gets_nowhere(app: Flask, visitor: Browser) -> None:
    for endpoint, verb, path in rules(app):
        if endpoint in FOR_EVERYONE:
            continue
        visitor.get("/sign-in")
        answer = visitor.get(path) if verb == "GET" else visitor.post(path)
        assert (answer.status_code, answer.location.partition("?")[0]) == (303, "/sign-in"), path


def test_admin_pages_are_for_admins(app: Flask, alice: Browser) -> None:
    for endpoint, verb, path in rules(app):
        if path.startswith("/admin"):
            assert vars(app.view_functions[endpoint])["access"] == "admin"
            alice.get("/mailboxes")
            answer = alice.get(path) if verb == "GET" else alice.post(path)
            assert answer.status_code == 403, path


def test_a_view_without_a_rule_does_not_answer(app: Flask, root: Browser) -> None:
    view = app.view_functions["mailboxes.index"]
    app.view_functions["mailboxes.index"] = lambda: "everybody sees this"
    try:
        assert root.get("/mailboxes").status_code == 500
    finally:
        app.view_functions["mailboxes.index"] = view


def test_every_page_has_the_headers_that_guard_it(app: Flask, root: Browser) -> None:
    for _, verb, path in rules(app):
        if verb == "GET":
            headers = root.get(path).headers
            assert "unsafe" not in headers["Content-Security-Policy"]
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert headers["X-Content-Type-Options"] == "nosniff"
            is_secret = path.startswith("/welcome/")  # its own address is
            assert headers["Referrer-Policy"] == ("strict-origin" if is_secret else "same-origin")
            assert headers["Cache-Control"] in ("private, no-cache", "no-store")


def test_every_page_is_found_or_not_but_never_fails(app: Flask, root: Browser) -> None:
    for _, verb, path in rules(app):
        if verb == "GET":
            # 400: an assistant's request without anything in it cannot be asked about.
            expected = (303, 400) if path == "/oauth/authorize" else (200, 303, 404)
            assert root.get(path).status_code in expected, path
        elif "sign-out" not in path:
            root.get("/mailboxes")
            assert root.post(path).status_code < 500, path


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: path.name)
def test_templates_hold_nothing_that_the_content_policy_forbids(path: Path) -> None:
    assert FORBIDDEN.findall(path.read_text()) == []


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("_*.html")), ids=lambda path: path.name)
def test_parts_say_what_they_need_and_never_extend(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("{#")
    assert "{% extends" not in text


def test_what_is_nowhere_is_a_page(visitor: Browser) -> None:
    answer = visitor.get("/no/such/page")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.text


def test_static_files_may_be_kept_for_a_year(visitor: Browser) -> None:
    page = visitor.get("/sign-in").text
    stylesheet = re.search(r'href="(/static/app\.css\?v=\w+)"', page)
    assert stylesheet
    answer = visitor.client.get(stylesheet[1])
    assert answer.cache_control.max_age == 365 * 24 * 3600
    answer.close()


def test_static_files_are_sent_compressed_to_those_who_can_read_that(visitor: Browser) -> None:
    address = "/static/vendor/htmx-4.0.1.min.js"
    plain = visitor.client.get(address)
    packed = visitor.client.get(address, headers={"Accept-Encoding": "br, gzip"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data) / 2
    for answer in (plain, packed):
        assert "Accept-Encoding" in answer.vary
        assert answer.cache_control.max_age == 365 * 24 * 3600
        answer.close()


def test_pages_are_not_compressed(visitor: Browser) -> None:
    page = visitor.get("/sign-in", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in page.headers


def test_vendored_files_are_what_they_say() -> None:
    folder = TEMPLATES.parent / "static" / "vendor"
    table = (folder / "VENDORED.md").read_text()
    rows = {
        row[0]: row[-1] for row in re.findall(r"^\| (\S+) \|.*\| ([0-9a-f]{64}) \|$", table, re.M)
    }
    files = [file for file in folder.iterdir() if file.name != "VENDORED.md"]
    assert {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files} == rows
    assert rows
