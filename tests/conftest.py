"""The stage for every test: a panel of its own, and one cast.

alice is a customer, bob her colleague, charlie a customer of somebody else who must see nothing,
root the admin, mpi01 a node.
"""

from __future__ import annotations

import gc
import shutil
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis
import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from werkzeug.test import TestResponse

from app import create_app, upgrade
from app.caller import Caller, caller_with_token, command_line
from app.config import Settings
from app.extensions import db
from app.models import Feed
from app.operations import OPERATIONS
from tests import postgres
from tests.applications import Applications, closed_file, let_go
from tests.dns.name_server import NameServer
from tests.nameless import resolver
from tests.rows import empty, put, rows_of

# The same examples at every run, and no clock: a slow machine is not a wrong answer.
hypothesis.settings.register_profile("mailcote", derandomize=True, deadline=None)
hypothesis.settings.load_profile("mailcote")

# Files that take longest: begun last, they would be all that is left to do, on one core.
LONGEST = (
    "browser/test_pages.py",
    "browser/test_customer.py",
    "node/test_live.py",
    "cli/test_backup.py",
    "agent/test_crash.py",
    "browser/test_admin.py",
    "test_server.py",
    "test_migrations.py",
    "operations/test_races.py",
    "sync/test_deltas.py",
    "cli/test_demo.py",
    "cli/test_as_a_program.py",
    "node/test_proof.py",
    "node/test_placement.py",
)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for garbage only among what tests leave: thousands of tests are none, and stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, and leave the others in their order."""
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    path = item.path.as_posix()
    found = (place for place, name in enumerate(LONGEST) if path.endswith("/" + name))
    return next(found, len(LONGEST))


PASSWORD = "correct horse battery"

needs_postgres = pytest.mark.skipif(
    postgres.binaries() is None,
    reason=f"NOT TESTED on PostgreSQL: apt-get install {postgres.PACKAGE}",
)
ON_POSTGRES = [pytest.mark.real, needs_postgres]
ON_BOTH = ["sqlite", pytest.param("postgresql", marks=ON_POSTGRES)]


@cache
def just_migrated() -> bytes:
    """The file of an SQLite panel without anything in it: to migrate one takes a second."""
    with TemporaryDirectory() as folder:
        app = create_app(Settings(instance=Path(folder)))
        with app.app_context():
            upgrade.bring_up_to_date()
        return closed_file(app).read_bytes()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite panel, migrated once and copied for each test."""
    file = tmp_path_factory.mktemp("migrated") / "panel.db"
    file.write_bytes(just_migrated())
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(FOLLOW_THE_EPOCH)
    return file


