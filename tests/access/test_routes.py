"""A walk along every route by every verb with every kind of credential; nothing changes by it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from app.web import BLUEPRINTS
from tests.access.keyring import Keyring
from tests.access.table import (
    AT_PAGES,
    AT_ROUTES,
    OPENING_NOTHING,
    PAGES,
    ROUTES,
    VERBS_AT,
    VERBS_OF,
)
from tests.web.conftest import Browser

VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
VALUES = {"project": 1, "filename": "app.css", "email": "live@example.nl"}
FROM_AFAR = {"REMOTE_ADDR": "192.0.2.1"}  # some routes are open to the machine itself
REACHED = "X-Reached"


def is_page(rule: Rule) -> bool:
    """Whether people look at it, in a browser."""
    return rule.endpoint.partition(".")[0] in {blueprint.name for blueprint in BLUEPRINTS}


def rules(app: Flask) -> list[Rule]:
    """Every route there is."""
    return list(app.url_map.iter_rules())


def addresses(app: Flask, rule: Rule) -> list[str]:
    """The addresses of a route: an API's has two spellings."""
    services = ("email_account", "email-account") if "service" in rule.arguments else ("",)
    found = []
    for service in services:
        given = {name: VALUES.get(name, 1) for name in rule.arguments} | {"service": service}
        parts = rule.build({name: given[name] for name in rule.arguments})
        assert parts, rule.rule
        found.append(parts[1])
    return found


def verbs_of(app: Flask, address: str) -> set[str]:
    """What can be done at an address, by one route or another."""
    return set(app.url_map.bind("").allowed_methods(address))


def group_of(rule: Rule) -> str:
    """Where the table has it."""
    table = PAGES if is_page(rule) else ROUTES
    name = rule.rule if rule.endpoint == "mcp.answer" else rule.endpoint
    (group,) = [group for group, names in table.items() if name in names]
    return group


@contextmanager
def no_page_does_anything(app: Flask) -> Iterator[None]:
    """Inside, a page that lets somebody in only says so: what guards it comes before it."""
    views = dict(app.view_functions)
    for rule in filter(is_page, rules(app)):
        view = views[rule.endpoint]
        app.view_functions[rule.endpoint] = functools.wraps(view)(
            lambda **_values: ("", 200, {REACHED: "yes"})
        )
    try:
        yield
    finally:
        app.view_functions.update(views)


def told_by_page(answer: TestResponse) -> str:
    """What somebody was answered, in the table's words."""
    if answer.status_code == 303:
        path = answer.location.partition("?")[0]
        return {"/sign-in": "sign-in", "/account/two-factor": "set-up"}[path]
    if answer.status_code == 403 and "Is it you?" in answer.text:
        return "proof"
    is_in = REACHED in answer.headers or answer.request.method == "OPTIONS"
    return "in" if answer.status_code == 200 and is_in else str(answer.status_code)


def told_by_route(answer: TestResponse) -> str:
    """What a program was answered, in the table's words.

    What it sends is nothing that could be done: who is let in is told that (422), and clients of
    OAuth, who come without a credential, in their own words (400, 401).
    """
    code = answer.status_code
    is_of_oauth = answer.request.path.startswith("/oauth/")
    is_told_why = code in (400, 401) and is_of_oauth and "error_description" in answer.text
    return "in" if code in (200, 204, 422) or is_told_why else str(code)


def open_page(browser: Browser, address: str, verb: str, **options: object) -> TestResponse:
    """As by a link or a form of the page before it."""
    form = {"csrf_token": browser.csrf_token, "project": "1"} if verb == "POST" else None
    return browser.client.open(address, method=verb, data=form, **options)  # type: ignore[arg-type]


def ask_route(keys: Keyring, credential: str, address: str, verb: str) -> TestResponse:
    """As a program does, and with nothing that could be done."""
    nonsense = {"no-such-field": 1} if verb == "POST" else None
    if address.startswith("/mcp"):
        nonsense = {"jsonrpc": "2.0", "id": 1, "method": "ping"}  # type: ignore[dict-item]
    return keys.app.test_client().open(
        address,
        method=verb,
        json=nonsense,
        headers=keys.headers(credential),
        environ_base=FROM_AFAR,
        buffered=True,
    )


def test_the_table_has_every_route_once_and_no_other(app: Flask) -> None:
    there = sorted({r.endpoint if r.endpoint != "mcp.answer" else r.rule for r in rules(app)})
    listed = [name for table in (PAGES, ROUTES) for names in table.values() for name in names]
    assert sorted(listed) == there


def test_each_page_says_what_the_table_says(app: Flask) -> None:
    """So that a page is moved in the table when it is moved in the code, and in no other way."""
    said = {"everyone": "everyone", "admins": "admin", "proven-admins": "admin"}
    for rule in filter(is_page, rules(app)):
        view, group = vars(app.view_functions[rule.endpoint]), group_of(rule)
        assert view["access"] == said.get(group, "person"), rule.endpoint
        assert view["asks_for_proof"] == (group in ("proven", "proven-admins", "beginners"))
        assert view["without_two_factor"] == (group in ("newcomers", "beginners")), rule.endpoint


