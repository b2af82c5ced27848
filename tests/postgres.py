"""A private PostgreSQL server on a Unix socket, for the tests that need the real thing."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE = "postgresql"


def binaries() -> Path | None:
    """Where the newest installed server's programs are, None when there is none."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=_version)
    return versions[-1].parent if versions else None


def _version(path: Path) -> int:
    return int(path.parts[-3])


@contextmanager
def server() -> Iterator[str]:
    """Run a server with an empty database; its URL. Nothing of it is left behind."""
    found = binaries()
    assert found, f"install {PACKAGE}"
    folder = Path(tempfile.mkdtemp(prefix="pg.", dir="/tmp"))
    try:
        _own(folder)
        data = folder / "data"
        _run(found / "initdb", "-D", data, "-U", "panel", "-A", "trust", "-E", "UTF8", "-N",
             "--locale=C.UTF-8")  # fmt: skip
        # Tests need no durability of the machine's disk: what is tested is what transactions see.
        options = f"-c fsync=off -c listen_addresses='' -k {folder} -c max_connections=200"
        _run(found / "pg_ctl", "-D", data, "-w", "-o", options, "-l", folder / "log", "start")
        try:
            yield f"postgresql://panel@/postgres?host={folder}"
        finally:
            _run(found / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _own(folder: Path) -> None:
    """The server refuses to run as root; Debian's package makes a user for it."""
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)


def _run(program: Path, *arguments: object) -> None:
    user = "postgres" if os.geteuid() == 0 else None
    subprocess.run(
        [program, *map(str, arguments)],
        check=True,
        user=user,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
