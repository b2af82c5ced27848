"""Killing a panel's processes under load, and counting what it had acknowledged.

Eight programs add mailboxes, each after the other, while master and workers are killed (SIGKILL) at
random instants and the server is started anew. Every mailbox whose 201 arrived has to be there in
the end, nothing that nobody asked for, and the panel has to find itself sound.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from flask import Flask

from app import checks
from app.config import PREFIX, Settings
from app.extensions import db
from app.models import AuditEntry, Mailbox
from tests.processes import eventually, free_port, is_listening

WRITERS = 8
ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Storm:
    """What was asked for and acknowledged, and how often something was killed."""

    acknowledged: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    masters: int = 0
    workers: int = 0


def rage(
    settings: Settings,
    token: str,
    seconds: float,
    *,
    domain: str = "example.nl",
    seed: int = 1,
) -> Storm:
    """Kill the processes of a server of this panel for so long, under load, and its master last.

    The time it takes to start anew does not count. It is down in the end.
    """
    storm, chance, over = Storm(), random.Random(seed), threading.Event()
    port = free_port()
    writers = [
        threading.Thread(target=_write, args=(storm, port, token, f"w{number}-{{}}@{domain}", over))
        for number in range(WRITERS)
    ]
    server = _start(settings, port)
    try:
        for writer in writers:
            writer.start()
        left = seconds
        while left > 0:
            pause = chance.uniform(0.05, 0.6)
            time.sleep(pause)
            left -= pause
            workers = _children(server.pid)
            if workers and chance.random() < 0.8:
                storm.workers += 1
                _kill(chance.choice(workers))
                continue
            storm.masters += 1
            for process in (server.pid, *workers):  # all at once, as when the power fails
                _kill(process)
            server.wait()
            server = _start(settings, port)
    finally:
        over.set()
        for writer in writers:
            writer.join()
        for process in (server.pid, *_children(server.pid)):
            _kill(process)
        server.wait()
    return storm


def lost(app: Flask, storm: Storm) -> set[str]:
    """The mailboxes that were acknowledged and are not there; what is there was asked for, each
    with its line in the audit log, and the panel is sound."""
    with app.app_context():
        there = set(db.session.scalars(db.select(Mailbox.email)))
        entries = db.select(AuditEntry.object).where(AuditEntry.action == "add-user")
        told = list(db.session.scalars(entries))
        wrong = [sentence for verdict, sentence in checks.run() if verdict == "WRONG"]
    assert there <= storm.asked
    assert sorted(told) == sorted(there)
    assert wrong == []
    return storm.acknowledged - there


def _write(storm: Storm, port: int, token: str, pattern: str, over: threading.Event) -> None:
    count = 0
    while not over.is_set():
        count += 1
        email = pattern.format(count)
        storm.asked.add(email)
        with suppress(OSError, http.client.HTTPException):
            status = _add_user(port, token, email)
            if status == 201:
                storm.acknowledged.add(email)
            else:
                storm.refused.add(status)
            continue
        time.sleep(0.02)  # nobody listens just now


def _add_user(port: int, token: str, email: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with closing(connection):
        connection.request(
            "POST",
            "/iapi/project/1/email_account/add-user",
            json.dumps({"email": email, "password": "correct horse battery"}),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        answer.read()
        return answer.status


def _start(settings: Settings, port: int) -> subprocess.Popen[bytes]:
    values = {
        "INSTANCE": settings.instance,
        "DATABASE_URL": settings.database_url,
        "MAILBOX_BCRYPT_COST": 4,
        "RATE_WRITES": 0,
        "WORKERS": 2,
    }
    environment = {PREFIX + name: str(value) for name, value in values.items() if value != ""}
    server = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "serve", "--port", str(port)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    eventually(lambda: is_listening(port))
    return server


def _children(process: int) -> list[int]:
    with suppress(OSError):
        found = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
        return [int(number) for number in found.split()]
    return []


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