# As after the nodes have taken over this epoch: what is removed from now on is meant.
FOLLOW_THE_EPOCH = "UPDATE feed SET shrink_is_meant = true"
BEGIN_THE_FEED = update(Feed).values(revision=1, users=0, shrink_is_meant=True)
JUST_MIGRATED = "just_migrated"  # a PostgreSQL database to make others like


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An empty PostgreSQL panel, migrated once and emptied for each test."""
    with postgres.server() as url:
        settings = Settings.from_environment({"MAILCOTE_DATABASE_URL": url})
        folder = tmp_path_factory.mktemp("instance")
        app = create_app(Settings(instance=folder, database_url=settings.database_url))
        with app.app_context():
            upgrade.bring_up_to_date()
        let_go(app)
        with psycopg.connect(url, dbname="template1", autocommit=True) as server:
            server.execute(f"CREATE DATABASE {JUST_MIGRATED} TEMPLATE postgres")
        with psycopg.connect(url) as panel:
            panel.execute(FOLLOW_THE_EPOCH)
        yield settings.database_url


@pytest.fixture(scope="module")
def own_name_server() -> Iterator[NameServer]:
    """A name server for the tests of one file."""
    with NameServer() as server:
        yield server


@pytest.fixture
def name_server(own_name_server: NameServer) -> NameServer:
    """A name server that has no zones yet; needs the marks `real` and `needs_knot`."""
    own_name_server.begin_anew()
    return own_name_server


@pytest.fixture
def database() -> str:
    """Which database a test runs on; folders whose tests run on both override this."""
    return "sqlite"


@pytest.fixture(scope="session")
def applications(tmp_path_factory: pytest.TempPathFactory) -> Applications:
    """What the tests of this process share."""
    return Applications(tmp_path_factory.mktemp("instance"))


@pytest.fixture
def settings(applications: Applications, database: str, request: pytest.FixtureRequest) -> Settings:
    """Cheap hashes and no rate limits, unless a test replaces them; the panel is empty."""
    if database == "sqlite":
        applications.begin_with(request.getfixturevalue("migrated_file"))
        return cheap_settings(applications.folder)
    applications.begin_with()
    return cheap_settings(applications.folder, request.getfixturevalue("postgres_url"))


def cheap_settings(folder: Path, database_url: str = "") -> Settings:
    """Settings of a panel in this folder, with cheap hashes and no rate limits."""
    return Settings(
        instance=folder,
        database_url=database_url,
        secret_key="x" * 32,
        mailbox_bcrypt_cost=4,
        person_bcrypt_cost=4,
        rate_wrong_credentials=0,
        rate_writes=0,
        dns_resolvers=(resolver(),),
    )


@pytest.fixture
def app(settings: Settings, applications: Applications) -> Iterator[Flask]:
    """The application, with these settings."""
    with applications.lent(settings) as app:
        if settings.database_url:
            with app.app_context(), db.engine.begin() as connection:
                empty(connection, but=("feed",))
                connection.execute(BEGIN_THE_FEED)
        yield app


@dataclass
class Cast:
    """Who is on stage, and the credentials they hold."""

    tokens: dict[str, str] = field(default_factory=dict)
    sync_key: str = ""

    def caller(self, name: str) -> Caller:
        """Somebody by the token they hold, acting in their project; needs an app context."""
        caller = caller_with_token(f"Bearer {self.tokens[name]}", "192.0.2.1")
        return caller.in_project(2 if name == "charlie" else 1)

    @property
    def alice(self) -> Caller:
        """Customer of project 1, which has example.nl with e-mail on and parked.nl with it off."""
        return self.caller("alice")

    @property
    def charlie(self) -> Caller:
        """Customer of project 2, which has charlie.nl with e-mail on."""
        return self.caller("charlie")

    @property
    def root(self) -> Caller:
        """The admin, acting in project 1."""
        return self.caller("root")


@pytest.fixture
def cast(app: Flask, staged_panel: tuple[Path, Cast]) -> Cast:
    """Two projects with their domains, tokens for everybody, and one node, in an empty panel."""
    file, cast = staged_panel
    fill(app, file)
    return deepcopy(cast)


def fill(app: Flask, file: Path) -> None:
    """Put all that an SQLite panel has into an empty one, which keeps its own epoch."""
    rows = dict(rows_of(file))
    [feed] = rows.pop("feed")
    with app.app_context(), db.engine.begin() as connection:
        put(connection, rows)
        now = {name: feed[name] for name in ("revision", "users")}
        connection.execute(update(Feed).values(now))


def set_the_stage(app: Flask) -> Cast:
    """Put the cast into an empty panel."""
    run, operator = OPERATIONS, command_line()
    cast = Cast()
    with app.app_context():
        for name in ("Alice's company", "Charlie's company"):
            run["add-project"](operator, name=name)
        for name, project_id, scope in (
            ("alice", 1, "write"),
            ("bob", 1, "read"),
            ("charlie", 2, "write"),
            ("root", None, "write"),
        ):
            owner = {} if project_id is None else {"project_id": project_id}
            made = run["add-token"](operator, name=name, scope=scope, **owner)
            cast.tokens[name] = made.text
        for domain, project_id in (("example.nl", 1), ("parked.nl", 1), ("charlie.nl", 2)):
            run["assign-domain"](operator, domain=domain, project_id=project_id)
        for domain, project_id in (("example.nl", 1), ("charlie.nl", 2)):
            run["enable-email"](operator.in_project(project_id), domain=domain)
        cast.sync_key = run["add-node"](operator, name="mpi01").sync_key
    return cast


@pytest.fixture
def core(app: Flask, cast: Cast) -> Iterator[Cast]:
    """The cast, with an app context for calling operations directly."""
    with app.app_context():
        yield cast


@pytest.fixture(scope="session")
def staged_panel(
    migrated_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Cast]:
    """An SQLite panel with the cast in place, made once for the folders that copy it."""
    folder = tmp_path_factory.mktemp("staged")
    shutil.copy(migrated_file, folder / "panel.db")
    app = create_app(cheap_settings(folder))
    cast = set_the_stage(app)
    return closed_file(app), cast


@dataclass
class Api:
    """The JSON API as somebody with a token uses it."""

    client: FlaskClient
    cast: Cast

    def __call__(
        self, endpoint: str, who: str = "alice", project: object = None, **body: Any
    ) -> TestResponse:
        """POST an operation with its fields; in the caller's own project unless told otherwise."""
        project = project or (2 if who == "charlie" else 1)
        return self.client.post(
            f"/iapi/project/{project}/email_account/{endpoint}", json=body, headers=self.as_(who)
        )

    def as_(self, who: str) -> dict[str, str]:
        """The header that carries somebody's token."""
        return {"Authorization": f"Bearer {self.cast.tokens[who]}"}


@pytest.fixture
def api(app: Flask, cast: Cast) -> Api:
    """The JSON API, with the cast in place."""
    return Api(app.test_client(), cast)
