"""A power cut at any instant takes nothing from a panel that it had acknowledged."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app import checks, create_app, upgrade
from app.caller import command_line
from app.config import Settings
from app.operations import OPERATIONS
from tests.applications import let_go
from tests.conftest import PASSWORD, Cast, cheap_settings

from .panel import ACKNOWLEDGED, BACKED_UP, COPY, steps
from .recording import LEFT, Recorder, Recording, needs_compiler

pytestmark = [pytest.mark.real, needs_compiler]

STEPS = 60


@pytest.fixture(scope="module")
def lasting(staged_panel: tuple[Path, Cast], tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """A panel that was used as it is."""
    return used(staged_panel[0], tmp_path_factory.mktemp("lasting"), "lasting")


def used(panel: Path, made: Path, how: str) -> Recording:
    """Use a panel with the cast in place."""
    folder = made / "panel"
    folder.mkdir(mode=0o700)
    shutil.copy(panel, folder / "panel.db")
    return recorded(made, "-m", "tests.power.panel", str(folder), str(STEPS), how)


def recorded(made: Path, *command: str) -> Recording:
    """Run Python on what is in the folder `panel`."""
    recorder = Recorder(made / "panel", made)
    recorder.run(sys.executable, *command)
    return recorder.recording()


class Reckoning:
    """What the database should hold after so many steps."""

    def __init__(self, begun_with: Path) -> None:
        with closing(sqlite3.connect(begun_with)) as database:
            self.first = look(database)

    def after(self, count: int) -> dict[str, Any]:
        """The same of a database after so many steps."""
        boxes: dict[str, tuple[int, bool]] = {}
        revision = self.first["revision"]
        for name, values in steps(STEPS)[:count]:
            email = values.get("email", "")
            if name == "add-user":
                boxes[email] = (1024, True)
            elif name == "update-user":
                boxes[email] = (values["quota_mb"], True)
            elif values.get("hard_delete"):
                del boxes[email]
            elif name == "remove-user":
                boxes[email] = (boxes[email][0], False)
            revision += name != "add-domain"
        return {"boxes": boxes, "revision": revision, "done": self.first["done"] + count}


def look(database: sqlite3.Connection) -> dict[str, Any]:
    """What the database holds; it is sound."""
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    rows = database.execute("SELECT email, quota_mb, purge_at IS NULL FROM mailboxes")
    boxes = {email: (quota, bool(is_active)) for email, quota, is_active in rows}
    (revision,) = database.execute("SELECT revision FROM feed").fetchone()
    (done,) = database.execute("SELECT count(*) FROM audit_entries").fetchone()
    return {"boxes": boxes, "revision": revision, "done": done}


def steps_left(folder: Path, reckoning: Reckoning) -> int:
    """How many steps the database has of those that were done; it has nothing half of one."""
    with closing(sqlite3.connect(folder / "panel.db")) as database:
        found = look(database)
    count = found["done"] - reckoning.first["done"]
    assert found == reckoning.after(count)
    return int(count)


def lost(done: Recording, reckoning: Reckoning, at: list[int], *, lies: bool = False) -> int:
    """The most acknowledged steps that a cut has taken away. A disk that lies keeps nothing, since
    half of it would not be a database any more."""
    most, told = 0, done.written_to(done.folder / ACKNOWLEDGED)
    for number in done.cut(at, (0.0,) if lies else LEFT, lies=lies):
        acknowledged = {word for when, word in told if when <= number}
        promised = len(acknowledged - {BACKED_UP})
        left = steps_left(done.folder, reckoning)
        assert left <= promised + 1  # one may have been on its way
        most = max(most, promised - left)
        if BACKED_UP in acknowledged and not lies:
            with closing(sqlite3.connect(done.folder / COPY)) as copy:
                assert look(copy) == reckoning.after(STEPS)
    return most


@pytest.fixture
def reckoning(staged_panel: tuple[Path, Cast]) -> Reckoning:
    """What the panel should hold."""
    return Reckoning(staged_panel[0])


@pytest.mark.parametrize("cuts", [60, pytest.param(10_000, marks=pytest.mark.long)])
def test_it_works(lasting: Recording, reckoning: Reckoning, cuts: int) -> None:
    assert lost(lasting, reckoning, lasting.instants(cuts)) == 0


def test_a_disk_that_only_says_so_keeps_nothing(lasting: Recording, reckoning: Reckoning) -> None:
    """Cuts that take nothing would prove nothing."""
    assert lost(lasting, reckoning, [len(lasting.events)], lies=True) == STEPS


@pytest.mark.long
def test_what_does_not_wait_for_the_disk_is_lost_but_nothing_is_damaged(
    staged_panel: tuple[Path, Cast], tmp_path: Path, reckoning: Reckoning
) -> None:
    """Notes that nobody is told of are kept like this; what is acknowledged must not be."""
    done = used(staged_panel[0], tmp_path, "fleeting")
    assert lost(done, reckoning, done.instants(20)) > 0


def test_a_panel_goes_on_after_it(lasting: Recording) -> None:
    for number, _acknowledged in enumerate(lasting.cut(lasting.instants(1, seed=2))):
        app = create_app(cheap_settings(lasting.folder))
        with app.app_context():
            assert [said for verdict, said in checks.run() if verdict == "WRONG"] == []
            email = f"later{number}@example.nl"
            OPERATIONS["add-user"](command_line().in_project(1), email=email, password=PASSWORD)
        let_go(app)


KEEP_A_SECRET = f"""
import os
from pathlib import Path
from app.config import Settings

folder = Path(os.environ["MAILCOTE_INSTANCE"])
secret = Settings(instance=folder).secret()
(folder / "{ACKNOWLEDGED}").open("w").write(secret)
"""


def test_a_secret_key_that_was_used_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was signed with it would be good no more."""
    folder = tmp_path / "panel"
    folder.mkdir()
    monkeypatch.setenv("MAILCOTE_INSTANCE", str(folder))
    done = recorded(tmp_path, "-c", KEEP_A_SECRET)
    [(when, promised)] = done.written_to(folder / ACKNOWLEDGED)
    for number in done.cut(done.instants(1000)):
        found = Settings(instance=folder).secret()
        assert found == promised or number < when


@pytest.mark.parametrize("cuts", [0, pytest.param(100, marks=pytest.mark.long)])
def test_a_first_start_can_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuts: int
) -> None:
    folder = tmp_path / "panel"
    folder.mkdir()
    monkeypatch.setenv("MAILCOTE_INSTANCE", str(folder))
    done = recorded(tmp_path, "-m", "app.cli", "project", "add", "Bakery")
    for _ in done.cut(done.instants(cuts)):
        app = create_app(cheap_settings(folder))
        with app.app_context():
            upgrade.bring_up_to_date()
            assert [said for verdict, said in checks.run() if verdict == "WRONG"] == []
        let_go(app)
