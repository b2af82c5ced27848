"""A panel as it is run: `mailcote serve` on a folder of its own, and what programs ask of it."""

from __future__ import annotations

import http.client
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from tests.node.clients import TIMEOUT
from tests.processes import eventually, free_port, is_listening, process

MAILCOTE = [sys.executable, "-m", "app.cli"]


class ServedPanel:
    """One project, and an admin's token that reaches it; not yet running."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.environment = {
            **os.environ,
            "MAILCOTE_INSTANCE": str(folder),
            "MAILCOTE_MAILBOX_BCRYPT_COST": "4",
            "MAILCOTE_RATE_WRITES": "0",
        }
        self._running = ExitStack()
        self.project = self.mailcote("project", "add", "The bakery")
        self.token = self.mailcote("token", "add", "--admin")

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def database(self) -> Path:
        """Its SQLite file."""
        return self.folder / "panel.db"

    def mailcote(self, *arguments: str) -> str:
        """Run a command, which has to succeed; the last line it prints."""
        command = [*MAILCOTE, *arguments]
        output = subprocess.check_output(command, env=self.environment, text=True)
        return (output.strip().splitlines() or [""])[-1]

    def start(self) -> None:
        """Serve until it is told to stop."""
        command = [*MAILCOTE, "serve", "--port", str(self.port)]
        self._running.enter_context(process(command, self.environment))
        eventually(lambda: is_listening(self.port))

    def stop(self) -> None:
        """Stop serving, if it does."""
        self._running.close()

    def call(self, endpoint: str, **fields: Any) -> dict[str, Any]:
        """Call an operation, which has to succeed; its data."""
        with closing(self.connection()) as connection:
            return self.call_on(connection, endpoint, **fields)

    def connection(self) -> http.client.HTTPConnection:
        """One that may carry many calls."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)

    def call_on(
        self, connection: http.client.HTTPConnection, endpoint: str, **fields: Any
    ) -> dict[str, Any]:
        """The same on a connection that stays."""
        path = f"/iapi/project/{self.project}/email_account/{endpoint}"
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(fields).encode(), headers)
        answer = json.load(connection.getresponse())
        assert answer["success"], answer
        data: dict[str, Any] = answer["data"]
        return data

    def export(self, key: str, since: int | None = None) -> dict[str, Any]:
        """What a node is told at once that has nothing, or everything up to a revision."""
        with closing(self.connection()) as connection:
            path = "/sync/v1/export" + ("" if since is None else f"?since={since}")
            connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
            answer: dict[str, Any] = json.load(connection.getresponse())
            return answer

    def rows(self, query: str, *values: object) -> list[Any]:
        """What its database has, read behind its back."""
        with closing(sqlite3.connect(self.database)) as database:
            return database.execute(query, values).fetchall()
