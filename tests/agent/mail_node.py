"""A mail node: a state directory, a key file, and the agent on them."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from app import agent

from .fake_panel import FakePanel

PROGRAM = Path(agent.__file__)
KEY = "mck_Zm9vYmFyYmF6cXV4MDEyMzQ1Njc4OQ"


class Result(NamedTuple):
    code: int
    out: str
    err: str


class Node:
    def __init__(self, folder: Path, panel: FakePanel) -> None:
        self.folder, self.panel = folder, panel
        self.state = folder / "state"
        self.database = self.state / "users.db"
        self.key_file = folder / "key"
        self.key_file.write_text(KEY + "\n")
        self.key_file.chmod(0o600)
        self.maps = folder / "maps"
        self.mapped = folder / "mapped"
        self.kicked = folder / "kicked"
        self.doveadm_code = folder / "doveadm-code"

    def options(self, *more: str) -> list[str]:
        """What a later option repeats, it overrides."""
        return [
            *("--panel", self.panel.url, "--key-file", str(self.key_file)),
            *("--state", str(self.state), "--usage", str(self.folder / "usage")),
            *("--logins", str(self.folder / "logins"), *more),
        ]

    def call(self, *arguments: str) -> Result:
        """The agent in this process; nothing it ever says may hold the key or a traceback."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = agent.main(arguments)
        assert KEY not in out.getvalue() + err.getvalue()
        assert "Traceback" not in err.getvalue()
        return Result(code, out.getvalue(), err.getvalue())

    def once(self, *more: str) -> Result:
        return self.call("once", *self.options(*more))

    def status(self) -> str:
        result = self.call("status", "--state", str(self.state))
        assert result.code == 0
        return result.out

    def check(self, *more: str) -> Result:
        return self.call("check", *self.options(*more))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The agent as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-I", str(PROGRAM), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def rows(self, sql: str) -> list[Any]:
        connection = sqlite3.connect(self.database)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def change(self, sql: str) -> None:
        connection = sqlite3.connect(self.database)
        try:
            connection.executescript(sql)
        finally:
            connection.close()

    def emails(self) -> list[str]:
        return [row[0] for row in self.rows("SELECT email FROM users ORDER BY email")]

    def meta(self) -> dict[str, str]:
        return dict(self.rows("SELECT k, v FROM meta"))

    def everything(self) -> list[list[Any]]:
        tables = ("users", "domains", "aliases", "meta", "kicks")
        return [self.rows(f"SELECT * FROM {table} ORDER BY 1") for table in tables]

    def content(self) -> list[Any]:
        """The three arrays of an export, as the database holds them."""
        names = ("email", "id", "password", "quota_mb", "login", "deliver")
        rows = self.rows(f"SELECT {', '.join(names)} FROM users ORDER BY id")
        boxes = [dict(zip(names, row, strict=True)) for row in rows]
        for box in boxes:
            box["login"], box["deliver"] = bool(box["login"]), bool(box["deliver"])
        aliases = [
            {"address": address, "goto": goto.split(", ")}
            for address, goto in self.rows("SELECT address, goto FROM aliases ORDER BY address")
        ]
        names_of_domains = self.rows("SELECT name FROM domains ORDER BY name")
        return [[name for (name,) in names_of_domains], boxes, aliases]

    def doveadm(self, script: str = "") -> str:
        """A stand-in that records how it was called; the command to give to --doveadm."""
        path = self.folder / "doveadm"
        path.write_text(
            f"#!/bin/sh\nprintf '[%s]' \"$@\" >> {self.kicked}\necho >> {self.kicked}\n{script}\n"
            f"exit $(cat {self.doveadm_code} 2>/dev/null || echo 0)\n"
        )
        path.chmod(0o700)
        return str(path)

    def postmap(self, script: str = "") -> str:
        """A stand-in that makes a map of its lines as they are; the command for --postmap."""
        path = self.folder / "postmap"
        path.write_text(
            f'#!/bin/sh\necho "$@" >> {self.mapped}\n{script}\n'
            'for a; do case "$a" in cdb:*) cp "${a#cdb:}" "${a#cdb:}.cdb";; esac; done\n'
        )
        path.chmod(0o700)
        return str(path)

    def with_maps(self, script: str = "") -> tuple[str, ...]:
        return "--maps", str(self.maps), "--postmap", self.postmap(script)

    def map(self, name: str) -> dict[str, str]:
        """What the stand-in's map says of each key."""
        lines = (self.maps / f"{name}.cdb").read_text().splitlines()
        return {key: value for key, _, value in (line.partition(" ") for line in lines)}

    def maps_written(self) -> int:
        return len(self.mapped.read_text().splitlines()) if self.mapped.exists() else 0

    def kicks(self) -> list[str]:
        return self.kicked.read_text().splitlines() if self.kicked.exists() else []

    def note(self) -> dict[str, str]:
        note: dict[str, str] = json.loads((self.state / "agent.note").read_text())
        return note

    def mode(self, name: str) -> int:
        return (self.state / name).stat().st_mode & 0o7777


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


def is_root() -> bool:
    return os.geteuid() == 0
