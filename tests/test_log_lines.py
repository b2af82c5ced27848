"""The form of a log line, and what is taken out of every one."""

from __future__ import annotations

import json
import logging
import re
import sys

import pytest

from app.credentials import ACCESS, CODE, REFRESH, SESSION, SYNC_KEY, TOKEN, WELCOME, make
from app.log_lines import JsonLines, request_id, without_secrets
from app.passwords import hash_of_none


def line_of(message: str, *values: object, **more: object) -> dict[str, object]:
    """What is written of a record."""
    record = logging.LogRecord("app.x", logging.WARNING, "x.py", 1, message, values, None)
    vars(record).update(more)
    text = JsonLines().format(record)
    assert "\n" not in text
    found: dict[str, object] = json.loads(text)
    return found


def test_it_works() -> None:
    line = line_of("could not %s", "tidy up", fields={"status": 503})
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(line.pop("at")))
    assert line == {
        "level": "warning",
        "logger": "app.x",
        "message": "could not tidy up",
        "status": 503,
    }


def test_it_names_the_request() -> None:
    mark = request_id.set("0123456789abcdef")
    try:
        assert line_of("x")["request"] == "0123456789abcdef"
    finally:
        request_id.reset(mark)
    assert "request" not in line_of("x")


def test_nobody_begins_a_line_of_their_own() -> None:
    forged = 'x\n{"level": "info"}\r\n\x1b[2J\u2028'
    assert line_of("%s", forged)["message"] == forged


@pytest.mark.parametrize("prefix", [TOKEN, SYNC_KEY, WELCOME, SESSION, ACCESS, REFRESH, CODE])
def test_no_credential_is_written(prefix: str) -> None:
    secret = make(prefix)
    for text in (secret, f"/welcome/{secret}/x", f"key={secret},", f'"{secret}"', secret[:20]):
        assert secret[:12] not in str(line_of(text))
        assert secret[:12] not in str(line_of("%s", text))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"hash {hash_of_none(10)}, {hash_of_none(12)[11:]}", "hash …, …"),
        ("postgresql://panel:s3cret@db/n", "postgresql://…@db/n"),
        ("cannot reach smtp://u:s3cret@mail:25: refused", "cannot reach smtp://…@mail:25: refused"),
        ("Authorization: Bearer s3cret-0123", "Authorization: Bearer …"),
        ("authorization: basic czNjcmV0", "authorization: basic …"),
        ("Error handling request GET /x?password=s3cret&y=1", "Error handling request GET /x?…"),
        ("b'GET /x?q=s3cret HTTP/1.1'", "b'GET /x?… HTTP/1.1'"),
        ("https://panel.example.nl/mailboxes", "https://panel.example.nl/mailboxes"),
        ("info@example.nl was told; is that so? yes = yes", None),
        ("UPDATE people SET name=? WHERE id = ?", None),
    ],
)
def test_what_is_left_of_a_text(text: str, left: str | None) -> None:
    assert without_secrets(text) == (text if left is None else left)


def test_a_trace_is_without_secrets_too() -> None:
    secret = make(TOKEN)
    shown = f"{secret}\nDETAIL:  Failing row contains (1, s3cret)\nCONTEXT: s3cret\n"
    try:
        raise ValueError(shown)
    except ValueError:
        line = line_of("x", exc_info=sys.exc_info())
    assert "ValueError" in str(line["trace"])
    assert secret not in str(line)
    assert "s3cret" not in str(line)
