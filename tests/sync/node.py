"""A node as a test plays it: it asks for the export, and believes nothing it has not checked."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from app.extensions import db
from tests.api.answers import assert_failure
from tests.conftest import PASSWORD, Api

URL = "/sync/v1/export"
HASH = re.compile(r"\{BLF-CRYPT\}\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}")
ID = re.compile(r"[0-9a-f]{32}")
EPOCH = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DOCUMENT = {
    "format",
    "epoch",
    "revision",
    "full",
    "counts",
    "sha256",
    "allow_shrink",
    "domains",
    "users",
    "aliases",
    "purge",
}
USER = {"id", "email", "password", "quota_mb", "login", "deliver"}


@dataclass
class Node:
    """mpi01, or whoever holds its key."""

    client: FlaskClient
    key: str
    name: str = "mpi01"

    def ask(self, **given: str) -> TestResponse:
        """Ask for the export, with headers such as If_None_Match, and `wait` and `since`."""
        query = {name: value for name, value in given.items() if name in ("wait", "since")}
        named = {name.replace("_", "-"): given[name] for name in given if name not in query}
        headers = {"Authorization": f"Bearer {self.key}", **named}
        return self.client.get(URL, query_string=query, headers=headers)

    def fetch(self) -> dict[str, Any]:
        """The whole state, checked as an agent checks it."""
        return checked(self.ask(), self.name)

    def emails(self) -> list[str]:
        """The addresses in the export, sorted."""
        return sorted(user["email"] for user in self.fetch()["users"])


def checked(answer: TestResponse, node: str = "mpi01") -> dict[str, Any]:
    """The document of an answer that is right in every way the contract names."""
    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["Vary"] == "Authorization"
    document: dict[str, Any] = answer.get_json()
    assert document.keys() == DOCUMENT
    assert (document["format"], document["full"]) == (1, True)
    assert EPOCH.fullmatch(document["epoch"])
    assert type(document["revision"]) is int
    assert answer.headers["ETag"] == f'"{document["epoch"]}-{document["revision"]}-{node}"'
    assert type(document["allow_shrink"]) is bool
    domains, users, aliases = document["domains"], document["users"], document["aliases"]
    assert document["counts"] == {
        "domains": len(domains),
        "users": len(users),
        "aliases": len(aliases),
    }
    assert domains == sorted(domains, key=str.encode)
    assert users == sorted(users, key=lambda user: str(user["id"]))
    assert document["purge"] == sorted(document["purge"])
    assert aliases == []
    for user in users:
        assert user.keys() == USER
        assert ID.fullmatch(user["id"])
        assert HASH.fullmatch(user["password"])
        assert type(user["quota_mb"]) is int
        assert type(user["login"]) is bool
        assert type(user["deliver"]) is bool
        assert user["email"].partition("@")[2] in domains
    assert len({user["id"] for user in users}) == len({user["email"] for user in users})
    assert all(ID.fullmatch(key) for key in document["purge"])
    assert not {user["id"] for user in users} & set(document["purge"])
    assert document["sha256"] == digest(domains, users, aliases)
    return document


def digest(*arrays: list[Any]) -> str:
    """The digest as the contract defines it."""
    encoded = json.dumps(list(arrays), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(encoded.encode()).hexdigest()


def fill(api: Api, *names: str) -> None:
    """Make mailboxes on example.nl."""
    for name in names:
        answer = api("add-user", email=f"{name}@example.nl", password=PASSWORD)
        assert answer.status_code == 201, answer.text


def execute(app: Flask, statement: str, **values: object) -> None:
    """Change the database behind the panel's back."""
    with app.app_context():
        db.session.execute(text(statement), values)
        db.session.commit()


def assert_unauthorized(answer: TestResponse) -> None:
    """The one answer to whoever is not a node."""
    error = assert_failure(answer, 401, "UNAUTHORIZED")
    assert error.keys() == {"type", "code", "message", "recovery"}
    assert "ETag" not in answer.headers
