"""A disk that is full or may only be read, a server that is: every face says when to come back and
goes on to answer what needs no writing; and all is well again as soon as it can be.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy.engine import make_url
from werkzeug.test import TestResponse

from app import clock, create_app
from app.config import Settings
from app.database import write_transaction
from app.extensions import db
from app.models import Assistant as LetIn
from app.models import Token, WebSession
from tests.api.answers import unchanged
from tests.applications import let_go
from tests.conftest import JUST_MIGRATED, PASSWORD, Api, Cast, cheap_settings, needs_postgres
from tests.conftest import fill as fill_panel
from tests.databases import libpq, postgres_database
from tests.mcp.client import Assistant
from tests.oauth.conftest import signed_in
from tests.oauth.program import Program
from tests.sync.node import Node
from tests.web.conftest import PEOPLES_PASSWORD, Browser, peopled_panel

__all__ = ["peopled_panel"]
pytestmark = pytest.mark.real
MEBIBYTES = 4


@pytest.fixture
def disk(tmp_path: Path, peopled_panel: Path) -> Iterator[Path]:
    """A file system of its own with a panel on it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MEBIBYTES}m,mode=0700", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("NOT TESTED on a full disk: it needs the right to mount one")
    try:
        shutil.copy(peopled_panel, folder / "panel.db")
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def settings(disk: Path) -> Settings:
    """Cheap hashes, and limits that count nobody out."""
    return cheap_settings(disk)


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The panel on this disk."""
    app = create_app(settings)
    yield app
    let_go(app)


def fill(disk: Path) -> None:
    """Leave not a byte free."""
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@dataclass
class Faces:
    """Somebody at each face of a panel."""

    app: Flask
    cast: Cast
    alice: Browser
    program: Program

    @property
    def api(self) -> Api:
        """Who calls the JSON API."""
        return Api(self.app.test_client(), self.cast)

    @property
    def node(self) -> Node:
        """mpi01."""
        return Node(self.app.test_client(), self.cast.sync_key)

    def changes(self, name: str) -> Iterator[TestResponse]:
        """An answer of each face to what has to be written down."""
        yield self.api("add-user", email=f"{name}@example.nl", password=PASSWORD)
        yield self.api("add-node", "root", name=f"node-{name}")
        yield self.alice.post("/domains/parked.nl/enable")
        yield self.alice.post("/sign-out")
        visitor = Browser(self.app, self.app.test_client())
        visitor.get("/sign-in")
        email = "root@people.example"
        yield visitor.post("/sign-in", email=email, password=PEOPLES_PASSWORD, next="/")
        yield self.program.refresh()
        yield Program(self.app.test_client()).register()

    def tool(self, name: str) -> dict[str, Any]:
        """What an assistant is told when it changes something."""
        ask = Assistant(self.app.test_client(), self.cast)
        return ask("add-user", email=f"{name}@example.nl", password=PASSWORD)

    def reads(self) -> Iterator[TestResponse]:
        """An answer of each face to who changes nothing."""
        yield self.api("list-users")
        yield Assistant(self.app.test_client(), self.cast).ask("tools/list")
        yield from map(self.alice.get, ("/", "/mailboxes", "/domains/example.nl", "/account"))
        yield self.api.client.get("/sign-in")
        yield self.node.ask()
        yield self.program.call("list-domains")
        yield self.api.client.get("/healthz")


@pytest.fixture
def faces(app: Flask, staged_panel: tuple[Path, Cast]) -> Faces:
    """Everybody was there some minutes ago, so that coming again is worth a note."""
    program, alice = Program(app.test_client()), signed_in(app, "alice")
    program.register()
    program.connect(alice)
    ago = clock.from_now(seconds=-300)
    with app.app_context(), write_transaction() as session:
        session.execute(db.update(WebSession).values(seen_at=ago))
        session.execute(db.update(Token).values(last_used_at=ago))
        session.execute(db.update(LetIn).values(last_used_at=ago))
    alice.get("/domains/parked.nl")
    with app.app_context(), write_transaction() as session:
        session.execute(db.update(WebSession).values(seen_at=ago))
    return Faces(app, staged_panel[1], alice, program)


def assert_puts_changes_off(faces: Faces) -> None:
    """Every face says so, changes nothing, and goes on to show what there is."""
    with unchanged(faces.app):
        for answer in faces.changes("late"):
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["Retry-After"]) > 0
            assert "try again" in answer.text
        told = faces.tool("late")
        assert told["isError"] is True
        assert "TRY_LATER" in str(told)
        for answer in faces.reads():
            assert answer.status_code == 200, answer.text
        ready = faces.api.client.get("/readyz")
        assert ready.status_code == 503
        assert '"database":true' in ready.text


def assert_all_is_well(faces: Faces) -> None:
    """Without anybody doing anything about it."""
    assert faces.tool("again")["isError"] is False
    assert [answer.status_code for answer in faces.reads()] == [200] * 10
    expected = [201, 201, 303, 303, 303, 200, 201]
    assert [answer.status_code for answer in faces.changes("later")] == expected
    assert {"again@example.nl", "later@example.nl"} <= set(faces.node.emails())


def test_it_works(faces: Faces, disk: Path) -> None:
    fill(disk)
    assert_puts_changes_off(faces)
    (disk / "filler").unlink()
    assert_all_is_well(faces)


def test_a_panel_that_starts_on_a_full_disk_waits_for_room(faces: Faces, disk: Path) -> None:
    """SQLite needs some to begin with: https://www.sqlite.org/wal.html, section 2.1."""
    let_go(faces.app)
    fill(disk)
    assert_puts_everything_off(faces)
    (disk / "filler").unlink()
    assert_all_is_well(faces)