def test_nothing_is_changed_by_a_get(app: Flask) -> None:
    """Each page is for looking or for doing; what the latter does, it does by POST."""
    for rule in rules(app):
        verbs = (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if is_page(rule):
            assert verbs in ({"GET"}, {"POST"}), rule.rule
        else:
            said = VERBS_OF.get(rule.endpoint) or VERBS_AT.get(group_of(rule), "GET")
            assert verbs == set(said.split()), rule.rule


@pytest.mark.parametrize("who", next(iter(AT_PAGES.values())))
def test_people_at_pages(keys: Keyring, app: Flask, who: str) -> None:
    with keys.browser(who) as browser, no_page_does_anything(app):
        for rule in filter(is_page, rules(app)):
            (address,) = addresses(app, rule)
            for verb in sorted((rule.methods or set()) - {"OPTIONS"}):
                told = told_by_page(open_page(browser, address, verb))
                assert told == AT_PAGES[group_of(rule)][who], (verb, rule.endpoint)


@pytest.mark.parametrize("who", ["nobody", "admin"])
def test_a_verb_that_a_page_does_not_have_is_refused(keys: Keyring, app: Flask, who: str) -> None:
    """Whoever asks; and which verbs it has, no stranger is told."""
    with keys.browser(who) as browser, no_page_does_anything(app):
        for rule in filter(is_page, rules(app)):
            (address,) = addresses(app, rule)
            for verb in set(VERBS) - verbs_of(app, address):
                answer = open_page(browser, address, verb)
                assert answer.status_code == 405, (verb, address)
                assert set(answer.headers["Allow"].split(", ")) == verbs_of(app, address)
            if "OPTIONS" in (rule.methods or ()) and rule.methods != {"OPTIONS", "POST"}:
                told = told_by_page(open_page(browser, address, "OPTIONS"))
                assert told == AT_PAGES[group_of(rule)][who], address


@pytest.mark.parametrize("forged", ["", "forged", "another's"])
def test_no_form_works_without_its_token(keys: Keyring, app: Flask, forged: str) -> None:
    token = keys.browsers["unproven"].csrf_token if forged == "another's" else forged
    with keys.browser("admin") as browser, no_page_does_anything(app):
        for rule in filter(is_page, rules(app)):
            if "POST" in (rule.methods or ()):
                (address,) = addresses(app, rule)
                answer = browser.client.post(address, data={"csrf_token": token, "project": "1"})
                assert (answer.status_code, REACHED in answer.headers) == (400, False), address


@pytest.mark.parametrize("credential", ["write", "admin", "via-admin", "node", "figures"])
def test_programs_see_no_page(keys: Keyring, app: Flask, credential: str) -> None:
    with keys.browser("nobody") as browser, no_page_does_anything(app):
        for rule in filter(is_page, rules(app)):
            (address,) = addresses(app, rule)
            for verb in (rule.methods or set()) & {"GET", "POST"}:
                answer = open_page(browser, address, verb, headers=keys.headers(credential))
                expected = AT_PAGES[group_of(rule)]["nobody"]
                assert told_by_page(answer) == expected, (verb, address)


@pytest.mark.parametrize("credential", next(iter(AT_ROUTES.values())))
def test_programs_at_routes(keys: Keyring, app: Flask, credential: str) -> None:
    for rule in rules(app):
        if is_page(rule):
            continue
        for address in addresses(app, rule):
            for verb in sorted((rule.methods or set()) - {"OPTIONS"}):
                told = told_by_route(ask_route(keys, credential, address, verb))
                assert told == AT_ROUTES[group_of(rule)][credential], (verb, address)


@pytest.mark.parametrize("credential", ["nothing", "admin"])
def test_a_verb_that_a_route_does_not_have_is_refused(
    keys: Keyring, app: Flask, credential: str
) -> None:
    for rule in rules(app):
        if not is_page(rule):
            for address in addresses(app, rule):
                for verb in set(VERBS) - verbs_of(app, address):
                    answer = ask_route(keys, credential, address, verb)
                    assert answer.status_code == 405, (verb, address)
                    assert set(answer.headers["Allow"].split(", ")) == verbs_of(app, address)


@pytest.mark.parametrize("credential", OPENING_NOTHING)
def test_what_opens_nothing_is_nothing(keys: Keyring, app: Flask, credential: str) -> None:
    for rule in rules(app):
        if is_page(rule):
            continue
        for address in addresses(app, rule)[:1]:
            for verb in (rule.methods or set()) & {"GET", "POST"}:
                told = told_by_route(ask_route(keys, credential, address, verb))
                assert told == AT_ROUTES[group_of(rule)]["nothing"], (verb, address)


@pytest.mark.parametrize("who", ["customer", "admin"])
def test_a_session_opens_nothing_for_programs(keys: Keyring, app: Flask, who: str) -> None:
    """Else a page of another site could use it: nothing there asks for a form's token."""
    with keys.browser(who) as browser:
        for rule in rules(app):
            if is_page(rule) or group_of(rule) == "public":
                continue
            for verb in (rule.methods or set()) & {"GET", "POST"}:
                answer = browser.client.open(
                    addresses(app, rule)[0],
                    method=verb,
                    json={} if verb == "POST" else None,
                    headers={"X-CSRFToken": browser.csrf_token},
                    environ_base=FROM_AFAR,
                )
                assert answer.status_code == 401, (verb, rule.rule)


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("mailboxes.index", "/mailboxes"),
        ("auth.sign_in", "/sign-in"),
        ("static", "/static/app.css"),
        ("api.list-domains", "/iapi/project/1/email_account/list-domains"),
        ("api.describe", "/iapi/openapi.json"),
        ("sync.export", "/sync/v1/export"),
        ("health.healthz", "/healthz"),
        ("oauth.describe_server", "/.well-known/oauth-authorization-server/oauth"),
    ],
)
def test_a_route_that_does_not_say_who_it_is_for_answers_nobody(
    keys: Keyring, app: Flask, endpoint: str, address: str
) -> None:
    view = app.view_functions[endpoint]
    app.view_functions[endpoint] = lambda **_values: "everybody sees this"
    try:
        with keys.browser("admin") as browser:
            answer = browser.client.get(address, headers=keys.headers("admin"))
        assert answer.status_code == 500
        assert "everybody" not in answer.text
    finally:
        app.view_functions[endpoint] = view
