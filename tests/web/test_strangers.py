"""What belongs to one project does not exist for people of another, wherever they write its name.

In an address: the answer is the one for a thing that is nowhere. In a form: nothing is done. The
faces for programs have theirs in tests/api/test_refusals.py and tests/mcp/test_refusals.py.
"""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app import clock
from app.caller import command_line
from app.extensions import db
from app.models import Assistant, HeldCall, OAuthClient, Passkey, Person, Token, WebSession
from app.operations import OPERATIONS
from tests.access.table import PAGES
from tests.api.answers import unchanged
from tests.conftest import PASSWORD
from tests.oauth.program import RESOURCE, Program
from tests.web.conftest import Browser, without_tokens

LIVE = "live@example.nl"
ABSENT: dict[str, Any] = {
    "name": "absent.nl",
    "email": "live@absentt.nl",
    "call_id": 9999,
    "session_id": 9999,
    "token_id": 9999,
    "assistant_id": 9999,
    "passkey_id": 9999,
}
# Open to everybody who holds the link that is in the address, or for admins.
OTHERS = {*PAGES["everyone"], *PAGES["admins"], *PAGES["proven-admins"]}


@pytest.fixture
def theirs(app: Flask, alice: Browser) -> dict[str, Any]:
    """What project 1 and alice have, by the name of a route's variable."""
    with app.app_context():
        run, operator = OPERATIONS["add-user"], command_line().in_project(1)
        run(operator, email=LIVE, password=PASSWORD)
        run(operator, email="removed@example.nl", password=PASSWORD)
        OPERATIONS["remove-user"](operator, email="removed@example.nl")
        person = db.session.scalars(
            db.select(Person).where(Person.email.startswith("alice@"))
        ).one()
        client = OAuthClient(client_id="https://helper.example/x", name="Helper", redirect_uris="")
        db.session.add(client)
        db.session.flush()
        held = HeldCall(
            project_id=1,
            token_id=1,
            actor="x",
            operation="remove-user",
            arguments={"email": LIVE},
            fingerprint="x",
            expires_at=clock.from_now(days=1),
        )
        let_in = Assistant(
            client_id=client.id, person_id=person.id, project_id=1, scope="read", resource=RESOURCE
        )
        passkey = Passkey(
            person_id=person.id, digest="x", credential=b"x", sign_count=0, name="Phone"
        )
        db.session.add_all([held, let_in, passkey])
        db.session.commit()
        session = db.session.scalars(
            db.select(WebSession.id).where(WebSession.person_id == person.id)
        ).one()
        token = db.session.scalars(db.select(Token.id).where(Token.project_id == 1)).first()
        return {
            "name": "example.nl",
            "email": LIVE,
            "call_id": held.id,
            "session_id": session,
            "token_id": token,
            "assistant_id": let_in.id,
            "passkey_id": passkey.id,
        }


def form(browser: Browser, things: dict[str, Any], project: str) -> dict[str, str]:
    """A good value for every field of every page that speaks of one of these things."""
    return {
        "csrf_token": browser.csrf_token,
        "project": project,
        "typed": things["typed"],
        "password": PASSWORD,
        "quota_mb": "7",
        "can_login": "y",
        "answer": "allow",
    }


def told(answer: TestResponse, things: dict[str, Any]) -> tuple[int, str, str]:
    """An answer, but for the names that were asked about."""
    where, text = answer.headers.get("Location", ""), without_tokens(answer.text)
    names = {answer.request.path, *(name for name in things.values() if isinstance(name, str))}
    for name in sorted(names, key=len, reverse=True):
        if not name.isdecimal():  # numbers stand in many places
            where, text = where.replace(name, "…"), text.replace(name, "…")
    return answer.status_code, where, text


@pytest.mark.parametrize("project", ["2", "1", ""])
def test_it_hides_from_strangers(
    app: Flask, charlie: Browser, theirs: dict[str, Any], project: str
) -> None:
    """Every page of a thing, by every verb, in their own project, the other, or none."""
    charlie.get("/account")
    seen = set()
    with unchanged(app):
        for rule in app.url_map.iter_rules():
            if not rule.arguments or rule.endpoint in OTHERS or "." not in rule.endpoint:
                continue
            if not hasattr(app.view_functions[rule.endpoint], "asks_for_proof"):
                continue  # for programs
            (variable,) = rule.arguments
            for verb in (rule.methods or set()) & {"GET", "POST"}:
                answers = []
                for things in (theirs, ABSENT):
                    thing = {variable: things[variable], "typed": str(things[variable])}
                    path = (rule.build({variable: things[variable]}) or ("", ""))[1]
                    if verb == "POST":
                        data = form(charlie, thing, project)
                        answer = charlie.client.post(path, data=data)
                    else:
                        answer = charlie.client.get(f"{path}?project={project}")
                    answers.append(told(answer, thing))
                assert answers[0] == answers[1], (verb, rule.rule)
                assert answers[0][0] in (303, 403, 404), (verb, rule.rule, answers[0][:2])
                seen.add(rule.endpoint)
    assert len(seen) > 25


# Where a form names something beside its address; {thing} is alice's.
FORMS: list[tuple[str, dict[str, Any]]] = [
    ("/mailboxes/new", {"local_part": "mine", "domain": "example.nl", "quota_mb": "7"}),
    ("/mailboxes/new", {"local_part": "mine", "domain": "example.nl", "invite": "y"}),
    ("/mailboxes/several", {"action": "remove", "email": [LIVE]}),
    ("/mailboxes/several", {"action": "restore", "email": ["removed@example.nl"]}),
    ("/mailboxes/several", {"action": "off", "email": [LIVE, "removed@example.nl"]}),
    ("/mailboxes/several", {"action": "on", "email": [LIVE]}),
]


@pytest.mark.parametrize(("path", "fields"), FORMS)
@pytest.mark.parametrize("project", ["2", "1", ""])
def test_it_rejects_what_is_named_in_a_form(
    app: Flask,
    charlie: Browser,
    theirs: dict[str, Any],
    path: str,
    fields: dict[str, Any],
    project: str,
) -> None:
    charlie.get("/account")
    with unchanged(app):
        data = {"csrf_token": charlie.csrf_token, "project": project, "password": PASSWORD}
        answer = charlie.client.post(path, data={**data, **fields})
    assert answer.status_code in (303, 403, 404, 422)


@pytest.mark.parametrize("project", ["1", "", "99", "x"])
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/tokens/new", {"name": "n8n", "scope": "write", "days": "30"}),
        ("/approvals/setting", {"ask": "on"}),
        ("/domains/new", {"domain": "wanted.nl"}),
    ],
)
def test_it_rejects_acting_in_a_project_of_others(
    app: Flask, charlie: Browser, path: str, fields: dict[str, str], project: str
) -> None:
    charlie.get("/account")
    with unchanged(app):
        data = {"csrf_token": charlie.csrf_token, "project": project, **fields}
        answer = charlie.client.post(path, data=data)
    assert answer.status_code in (303, 403, 404, 422)


def test_it_rejects_letting_a_program_into_a_project_of_others(
    app: Flask, charlie: Browser
) -> None:
    """`reach` is the only field that names a project; tests/oauth has the rest."""
    program = Program(app.test_client())
    program.register()
    address = program.address()
    charlie.get(address)
    with unchanged(app):
        for reach in ("1", "all", "99", "x", ""):
            answer = charlie.post(address, answer="allow", reach=reach, may="write")
            assert answer.status_code in (403, 404, 422), reach
