"""Whatever comes in wrong, in any field, body, path, query or header, of any endpoint, is refused:
with a 4xx in the envelope that names the field, and nothing changed, and nothing told onward.

One panel serves the whole table: if a request changed it, that request's own test says so.
"""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app import create_app
from app.operations import OFFERED, OPERATIONS
from app.operations.mailboxes import add_user
from tests.api.answers import assert_failure, state
from tests.applications import let_go
from tests.conftest import Api, Cast, cheap_settings

CANARY = "Kanarie!Geheim#7"  # a usable password that must not come back from anywhere
EMAIL = "info@example.nl"
# For every endpoint a request that would succeed, with every field it has.
GOOD: dict[str, dict[str, Any]] = {
    "enable-email": {"domain": "parked.nl"},
    "disable-email": {"domain": "parked.nl"},
    "list-domains": {},
    "add-user": {"email": "new@example.nl", "password": CANARY, "quota_mb": 100},
    "remove-user": {"email": EMAIL, "hard_delete": True},
    "restore-user": {"email": EMAIL},
    "list-users": {"domain": "example.nl", "limit": 10, "cursor": "aW5mb0BleGFtcGxlLm5s"},
    "update-password": {"email": EMAIL, "password": CANARY},
    "update-user": {"email": EMAIL, "quota_mb": 5, "can_login": False, "can_receive": False},
    "invite-user": {"email": "owner@example.nl", "quota_mb": 100},
    "send-password-link": {"email": EMAIL},
    "revoke-password-link": {"email": EMAIL},
    "add-domain": {"domain": "new.nl", "project_id": 1},
    "remove-domain": {"domain": "parked.nl"},
    "link-domain": {"domain": "wanted.nl"},
    "verify-domain": {"domain": "example.nl"},
    "unlink-domain": {"domain": "wanted.nl"},
    "list-records": {"domain": "example.nl"},
    "check-domain": {"domain": "example.nl"},
    "update-domain": {"domain": "example.nl", "registered_here": True},
    "list-nodes": {},
    "add-node": {"name": "mpi09", "ip_address": "192.0.2.7", "key_as_link": True},
    "set-home-node": {"domain": "example.nl", "node": ""},
    "update-node": {"name": "mpi01", "host": "mpi01.example.net", "mx_priority": 10},
    "rotate-node-key": {"name": "mpi01", "overlap_hours": 24, "key_as_link": False},
    "pause-node": {"name": "mpi01"},
    "resume-node": {"name": "mpi01"},
    "lose-node": {"name": "mpi01"},
    "remove-node": {"name": "mpi01"},
}
REQUIRED = {
    "enable-email": ["domain"],
    "disable-email": ["domain"],
    "add-user": ["email", "password"],
    "remove-user": ["email"],
    "restore-user": ["email"],
    "update-password": ["email", "password"],
    "update-user": ["email"],
    "invite-user": ["email"],
    "send-password-link": ["email"],
    "revoke-password-link": ["email"],
    "add-domain": ["domain"],
    "remove-domain": ["domain"],
    "link-domain": ["domain"],
    "verify-domain": ["domain"],
    "unlink-domain": ["domain"],
    "list-records": ["domain"],
    "check-domain": ["domain"],
    "update-domain": ["domain", "registered_here"],
    "add-node": ["name"],
    "set-home-node": ["domain", "node"],
    "update-node": ["name"],
    "rotate-node-key": ["name"],
    "pause-node": ["name"],
    "resume-node": ["name"],
    "lose-node": ["name"],
    "remove-node": ["name"],
}