def test_a_panel_that_starts_on_a_disk_it_may_only_read_waits(faces: Faces, disk: Path) -> None:
    let_go(faces.app)
    remount(disk, "ro")
    assert_puts_everything_off(faces)
    remount(disk, "rw")
    assert_all_is_well(faces)


def test_a_disk_that_may_only_be_read_any_more(faces: Faces, disk: Path) -> None:
    """As the system leaves it that found an error on it, and the panel is started again."""
    files = {path: path.read_bytes() for path in disk.glob("panel.db-*")}
    let_go(faces.app)
    for path, content in files.items():
        path.write_bytes(content)
    remount(disk, "ro")
    assert_puts_changes_off(faces)
    let_go(faces.app)
    remount(disk, "rw")
    assert_all_is_well(faces)


def assert_puts_everything_off(faces: Faces) -> None:
    """Every face says when to come back."""
    asks_nothing = {"/sign-in", "/healthz"}
    for answer in (*faces.reads(), *faces.changes("late")):
        if answer.status_code == 200:
            assert answer.request.path in asks_nothing
        else:
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["Retry-After"]) > 0
    ready = faces.api.client.get("/readyz")
    assert ready.status_code == 503
    assert '"database":false' in ready.text
    assert faces.api.client.get("/metrics").status_code == 200


def remount(disk: Path, how: str) -> None:
    """Say whether anything may be written there."""
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)


class TestPostgres:
    """The same of a server, which is told to behave so in this one database."""

    @pytest.fixture
    def settings(self, postgres_url: str, tmp_path: Path) -> Iterator[Settings]:
        """A database of its own."""
        with postgres_database(postgres_url, like=JUST_MIGRATED) as url:
            yield cheap_settings(tmp_path, url)

    @pytest.fixture
    def app(self, settings: Settings, peopled_panel: Path) -> Iterator[Flask]:
        """The panel with its people in this database."""
        app = create_app(settings)
        fill_panel(app, peopled_panel)
        yield app
        let_go(app)

    @needs_postgres
    def test_one_that_only_reads(self, faces: Faces, settings: Settings, postgres_url: str) -> None:
        """As a standby server does (hot_standby)."""
        tell(postgres_url, settings, "SET default_transaction_read_only = on")
        assert_puts_changes_off(faces)
        tell(postgres_url, settings, "RESET default_transaction_read_only")
        assert_all_is_well(faces)

    @needs_postgres
    def test_one_that_lets_nobody_in(
        self, faces: Faces, settings: Settings, postgres_url: str
    ) -> None:
        """As one that is out of connections, or starts anew."""
        tell(postgres_url, settings, "ALLOW_CONNECTIONS false")
        assert_puts_everything_off(faces)
        tell(postgres_url, settings, "ALLOW_CONNECTIONS true")
        assert_all_is_well(faces)


def tell(server_url: str, settings: Settings, what: str) -> None:
    """Alter the panel's database; who has it open is put out, and finds it so on returning."""
    name = make_url(settings.database_url).database
    with psycopg.connect(libpq(server_url), autocommit=True) as server:
        server.execute(f"ALTER DATABASE {name} {what}")
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        server.execute(query, [name])
