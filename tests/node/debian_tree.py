"""Debian systems in folders, for what an installer does to a whole computer.

debootstrap makes them (https://manpages.debian.org/debootstrap), which takes a minute or more and
a network. Who runs these tests often keeps made ones: MAILCOTE_TREES names a folder that holds
`bookworm` and `trixie`, made by `COMMAND` below and copied for each run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.processes import eventually

RELEASES = {"bookworm": "2.3", "trixie": "2.4"}  # and the series of Dovecot that comes with it
COMMAND = ("debootstrap", "--variant=minbase", "--include=ca-certificates,curl,python3,openssl")
# Nothing that is started in a tree outlives the command, nor do its mounts.
CONTAINED = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
PATIENCE = 120
PATH = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "pyproject.toml"
_too_slow: list[str] = []  # a second release is not tried where the first took too long


def lacking() -> str:
    """Why no tree can be had here; empty when one can be tried."""
    if os.geteuid() != 0:
        return "it needs root"
    missing = [name for name in ("unshare", "nsenter", "ip") if not shutil.which(name)]
    if not os.environ.get("MAILCOTE_TREES") and not shutil.which("debootstrap"):
        missing.append("debootstrap")
    if missing:
        return f"it needs {', '.join(missing)}"
    trial = subprocess.run([*CONTAINED, "--net", "true"], capture_output=True, text=True)
    return trial.stderr.strip()


@contextmanager
def tree(release: str) -> Iterator[Path]:
    """A fresh system of this release; `TimeoutError` or `OSError` says why there is none."""
    if _too_slow:
        raise TimeoutError(_too_slow[0])
    with TemporaryDirectory(prefix="tree.", dir="/tmp", ignore_cleanup_errors=True) as folder:
        root = Path(folder) / release
        if ready := os.environ.get("MAILCOTE_TREES"):
            command = ["cp", "-a", "--reflink=auto", f"{ready}/{release}", str(root)]
        else:
            command = [*CONTAINED, *COMMAND, release, str(root)]
        try:
            made = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        except subprocess.TimeoutExpired as error:
            _too_slow.append(f"debootstrap took more than {PATIENCE} s")
            raise TimeoutError(_too_slow[0]) from error
        if made.returncode:
            raise OSError((made.stdout + made.stderr)[-500:])
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
        yield root


def run(
    root: Path, *command: str, text: str = "", environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A command in the tree, with this on its standard input."""
    variables = {"PATH": PATH, **(environment or {})}
    return subprocess.run(
        [*CONTAINED, "chroot", str(root), *command],
        input=text,
        capture_output=True,
        text=True,
        env=variables,
    )


def is_numbering(spaces: Path) -> bool:
    """Whether processes begin to be numbered anew there; before, there is no such space."""
    try:
        return (spaces / "pid_for_children").readlink() != Path("/proc/self/ns/pid").readlink()
    except FileNotFoundError:
        return False


@contextmanager
def serving(root: Path) -> Iterator[list[str]]:
    """Run Dovecot and Postfix as they are configured, on a network that is only theirs; yields
    the beginning of a command that runs beside them, outside the tree.

    It shares their process numbers: Dovecot 2.3 ends a session by killing the number of a process,
    which elsewhere is somebody else's."""
    # This shell stays their first process, whose end is the end of all. It cannot be Postfix: that
    # changes its user for a while, and is then not told that `unshare` is gone (prctl(2)).
    # A computer begins with an empty /run: else the number that Dovecot noted may be somebody's.
    start = (
        'rm -rf "$0/run/dovecot"; ip link set lo up && '
        'chroot "$0" sh -c "dovecot -F & exec postfix start-fg"; exit'
    )
    running = subprocess.Popen(
        [*CONTAINED, "--net", "sh", "-c", start, str(root)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        spaces = Path(f"/proc/{running.pid}/ns")
        eventually(lambda: is_numbering(spaces))
        yield ["nsenter", f"--net={spaces}/net", f"--pid={spaces}/pid_for_children"]
    finally:
        running.kill()
        said = running.communicate()[0].decode(errors="replace")
        if said:
            print(said)


# What this Python is made of, and the tests, seen from within the tree as they are from outside.
_LENT = tuple(dict.fromkeys((sys.base_prefix, sys.prefix, str(ROOT))))
_LEND = """
tree=$1; shift
for folder in "$@"; do
  [ "$folder" != -- ] || break
  mkdir -p "$tree$folder" && mount --bind "$folder" "$tree$folder" || exit 1
done
while [ "$1" != -- ]; do shift; done; shift
mount -t proc proc "$tree/proc" && mount --rbind /dev "$tree/dev" && ip link set lo up || exit 1
exec chroot "$tree" "$@"
"""


def run_tests(root: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """Run tests by this Python with the programs of the tree, on a network that is only theirs."""
    pytest = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(PROJECT))
    within = [str(root), *_LENT, "--", "env", "-C", str(ROOT), *pytest, *tests]
    variables = {"PATH": PATH, "HOME": "/root", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [*CONTAINED, "--net", "sh", "-c", _LEND, "sh", *within],
        capture_output=True,
        text=True,
        env=variables,
    )
