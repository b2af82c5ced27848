"""Which calls were made, and by what, so that who connects a program sees that it works.

Calls are kept in memory and written together, once a second at most, and only the last stay. What
a process has not written when it ends is lost, which harms nobody.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, cast

from flask import current_app, request
from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.local import LocalProxy

from . import clock
from .caller import Caller
from .database import write_transaction
from .errors import Busy
from .models import Call, Project
from .models.calls import CALLS_KEPT

PAUSE = 1.0  # seconds
MAX_PENDING = 200
DONE = "done"

# What a program calls itself holds one of these words; the first that fits is what it is taken for.
_PROGRAMS = (
    ("claude", ("claude", "anthropic")),
    ("chatgpt", ("chatgpt", "openai")),
    ("cursor", ("cursor",)),
    ("vscode", ("vscode", "visual studio code")),
    ("n8n", ("n8n",)),
    ("curl", ("curl/",)),
)


@dataclass
class Seen:
    """One call, `count` times in a row."""

    project_id: int
    program: str
    actor: str
    operation: str
    outcome: str
    at: str
    count: int = 1

    def goes_on(self, other: Seen) -> bool:
        """Whether the other is the same again."""
        return replace(other, at=self.at, count=self.count) == self


class Calls:
    """What one process has seen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[Seen] = []
        self._written_at = float("-inf")

    def note(self, caller: Caller, operation: str, outcome: str) -> None:
        """Keep a call that was made in a project; write what has come together if it is time."""
        if caller.project_id is None:
            return
        program = program_of(request.headers.get("User-Agent", ""), caller.actor)
        actor = caller.actor
        seen = Seen(caller.project_id, program, actor, operation, outcome, clock.now())
        with self._lock:
            last = self._pending[-1] if self._pending else None
            if last and last.goes_on(seen):
                last.at, last.count = seen.at, last.count + 1
            else:
                self._pending.append(seen)
                del self._pending[:-MAX_PENDING]
            is_due = time.monotonic() >= self._written_at + PAUSE
        if is_due:
            self.write()

    def write(self) -> None:
        """Write what is pending. Needs an application context."""
        with self._lock:
            pending, self._pending = self._pending, []
            self._written_at = time.monotonic()
        if pending:
            _write(pending)

    def forget(self) -> None:
        """Drop what is pending."""
        with self._lock:
            self._pending = []


# Those of the application at hand.
calls = cast(Calls, LocalProxy(lambda: current_app.extensions["calls"]))


def program_of(user_agent: str, actor: str) -> str:
    """Which program somebody calls with, by what it says of itself; "" for another one.

    What sends the request knows best; an assistant or a token may be named after it.
    """
    _person, _, name = actor.partition(" through ")
    for text in (user_agent.lower(), name.lower(), actor.lower() if not name else ""):
        for program, words in _PROGRAMS:
            if any(word in text for word in words):
                return program
    return ""


def _write(pending: list[Seen]) -> None:
    """A database that cannot be written now is no reason to refuse what was called."""
    with suppress(Busy, SQLAlchemyError), write_transaction(is_lasting=False) as session:
        named = {seen.project_id for seen in pending}
        there = set(session.scalars(select(Project.id).where(Project.id.in_(named))))
        if rows := [vars(seen) for seen in pending if seen.project_id in there]:
            session.execute(insert(Call), rows)
            session.execute(delete(Call).where(Call.id.in_(_too_old(there))))


def _too_old(projects: set[int]) -> Any:
    place = func.row_number().over(
        partition_by=(Call.project_id, Call.program), order_by=Call.id.desc()
    )
    ranked = select(Call.id, place.label("place")).where(Call.project_id.in_(projects)).subquery()
    return select(ranked.c.id).where(ranked.c.place > CALLS_KEPT)
