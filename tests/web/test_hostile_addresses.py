"""Addresses and fields that nobody types: found or not, but never a fault, on both databases."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask

from app.config import Settings
from app.extensions import db
from app.models import Domain
from tests.applications import Applications
from tests.conftest import ON_BOTH, ON_POSTGRES, Cast, cheap_settings, fill
from tests.web.conftest import Browser
from tests.web.test_every_page import rules

STRANGE = [
    *("%00", "a%00b", "%ED%A0%80", "%FF", "9" * 5000, "%F0%9F%92%A5", "%2e%2e%2fx", "-1"),
    *(str(2**31), str(2**63)),  # one more than each database's whole numbers go
]
# What PostgreSQL takes otherwise than SQLite: octets that are no text, and large numbers.
OTHERWISE = {"%00", "%ED%A0%80", "9" * 5000, "\0", str(2**31)}


def every(*strange: str) -> pytest.MarkDecorator:
    """Each of these on SQLite, and on PostgreSQL those that could be another matter there."""
    pairs = [
        pytest.param(database, one, id=f"{database} {one[:9]!a}", marks=marks)
        for database, marks in (("sqlite", ()), ("postgresql", ON_POSTGRES))
        for one in strange
        if database == "sqlite" or one in OTHERWISE
    ]
    return pytest.mark.parametrize(("database", "strange"), pairs, indirect=["database"])


@pytest.fixture(params=ON_BOTH)
def database(request: pytest.FixtureRequest) -> str:
    """SQLite, then PostgreSQL."""
    return str(request.param)


@pytest.fixture
def settings(
    database: str,
    applications: Applications,
    peopled_panel: Path,
    request: pytest.FixtureRequest,
) -> Settings:
    """Cheap hashes and no rate limits, on a panel that is to have the cast and their people."""
    if database == "sqlite":
        applications.begin_with(peopled_panel)
        return cheap_settings(applications.folder)
    applications.begin_with()
    return cheap_settings(applications.folder, request.getfixturevalue("postgres_url"))


@pytest.fixture
def people(app: Flask, cast: Cast, database: str, peopled_panel: Path) -> Cast:
    """The cast as people with passwords."""
    if database == "postgresql":
        fill(app, peopled_panel)
    return cast


@every(*STRANGE)
def test_no_address_is_a_fault(app: Flask, root: Browser, strange: str) -> None:
    root.get("/account")
    token, project = root.csrf_token, root.project
    for _, verb, path in rules(app):
        address = re.sub("/1(?=/|$)", f"/{strange}", path.replace("thing", strange))
        if address == path:
            continue
        root.csrf_token, root.project = token, project
        answer = root.get(address) if verb == "GET" else root.post(address, typed="x")
        assert answer.status_code < 500, (verb, address)
    assert root.get("/account").status_code == 200, "she was signed in all the time"


@every(*STRANGE)
def test_no_query_is_a_fault(app: Flask, root: Browser, strange: str) -> None:
    names = "q page per undo state sort domain action project next for local_part days expired"
    query = "&".join(f"{name}={strange}" for name in names.split())
    for _, verb, path in rules(app):
        if verb == "GET":
            assert root.get(f"{path}?{query}").status_code < 500, path


@every("\0", "9" * 5000, "\N{COLLISION SYMBOL}", "x" * 5000, "-1", str(2**31))
def test_no_field_is_a_fault(app: Flask, root: Browser, strange: str) -> None:
    names = (
        "email name domain local_part password quota_mb days scope project_id projects ip_address "
        "typed present overlap_hours theme is_admin next project"
    )
    fields = dict.fromkeys(names.split(), strange)
    for _, verb, path in rules(app):
        if verb == "POST" and path != "/sign-out":
            root.get("/account")
            for action in ("off", strange):
                answer = root.post(path, action=action, **fields)
                assert answer.status_code < 500, path


@pytest.mark.parametrize("disposition", ["form-data; a=b", "form-data; name=email", "", "x"])
def test_a_form_in_parts_is_refused(
    app: Flask, root: Browser, visitor: Browser, disposition: str
) -> None:
    body = f"--b\r\nContent-Disposition: {disposition}\r\n\r\nx\r\n--b--\r\n"
    for _, verb, path in rules(app):
        if verb == "POST":
            for browser in (root, visitor):
                options = {"data": body, "content_type": "multipart/form-data; boundary=b"}
                answer = browser.client.post(path, **options)
                assert answer.status_code == 415, path


@pytest.mark.parametrize("path", ["/mailboxes", "/no/such/page", "/iapi/openapi.json"])
def test_a_query_that_is_no_text_is_refused(root: Browser, path: str) -> None:
    answer = root.client.get(path, environ_overrides={"QUERY_STRING": "q=\xff"})
    assert answer.status_code == 400
    answer = root.client.get(path, environ_overrides={"QUERY_STRING": "q=b\xc3\xbccher"})
    assert answer.status_code in (200, 404)


def test_a_name_in_both_scripts_is_turned_on(app: Flask, alice: Browser) -> None:
    with app.app_context():
        db.session.add(Domain(name="xn--bcher-kva.xn--p1ai", project_id=1))
        db.session.commit()
    for name in ("BÜCHER.xn--p1ai", "xn--bcher-kva.xn--p1ai", "bücher.рф"):
        for deed, sentence in (("enable", "on"), ("disable", "off")):
            alice.get("/domains/parked.nl")
            page = alice.follow(alice.post(f"/domains/{name}/{deed}"))
            assert f"E-mail is {sentence} for bücher.рф." in page.text
