"""The agent, as nodes download it: one file, no secret, no key needed."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path

from flask import Flask

import app as application

URL = "/sync/v1/agent.py"


def test_it_works(app: Flask) -> None:
    answer = app.test_client().get(URL)
    assert answer.status_code == 200
    assert answer.mimetype == "text/x-python"
    served = Path(str(application.__file__)).with_name("agent.py").read_bytes()
    assert hashlib.sha256(answer.data).digest() == hashlib.sha256(served).digest()
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    ast.parse(answer.data)


def test_it_is_sent_once(app: Flask) -> None:
    client = app.test_client()
    tag = client.get(URL).headers["ETag"]
    again = client.get(URL, headers={"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    assert client.get(URL, headers={"If-None-Match": '"other"'}).status_code == 200


def test_nothing_else_of_the_panel_is_served_there(app: Flask) -> None:
    client = app.test_client()
    for path in (
        "",
        "/",
        "/config.py",
        "/agent.py/",
        "/../config.py",
        "/%2e%2e/config.py",
        "/agent",
    ):
        assert client.get(f"/sync/v1{path}").status_code == 404