ANYTHING: dict[str, Any] = {
    "null": None,
    "a list": [],
    "a list of itself": ["info@example.nl"],
    "an object": {},
    "an object with a member": {"a": 1},
    "nested": [[{"a": 1}]],
    "a fraction": 1.5,
    "a huge float": 1e308,
}
NO_TEXT: dict[str, Any] = {
    **ANYTHING,
    "a number": 1,
    "true": True,
    "empty": "",
    "NUL": "a\0b",
    "a lone surrogate": "\ud800",
    "a surrogate pair the wrong way round": "\udc00\ud800",
    "10 kB": "a" * 10_000,
}
NO_NUMBER: dict[str, Any] = {
    **ANYTHING,
    "a digit as text": "1",
    "empty": "",
    "true": True,
    "false": False,
    "nought": 0,
    "negative": -1,
    "nearly whole": 1.0000001,
    "2**31": 2**31,
    "2**63": 2**63,
    "10**1000": 10**1000,
    "infinite": float("1e999"),
}
NO_FLAG: dict[str, Any] = {
    **ANYTHING,
    "1": 1,
    "0": 0,
    "true as text": "true",
    "empty": "",
    "yes": "yes",
}
NO_DOMAIN: dict[str, Any] = {
    **NO_TEXT,
    **{
        repr(name): name
        for name in (
            *(" new.nl", "new.nl ", "new.nl\n", "\tnew.nl", "new.nl\r\n", "\u00a0new.nl"),
            *("localhost", "nl", "1.2.3.4", "[1.2.3.4]", "::1", "new.123", ".", "..", ".nl"),
            *("new..nl", ".new.nl", "new.nl..", "a_b.nl", "-a.nl", "a-.nl", "a b.nl", "a/b.nl"),
            *("http://new.nl", "new.nl:80", "x@new.nl", "*.nl", "xn--a.nl", "a'b.nl", "%00.nl"),
            *("a" * 64 + ".nl", ".".join(["a" * 63] * 4) + ".nl", CANARY),
        )
    },
}
NO_EMAIL: dict[str, Any] = {
    **NO_TEXT,
    **{
        repr(local): f"{local}@example.nl"
        for local in (
            *("", '"q s"', "a:b", "a\nb", "a\rb", "a\tb", "a\0b", "a/b", "..", "../../x", ".a"),
            *("a.", "a..b", "-a", "a-", "_a", "#a", "%d", "%{env:PATH}", "$a", "*", "a,b", "a\\b"),
            *(
                "`id`",
                "é",
                "\u0430",
                "\u212a",
                "a" * 65,
                "a b",
                " a",
                "a ",
                "a+b",
                "+",
                "a@b",
                "a;b",
            ),
            *("a'b", "a&b", "a=b", "a|b", "<a>", "(a)", "a\u200db", "\ufeffa", "a\u0007"),
        )
    },
    **{
        repr(email): email
        for email in (
            *("@", "info", "info@", "@example.nl", "info@@example.nl", "info@nl", "info@1.2.3.4"),
            *("info@[1.2.3.4]", "info@example.nl..", "info@example.nl\n", " info@example.nl"),
            *("info@example.nl ", "info@ example.nl", "Info <info@example.nl>", "info%example.nl"),
            *("mailto:info@example.nl", "info@-example.nl", "info@exa mple.nl", CANARY),
            f"{'a' * 64}@{'.'.join(['b' * 60] * 3)}.{'c' * 10}",
        )
    },
}
NO_PASSWORD: dict[str, Any] = {
    **NO_TEXT,
    "7 bytes": "Geheim7",
    "73 bytes": "a1" * 36 + "b",
    "37 letters of two bytes": "é" * 37,
    "19 emoji": "\U0001f600" * 19,
    "a control character": "geheim\x07geheim",
    "a line end": "geheim geheim\n",
    "a tab": "geheim\tgeheim",
    "a C1 control character": "geheim\x85geheim",
    "NUL inside": "geheim\0geheim",
    "a surrogate inside": "geheim\ud800geheim",
    "common": "password",
    "common in capitals": "PassWord",
}
NO_NODE_NAME: dict[str, Any] = {
    **NO_TEXT,
    **{
        repr(name): name
        for name in (
            *("-a", "A", "a_b", "a.b", "a b", " a", "a ", "a\n", "a/b", "../a", "é", "a" * 64),
            *("\u00b2", "<b>", "{{7*7}}", CANARY),
        )
    },
}
NO_NETWORK: dict[str, Any] = {
    **NO_TEXT,
    **{
        repr(address): address
        for address in (
            *("0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96", "192.0.2.1/24", "192.0.2.0/33", "192.0.2"),
            *("192.0.2.256", "0xC0000201", "3221225985", "192.0.2.01", "192.0.2.1 ", " 192.0.2.1"),
            *("192.0.2.1\n", "192.0.2.1:80", "[2001:db8::1]", "fe80::1%eth0", "2001:db8::1/129"),
            *("2001:db8::1::", "example.nl", "192.0.2.0/-1", "192.0.2.0/", "1e1", "*", CANARY),
            "192.0.2.0/255.255.255.0/24",
        )
    },
}
NO_CURSOR: dict[str, Any] = {
    **NO_TEXT,
    **{
        repr(cursor): cursor
        for cursor in (
            *("x", "aW5mbw", "aW5mb0BleGFtcGxlLm5s=", " aW5mb0BleGFtcGxlLm5s", "AAAA", "////"),
            *(
                "SU5GT0BleGFtcGxlLm5s",
                "aW5mb0BleGFtcGxlLm5t=",
                "info@example.nl",
                "é",
                "-1",
                CANARY,
            ),
        )
    },
}
NO_LIMIT = {**NO_NUMBER, "1001": 1001, CANARY: CANARY}
NO_OVERLAP = {**NO_NUMBER, "169": 169, CANARY: CANARY}
del NO_OVERLAP["nought"]  # the key before ends at once
NO_PRIORITY = {**NO_NUMBER, "65536": 65536, CANARY: CANARY}
del NO_PRIORITY["nought"]  # the first of all
NO_QUOTA = {**NO_NUMBER, "1048577": 1_048_577, "units": "1M userdb_uid=0", CANARY: CANARY}
WRONG: dict[str, dict[str, Any]] = {
    "domain": NO_DOMAIN,
    "email": NO_EMAIL,
    "password": NO_PASSWORD,
    "quota_mb": NO_QUOTA,
    "hard_delete": {**NO_FLAG, CANARY: CANARY},
    "can_login": {**NO_FLAG, CANARY: CANARY},
    "can_receive": {**NO_FLAG, CANARY: CANARY},
    "key_as_link": {**NO_FLAG, CANARY: CANARY},
    "registered_here": {**NO_FLAG, CANARY: CANARY},
    "limit": NO_LIMIT,
    "cursor": NO_CURSOR,
    "project_id": {**NO_NUMBER, CANARY: CANARY},
    "name": NO_NODE_NAME,
    "ip_address": NO_NETWORK,
    "node": {what: value for what, value in NO_NODE_NAME.items() if value != ""},
    "host": {what: value for what, value in NO_DOMAIN.items() if value != ""},
    "mx_priority": NO_PRIORITY,
    "overlap_hours": NO_OVERLAP,
}
# All of them where a field comes up first; then every third: a type is one and the same everywhere.
EVERY_VALUE = [
    pytest.param(endpoint, field, what, id=f"{endpoint}-{field}-{what!a}")
    for endpoint, body in GOOD.items()
    for field in body
    for number, what in enumerate(WRONG[field])
    if endpoint == next(one for one in GOOD if field in GOOD[one]) or number % 3 == 0
]
UNKNOWN = [
    *("id", "domain_id", "is_admin", "active", "rev", "revision", "purge_at", "password_hash"),
    *("token_id", "caller", "self", "values", "__class__", "Email", "e-mail", "projectid", "scope"),
]

