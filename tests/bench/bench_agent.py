"""What the agent takes on a node: a first sync of 100 000 mailboxes, and then one change."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median

from tests.agent.fake_panel import HASH, OTHER_HASH, Export, FakePanel, export, user, users
from tests.agent.mail_node import PROGRAM, Node
from tests.bench.measure import Figure, peak_megabytes, show

USERS = 100_000
CHANGES = 15
# What cannot be avoided: the answer parsed, its rows inserted. In a process of its own as well.
FLOOR = """
import json, resource, sqlite3, sys
rows = json.load(open(sys.argv[1], "rb"))["users"]
connection = sqlite3.connect(sys.argv[2])
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("CREATE TABLE users (email TEXT NOT NULL UNIQUE, id TEXT PRIMARY KEY, "
    "password TEXT, quota_mb INTEGER, login INTEGER, deliver INTEGER) WITHOUT ROWID")
connection.executemany("INSERT INTO users VALUES (:email, :id, :password, :quota_mb, :login, "
    ":deliver)", rows)
connection.commit()
"""
# Runs a command and tells its seconds, its peak memory in MB and its seconds of CPU.
MEASURED = """
import resource, subprocess, sys, time
begun = time.monotonic()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(time.monotonic() - begun, used.ru_maxrss / 1024, used.ru_utime + used.ru_stime)
"""


def figures() -> Iterator[Figure]:
    """A first sync beside its floor, then changes by delta of an agent that runs."""
    with tempfile.TemporaryDirectory() as folder:
        panel = FakePanel()
        panel.speaks_gzip = False  # compressing is the panel's work, not measured here
        node = Node(Path(folder), panel)
        boxes = users(USERS)
        panel.publish(export(boxes, revision=1))
        yield from first_sync(node, panel)
        yield from changes(node, panel, boxes)
        panel.close()


def first_sync(node: Node, panel: FakePanel) -> Iterator[Figure]:
    body = node.folder / "body"
    body.write_text(json.dumps(panel.answer))
    agent = [sys.executable, "-I", str(PROGRAM), "once", *node.options()]
    rounds = []
    for number in range(3):
        floor = [sys.executable, "-c", FLOOR, str(body), str(node.folder / f"floor{number}.db")]
        agent[agent.index("--state") + 1] = str(node.folder / f"state{number}")
        rounds.append((measured(agent), measured(floor)))
    seconds, peak, cpu = (median(ours[at] for ours, _ in rounds) for at in range(3))
    least, floor_peak, floor_cpu = (median(floor[at] for _, floor in rounds) for at in range(3))
    details = (
        f"{cpu:.2f} s of CPU; json.load and inserts alone {least:.2f} s, {floor_cpu:.2f} s of CPU"
    )
    yield Figure(f"first sync of {USERS} mailboxes", seconds, " s", 3, details=details)
    yield Figure("CPU of it, beside its floor", cpu / floor_cpu, "x", 3)
    details = f"peak RSS; json.load and inserts alone {floor_peak:.0f} MB"
    yield Figure("memory of a first sync", peak, " MB", 100, details=details)


def measured(command: list[str]) -> tuple[float, ...]:
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *command], capture_output=True, check=True
    )
    return tuple(map(float, done.stdout.split()))


def changes(node: Node, panel: FakePanel, boxes: list[Export]) -> Iterator[Figure]:
    process = node.start("run", *node.options())
    try:
        wait_for_revision(node.database, 1)
        took, written = [], []
        for number in range(CHANGES):
            time.sleep(0.5)  # it has read its texts, reported, and waits
            changed = user(boxes[number]["email"], password=OTHER_HASH if number % 2 else HASH)
            changed["quota_mb"] = 2000 + number
            boxes[number] = changed
            answer = export(boxes, revision=number + 2)
            written_before = bytes_written(process.pid)
            panel.publish(answer)
            wait_for_revision(node.database, number + 2)
            took.append(time.monotonic() - panel.published_at)
            time.sleep(0.3)
            written.append((bytes_written(process.pid) - written_before) / 1000)
        peak = peak_megabytes(process.pid)
    finally:
        process.kill()
        process.communicate()
    details = f"at most {max(took):.3f} s; {panel.requests[-1]['query']}"
    yield Figure("one change by delta, end to end", median(took), " s", 0.1, details=details)
    details = f"at most {max(written):.0f} kB; all that the process wrote"
    yield Figure("written for it", median(written), " kB", 64, details=details)
    yield Figure("memory of `run` after these", peak, " MB", 100, details="peak RSS")


def wait_for_revision(database: Path, revision: int) -> None:
    end = time.monotonic() + 60
    while revision_in(database) != str(revision):
        if time.monotonic() > end:
            raise RuntimeError(f"revision {revision} did not come")
        time.sleep(0.001)


def revision_in(database: Path) -> str:
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return str(connection.execute("SELECT v FROM meta WHERE k = 'revision'").fetchone()[0])
    except sqlite3.Error:
        return ""


def bytes_written(process: int) -> int:
    lines = Path(f"/proc/{process}/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("wchar")).split()[1])


if __name__ == "__main__":
    show(figures())
