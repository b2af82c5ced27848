"""Having recorded what a program does to the files of a folder, and cutting the power anywhere."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .disk import OPENED, WRITTEN, Disk, Event, events

PACKAGE = "gcc libc6-dev"
ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(__file__).with_name("recorder.c")
LEFT = (0.0, 0.5)  # how much of what is not safe a cut leaves: nothing, or any half of the sectors


def compiler() -> str | None:
    """The C compiler that makes the recorder; None when it, or the headers, are missing."""
    return shutil.which("gcc") if Path("/usr/include/dlfcn.h").exists() else None


needs_compiler = pytest.mark.skipif(
    compiler() is None, reason=f"power cuts NOT TESTED: apt-get install {PACKAGE}"
)


class Recorder:
    """Records what programs do to the files below a folder; its own files are in another."""

    def __init__(self, folder: Path, own: Path) -> None:
        library, self.record = own / "recorder.so", own / "record"
        command = [str(compiler()), "-O1", "-Wall", "-Werror", "-shared", "-fPIC"]
        subprocess.run([*command, "-o", library, SOURCE, "-ldl"], check=True)
        self.record.touch()
        self.folder, self.begun_with = folder, files_in(folder)
        told = {"LD_PRELOAD": library, "POWER_FOLDER": folder, "POWER_RECORD": self.record}
        self.environment = {**os.environ, **{name: str(path) for name, path in told.items()}}

    def run(self, *command: str) -> None:
        """Run a program to its end."""
        environment, nothing = self.environment, subprocess.DEVNULL
        subprocess.run(
            command, env=environment, check=True, stdin=nothing, stdout=nothing, cwd=ROOT
        )

    def now(self) -> int:
        """How many calls are recorded by now."""
        return sum(1 for _ in events(self.record))

    def recording(self) -> Recording:
        """All that was recorded."""
        return Recording(self.folder, self.begun_with, list(events(self.record)))


@dataclass
class Recording:
    """What was done to the files below a folder, and what it held before."""

    folder: Path
    begun_with: dict[Path, bytes]
    events: list[Event]

    def instants(self, count: int, seed: int = 1) -> list[int]:
        """So many of them, the earliest first; the end is always one."""
        every = range(1, len(self.events))
        chosen = random.Random(seed).sample(every, min(count, len(every)))
        return [*sorted(chosen), len(self.events)]

    def cut(
        self, at: list[int], shares: tuple[float, ...] = LEFT, *, lies: bool = False
    ) -> Iterator[int]:
        """Cut the power after so many calls, each in turn: the folder then holds what is left."""
        disk, instants = Disk(self.begun_with, lies=lies), set(at)
        for number, event in enumerate(self.events, 1):
            disk.apply(event)
            if number in instants:
                for share in shares:
                    put(self.folder, disk.left(random.Random(number), share))
                    yield number

    def written_to(self, file: Path) -> list[tuple[int, str]]:
        """What was written to one file, a text each, and when."""
        named, found = dict[tuple[int, int], Path](), []
        for number, event in enumerate(self.events, 1):
            if event.kind == OPENED:
                named[event.descriptor] = event.names[0]
            elif event.kind == WRITTEN and named[event.descriptor] == file:
                found.append((number, event.content.decode()))
        return found


def files_in(folder: Path) -> dict[Path, bytes]:
    """All files below a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def put(folder: Path, files: dict[Path, bytes]) -> None:
    """Have these files below the folder and no others; folders stay."""
    for path in files_in(folder):
        path.unlink()
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(content)