# Bodies that cannot be read, the status they get, and the code.
UNREADABLE: dict[str, tuple[bytes, int, str]] = {
    "cut": (b'{"email": "info@ex', 400, "MALFORMED_JSON"),
    "a list": (b"[]", 400, "MALFORMED_JSON"),
    "a list of objects": (b'[{"email": "info@example.nl"}]', 400, "MALFORMED_JSON"),
    "a text": (b'"info@example.nl"', 400, "MALFORMED_JSON"),
    "a number": (b"42", 400, "MALFORMED_JSON"),
    "null": (b"null", 400, "MALFORMED_JSON"),
    "true": (b"true", 400, "MALFORMED_JSON"),
    "a form": (b"email=info%40example.nl", 400, "MALFORMED_JSON"),
    "white space": (b"  ", 400, "MALFORMED_JSON"),
    "NUL": (b"\0", 400, "MALFORMED_JSON"),
    "two objects": (b"{}{}", 400, "MALFORMED_JSON"),
    "a comment": (b"{} // nothing", 400, "MALFORMED_JSON"),
    "a trailing comma": (b'{"email": "info@example.nl",}', 400, "MALFORMED_JSON"),
    "single quotes": (b"{'email': 'info@example.nl'}", 400, "MALFORMED_JSON"),
    "a raw line end in a text": (b'{"email": "info@example.nl\n"}', 400, "MALFORMED_JSON"),
    "the same name twice": (b'{"domain": "a.nl", "domain": "b.nl"}', 400, "MALFORMED_JSON"),
    "the same name twice, escaped": (b'{"a": 1, "\\u0061": 2}', 400, "MALFORMED_JSON"),
    "the same name twice, deeper": (b'{"a": {"b": 1, "b": 2}}', 400, "MALFORMED_JSON"),
    "NaN": (b'{"quota_mb": NaN}', 400, "MALFORMED_JSON"),
    "Infinity": (b'{"quota_mb": Infinity}', 400, "MALFORMED_JSON"),
    "-Infinity": (b'{"quota_mb": -Infinity}', 400, "MALFORMED_JSON"),
    "5000 digits": (b'{"quota_mb": ' + b"9" * 5000 + b"}", 400, "MALFORMED_JSON"),
    "a byte order mark": (b"\xef\xbb\xbf{}", 400, "MALFORMED_JSON"),
    "UTF-16": ('{"email": "x"}'.encode("utf-16"), 400, "MALFORMED_JSON"),
    "UTF-16 without a mark": ('{"email": "x"}'.encode("utf-16-le"), 400, "MALFORMED_JSON"),
    "UTF-32": ('{"email": "x"}'.encode("utf-32"), 400, "MALFORMED_JSON"),
    "latin-1": ('{"email": "café"}'.encode("latin-1"), 400, "MALFORMED_JSON"),
    "overlong UTF-8": (b'{"email": "\xc0\xaf"}', 400, "MALFORMED_JSON"),
    "a surrogate in UTF-8": (b'{"email": "\xed\xa0\x80"}', 400, "MALFORMED_JSON"),
    "five levels": (b'{"a": [[[[1]]]]}', 400, "MALFORMED_JSON"),
    "thirty thousand levels": (b"[" * 30_000 + b"]" * 30_000, 400, "MALFORMED_JSON"),
    "thirty thousand levels, unclosed": (b'{"a":' * 12_000, 400, "MALFORMED_JSON"),
    "a hundred thousand levels": (b"[" * 100_000, 413, "BODY_TOO_LARGE"),
    "65 KiB": (b'{"email": "' + b"a" * 65 * 1024 + b'"}', 413, "BODY_TOO_LARGE"),
}
OTHER_TYPES = [
    "text/plain",
    "text/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "application/problem+json",
    "application/json; charset=latin-1",
    "application/json; charset=utf-16",
    "application/jsonx",
    "*/*",
    "é",
    "",
]
PATHS = [
    *("0", "-1", "1.5", "+1", "01", "001", "1e0", "0x1", "x", "%20", "1%20", "%201", "1%0a", "%00"),
    *("1%00", "2147483648", "99999999999999999999", "9" * 4000, "0" * 12 + "1", "%D9%A3", "%C2%B2"),
    *("%ff", "1;2", "1,2", "1'", "null", "..", "%2e%2e", "1%2f1", quote(CANARY)),
    "00000000001" + "9" * 20,
]


