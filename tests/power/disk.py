"""What is left of files after a power cut, by the rules that POSIX gives programs.

What fsync(2) covered is there. Of what was written since, each sector may or may not be: the disk
has it in any order. A name is there once its folder was synced; what happened to names since then
is there up to any point, as journals of file systems have it. (ALICE, OSDI 2014, shows how often
programs rely on more than that.)
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

SECTOR = 512
OPENED, WRITTEN, CUT_TO, SYNCED, REMOVED, RENAMED, LINKED = range(1, 8)
_IS_NEW, _IS_EMPTIED = 1, 2
_HEADER = struct.Struct("5q")


class Event(NamedTuple):
    """One call that succeeded. `place`: an offset, a length, or how a file was opened."""

    kind: int
    descriptor: tuple[int, int]  # of a process
    place: int
    content: bytes

    @property
    def names(self) -> list[Path]:
        """What it was done to, or from and to."""
        return [Path(name.decode()) for name in self.content.split(b"\0")]


def events(record: Path) -> Iterator[Event]:
    """What was recorded, in its order; the last may just be on its way."""
    read, place = record.read_bytes(), 0
    while place + _HEADER.size <= len(read):
        kind, process, descriptor, at, length = _HEADER.unpack_from(read, place)
        place += _HEADER.size + length
        if place <= len(read):
            yield Event(kind, (process, descriptor), at, read[place - length : place])


@dataclass
class File:
    """What is safe of a file, and what was done to it since: bytes at a place, or a new length."""

    safe: bytearray = field(default_factory=bytearray)
    since: list[tuple[int, bytes | None]] = field(default_factory=list)

    def sync(self) -> None:
        """All of it is on the disk now."""
        for place, written in self.since:
            _do(self.safe, place, written)
        self.since.clear()

    def left(self, chance: random.Random, share: float) -> bytes:
        """What a power cut leaves, with this share of the sectors that are not safe."""
        found = bytearray(self.safe)
        for place, written in self.since:
            if written is None:
                if chance.random() < share:
                    _do(found, place, None)
                continue
            for start, end in _sectors(place, len(written)):
                if chance.random() < share:
                    _do(found, place + start, written[start:end])
        return bytes(found)


def _do(content: bytearray, place: int, written: bytes | None) -> None:
    end = place + len(written or b"")
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    if written is None:
        del content[place:]
    else:
        content[place:end] = written


def _sectors(place: int, length: int) -> Iterator[tuple[int, int]]:
    start = 0
    while start < length:
        end = min(length, start + SECTOR - (place + start) % SECTOR)
        yield start, end
        start = end


Names = dict[Path, File]


class Disk:
    """A folder's files as recorded so far. One that `lies` takes no sync seriously."""

    def __init__(self, begun_with: dict[Path, bytes], *, lies: bool = False) -> None:
        self.names: Names = {path: File(bytearray(found)) for path, found in begun_with.items()}
        self.safe_names: Names = dict(self.names)
        # What happened to names since their folder was synced.
        self.renamed: list[tuple[Path, File | None]] = []
        self.opened: dict[tuple[int, int], tuple[Path, File | None]] = {}
        self.lies = lies

    def apply(self, event: Event) -> None:
        """Let it happen."""
        if event.kind == OPENED:
            self._open(event)
        elif event.kind == SYNCED:
            self._sync(*self.opened[event.descriptor])
        elif event.kind in (WRITTEN, CUT_TO):
            _, file = self.opened[event.descriptor]
            assert file is not None
            file.since.append((event.place, event.content if event.kind == WRITTEN else None))
        elif event.kind == REMOVED:
            self._name(event.names[0], None)
        else:
            source, target = event.names
            if source in self.names:  # or it is a folder, of which only the files count
                self._name(target, self.names[source])
                if event.kind == RENAMED:
                    self._name(source, None)

    def left(self, chance: random.Random, share: float) -> dict[Path, bytes]:
        """What a power cut now leaves, with this share of what is not safe (0 to 1)."""
        names = dict(self.safe_names)
        for path, file in self.renamed[: round(share * len(self.renamed))]:
            _set(names, path, file)
        return {path: file.left(chance, share) for path, file in names.items()}

    def _open(self, event: Event) -> None:
        path = event.names[0]
        if event.place & _IS_NEW:
            self._name(path, File())
        file = self.names.get(path)  # none: a folder
        if file and event.place & _IS_EMPTIED:
            file.since.append((0, None))
        self.opened[event.descriptor] = path, file

    def _sync(self, path: Path, file: File | None) -> None:
        if self.lies:
            return
        if file:
            file.sync()
            return
        for name, named in self.renamed:
            if name.parent == path:
                _set(self.safe_names, name, named)
        self.renamed = [one for one in self.renamed if one[0].parent != path]

    def _name(self, path: Path, file: File | None) -> None:
        _set(self.names, path, file)
        self.renamed.append((path, file))


def _set(names: Names, path: Path, file: File | None) -> None:
    if file is None:
        names.pop(path, None)
    else:
        names[path] = file