@dataclass
class Panel(Api):
    """The API of a panel that nothing may change."""

    before: dict[str, list[tuple[object, ...]]]
    onlooker: sqlite3.Connection
    seen: int = 0


@pytest.fixture(scope="module")
def panel(
    staged_panel: tuple[Path, Cast], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Panel]:
    """A panel with one mailbox, for the whole table."""
    folder = tmp_path_factory.mktemp("panel")
    shutil.copy(staged_panel[0], folder / "panel.db")
    app, cast = create_app(cheap_settings(folder)), deepcopy(staged_panel[1])
    with app.app_context():
        add_user(cast.alice, email=EMAIL, password="correct horse battery")
    with closing(sqlite3.connect(folder / "panel.db")) as onlooker:
        yield Panel(app.test_client(), cast, state(app), onlooker)
    let_go(app)


@pytest.fixture(autouse=True)
def nothing_is_told_onward(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The password of a request does not turn up in a log."""
    caplog.set_level(logging.DEBUG)
    yield
    assert CANARY not in caplog.text


def assert_unchanged(panel: Panel) -> None:
    """The panel is as it was before the first request of the table."""
    (version,) = panel.onlooker.execute("PRAGMA data_version").fetchone()
    if version != panel.seen:  # somebody has written since then; else all is as it was
        assert state(panel.client.application) == panel.before
        panel.seen = version


def post(panel: Panel, endpoint: str, data: bytes, **options: Any) -> TestResponse:
    """POST a body as it is; the admin asks, so that every endpoint is in reach."""
    options = {"content_type": "application/json", **options}
    headers = {**panel.as_("root"), **options.pop("headers", {})}
    answer = panel.client.post(
        f"/iapi/project/1/email_account/{endpoint}", data=data, headers=headers, **options
    )
    assert_unchanged(panel)
    assert CANARY not in answer.text
    assert CANARY not in str(answer.headers)
    return answer


def test_it_works(app: Flask, api: Api) -> None:
    """The requests that the table spoils are good ones."""
    assert {one.name for one in OFFERED} == GOOD.keys()
    for one in OFFERED:
        assert set(one.properties) == set(GOOD[one.name])
        assert one.input_schema.get("required", []) == REQUIRED.get(one.name, [])
    api("add-user", email=EMAIL, password="correct horse battery")
    for endpoint, body in GOOD.items():
        if endpoint not in ("remove-user", "restore-user"):
            assert api(endpoint, "root", **body).status_code in (200, 201), endpoint
    for endpoint in ("remove-user", "restore-user"):
        assert api(endpoint, "root", **{**GOOD[endpoint], "email": EMAIL}).status_code in (200, 404)


@pytest.mark.parametrize(("endpoint", "field", "what"), EVERY_VALUE)
def test_a_wrong_value_is_refused(panel: Panel, endpoint: str, field: str, what: str) -> None:
    value = WRONG[field][what]
    body = json.dumps({**GOOD[endpoint], field: value}).replace("Infinity", "1e999")
    assert_failure(post(panel, endpoint, body.encode()), 422, "INVALID_INPUT", field)


@pytest.mark.parametrize(
    ("endpoint", "field"),
    [(endpoint, field) for endpoint, names in REQUIRED.items() for field in names],
)
def test_a_missing_field_is_named(panel: Panel, endpoint: str, field: str) -> None:
    body = {name: value for name, value in GOOD[endpoint].items() if name != field}
    answer = post(panel, endpoint, json.dumps(body).encode())
    assert_failure(answer, 422, "INVALID_INPUT", field)


@pytest.mark.parametrize("endpoint", GOOD)
def test_an_unknown_field_is_named(panel: Panel, endpoint: str) -> None:
    others = {name for body in GOOD.values() for name in body} - GOOD[endpoint].keys()
    for name in {*UNKNOWN, *others}:
        body = json.dumps({**GOOD[endpoint], name: CANARY}).encode()
        assert_failure(post(panel, endpoint, body), 422, "INVALID_INPUT", name)


@pytest.mark.parametrize("endpoint", GOOD)
def test_an_unknown_field_is_named_before_one_that_is_missing(panel: Panel, endpoint: str) -> None:
    assert_failure(post(panel, endpoint, b'{"e-mail": "x"}'), 422, "INVALID_INPUT", "e-mail")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", ""),
        (" email", " email"),
        ("é", "é"),
        ("<b>", "<b>"),
        ("a\nb", "?"),
        ("a\0b", "?"),
        ("\ud800", "?"),
        ("\u202e", "?"),
        ("a" * 65, "?"),
        ("a" * 10_000, "?"),
    ],
    ids=ascii,
)
def test_a_strange_name_is_told_only_where_it_can_be_shown(
    panel: Panel, name: str, told: str
) -> None:
    body = json.dumps({**GOOD["list-users"], name: 1}).encode()
    assert_failure(post(panel, "list-users", body), 422, "INVALID_INPUT", told)


@pytest.mark.parametrize("what", UNREADABLE)
def test_a_body_that_cannot_be_read_is_refused(panel: Panel, what: str) -> None:
    body, status, code = UNREADABLE[what]
    for endpoint in GOOD:
        assert_failure(post(panel, endpoint, body), status, code)


def test_a_password_in_a_body_that_cannot_be_read_is_not_repeated(panel: Panel) -> None:
    for body in (
        f'{{"email": "info@example.nl", "password": "{CANARY}"',
        f'{{"email": "info@example.nl", "password": "{CANARY}\n"}}',
        f'{{"password": {CANARY}}}',
        f'{{"password": "{CANARY}", "password": "{CANARY}"}}',
        f'"{CANARY}"',
        CANARY,
    ):
        assert_failure(post(panel, "add-user", body.encode()), 400, "MALFORMED_JSON")


@pytest.mark.parametrize("kind", OTHER_TYPES)
def test_another_type_is_refused(panel: Panel, kind: str) -> None:
    for endpoint, good in GOOD.items():
        answer = post(panel, endpoint, json.dumps(good).encode(), content_type=kind)
        assert_failure(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity", "x", "gzip, gzip"])
def test_an_encoded_body_is_refused(panel: Panel, encoding: str) -> None:
    for endpoint, good in GOOD.items():
        headers = {"Content-Encoding": encoding}
        answer = post(panel, endpoint, json.dumps(good).encode(), headers=headers)
        assert_failure(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "kind",
    ["application/json; charset=UTF-8", 'application/json; charset="utf-8"', "Application/JSON"],
)
def test_json_may_name_its_charset(panel: Panel, kind: str) -> None:
    answer = post(panel, "list-users", b'{"limit": 10}', content_type=kind)
    assert answer.status_code == 200


def test_four_levels_and_1024_characters_are_still_read(panel: Panel) -> None:
    answer = post(panel, "list-users", b'{"a": [[[]]]}')
    assert_failure(answer, 422, "INVALID_INPUT", "a")
    brackets = json.dumps({"domain": '"' + "[" * 500}).encode()
    assert_failure(post(panel, "list-users", brackets), 422, "INVALID_INPUT", "domain")
    for length, longer in ((1024, False), (1025, True)):
        body = json.dumps({"domain": "a" * length}).encode()
        error = assert_failure(post(panel, "list-users", body), 422, "INVALID_INPUT", "domain")
        assert ("longer than 1024" in error["message"]) == longer


def test_64_kib_are_still_read(panel: Panel) -> None:
    body = b'{"limit": 10}'
    assert post(panel, "list-users", body + b" " * (64 * 1024 - len(body))).status_code == 200
    answer = post(panel, "list-users", body + b" " * (64 * 1024 - len(body) + 1))
    assert_failure(answer, 413, "BODY_TOO_LARGE")


@pytest.mark.parametrize("whole", ["1024.0", "1.024e3", "1024"])
def test_a_whole_number_may_be_written_with_a_fraction_of_nought(api: Api, whole: str) -> None:
    body = f'{{"email": "new@example.nl", "password": "{CANARY}", "quota_mb": {whole}}}'
    answer = api.client.post(
        "/iapi/project/1/email_account/add-user",
        data=body,
        content_type="application/json",
        headers=api.as_("alice"),
    )
    assert answer.status_code == 201
    assert '"quota_mb":1024,' in answer.text


@pytest.mark.parametrize("project", PATHS)
def test_a_path_that_names_no_project_is_absent(panel: Panel, project: str) -> None:
    for rest in ("email_account/add-user", "email-account/list-users", "integrations"):
        answer = panel.client.open(
            f"/iapi/project/{project}/{rest}",
            method="POST" if rest.endswith("user") else "GET",
            headers=panel.as_("root"),
            json=GOOD["add-user"] if rest.endswith("user") else None,
        )
        assert_failure(answer, 404, "NOT_FOUND" if "%2f" in project else "PROJECT_NOT_FOUND")
        assert CANARY not in answer.text
    assert_unchanged(panel)


@pytest.mark.parametrize(
    "path",
    [
        "/iapi//project/1/email_account/list-users",
        "/iapi/project//email_account/list-users",
        "/iapi/project/1//email_account/list-users",
        "/iapi/project/1/email_account//list-users",
        "/iapi/project/1/email_account/list-users/",
        "/iapi/project/1/email_account/list-users%00",
        "/iapi/project/1/email_account/list-users%0a",
        "/iapi/project/1/email_account/List-Users",
        "/iapi/project/1/email_account/list%2dusers/",
        "/iapi/project/1/Email_Account/list-users",
        "/iapi/project/1/email_account/../email_account/list-users",
        "/iapi/project/1/email_account/%ff",
        f"/iapi/project/1/email_account/{quote(CANARY)}",
        f"/iapi/project/1/email_account/{'x' * 8000}",
    ],
)
def test_a_path_of_nothing_is_absent(panel: Panel, path: str) -> None:
    for verb in ("GET", "POST", "PUT"):
        answer = panel.client.open(path, method=verb, headers=panel.as_("root"))
        assert_failure(answer, 404, "NOT_FOUND")
        assert CANARY not in answer.text


@pytest.mark.parametrize("verb", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "GÈT"])
def test_another_verb_is_refused_with_those_there_are(panel: Panel, verb: str) -> None:
    for one in OFFERED:
        url = f"/iapi/project/1/email_account/{one.name}"
        answer = panel.client.open(url, method=verb, headers=panel.as_("root"))
        assert_failure(answer, 405, "METHOD_NOT_ALLOWED")
        assert answer.headers["Allow"] == ("GET, HEAD, POST" if one.reads else "POST")
    assert_unchanged(panel)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=abc", "limit"),
        ("limit=01", "limit"),
        ("limit=%2B1", "limit"),
        ("limit=+1", "limit"),
        ("limit=1+", "limit"),
        ("limit=-1", "limit"),
        ("limit=-0", "limit"),
        ("limit=1.0", "limit"),
        ("limit=1e1", "limit"),
        ("limit=0x1", "limit"),
        ("limit=1_0", "limit"),
        ("limit=%D9%A3", "limit"),
        ("limit=", "limit"),
        ("limit", "limit"),
        ("limit=true", "limit"),
        ("limit=null", "limit"),
        (f"limit={'9' * 5000}", "limit"),
        ("limit=1&limit=2", "limit"),
        ("limit=1&limit=1", "limit"),
        ("limit[]=1", "limit[]"),
        ("domain=", "domain"),
        ("domain=%ff", "domain"),
        ("domain=example.nl%00", "domain"),
        ("domain=%20example.nl", "domain"),
        ("domain=+example.nl", "domain"),
        ("domain=%ED%A0%80", "domain"),
        (f"domain={'a' * 6000}", "domain"),
        ("domain=example.nl&domain=example.nl", "domain"),
        ("cursor=", "cursor"),
        ("cursor=x", "cursor"),
        ("cursor=%ff", "cursor"),
        ("unknown=1", "unknown"),
        ("DOMAIN=example.nl", "DOMAIN"),
        ("project_id=2", "project_id"),
        ("=1", ""),
        ("%0a=1", "?"),
        (f"{'x' * 65}=1", "?"),
        ("password=Kanarie!Geheim%237", "password"),
        ("limit=Kanarie!Geheim%237", "limit"),
        ("cursor=Kanarie!Geheim%237", "cursor"),
        ("domain=Kanarie!Geheim%237", "domain"),
    ],
)
def test_a_wrong_query_is_refused(panel: Panel, query: str, field: str) -> None:
    answer = panel.client.get(
        f"/iapi/project/1/email_account/list-users?{query}", headers=panel.as_("root")
    )
    assert_unchanged(panel)
    assert_failure(answer, 422, "INVALID_INPUT", field)
    assert CANARY not in answer.text


@pytest.mark.parametrize("endpoint", [one.name for one in OFFERED])
def test_the_query_of_a_post_is_refused_rather_than_passed_over(
    panel: Panel, endpoint: str
) -> None:
    for name in ("limit", "email", "unknown"):
        answer = panel.client.post(
            f"/iapi/project/1/email_account/{endpoint}?{name}=1",
            json=GOOD[endpoint],
            headers=panel.as_("root"),
        )
        assert_failure(answer, 422, "INVALID_INPUT", name)
    assert_unchanged(panel)


@pytest.mark.parametrize("endpoint", ["list-domains", "list-nodes"])
def test_reads_without_fields_take_no_query(panel: Panel, endpoint: str) -> None:
    answer = panel.client.get(
        f"/iapi/project/1/email_account/{endpoint}?limit=1", headers=panel.as_("root")
    )
    assert_failure(answer, 422, "INVALID_INPUT", "limit")


@pytest.mark.parametrize(
    "header", ["Accept", "Accept-Language", "User-Agent", "Cookie", "X-Forwarded-For", "Referer"]
)
@pytest.mark.parametrize("value", ["", "é\xff", "a" * 8000, f"x={CANARY}", "\t;;,,=="], ids=ascii)
def test_strange_headers_that_mean_nothing_here_are_passed_over(
    panel: Panel, header: str, value: str
) -> None:
    answer = post(panel, "list-users", b"{}", headers={header: value})
    assert answer.status_code == 200


def test_operations_that_programs_do_not_get_are_absent(panel: Panel) -> None:
    for name in OPERATIONS.keys() - GOOD.keys():
        assert_failure(post(panel, name, b"{}"), 404, "NOT_FOUND")
