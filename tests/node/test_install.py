"""The installer as it is sent: what it carries, and what it refuses before it touches anything.

The shell that runs it here finds no programs, so that nothing can come of a fault.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from app import node
from app.node import install_script

FILES = Path(node.__file__).parent
SCRIPT = install_script("https://panel.example")
KEY = "mck_Zm9vYmFyYmF6cXV4MDEyMzQ1Njc4OQ"
STARTS = "has to run as root"  # the first thing that main does once the options are read


def run(script: str, *arguments: str, path: str = "/nowhere") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-s", "--", *arguments],
        input=script,
        capture_output=True,
        text=True,
        env={"PATH": path},
    )


def test_it_works() -> None:
    result = run(SCRIPT, "--key", KEY)
    assert (result.returncode, result.stdout) == (1, "")
    assert STARTS in result.stderr
    assert SCRIPT.startswith("#!/bin/sh\n")
    assert SCRIPT.endswith('\nmain "$@"\n')
    assert "curl -fsS https://panel.example/sync/v1/install.sh | sudo sh -s -- --key" in SCRIPT


@pytest.mark.parametrize("name", node._FILES)
def test_it_carries_every_file_as_it_is(name: str) -> None:
    functions = SCRIPT.removesuffix('main "$@"\n')
    result = run(f'{functions}text "$1"\n', name, path="/usr/bin:/bin")
    assert result.stdout == (FILES / name).read_text()


def test_no_file_is_left_behind() -> None:
    assert {path.name for path in FILES.iterdir() if path.is_file()} == {
        *node._FILES,
        "__init__.py",
        "installer.sh",
    }


@pytest.mark.parametrize(
    "panel",
    [
        "",
        "panel.example",
        "ftp://panel.example",
        "https://",
        "https://panel.example/'; rm -rf /; '",
        "https://panel.example\nreboot",
        "https://panel.example/$(reboot)",
        "https://panel.example/a b",
        "https://panel.example?x=1",
        "https://user:password@panel.example",
        "https://panel.example/|&\\",
        "https://pänel.example",
        "https://panel.example//",
    ],
)
def test_it_rejects_an_address_that_is_not_plain(panel: str) -> None:
    with pytest.raises(ValueError, match="address"):
        install_script(panel)


@pytest.mark.parametrize(
    "panel",
    [
        "https://panel.example/",
        "https://panel.example:8443/mail-panel",
        "http://127.0.0.1:8000",
        "http://localhost:8000",
        "http://[::1]:8000",
        "https://[2001:db8::1]",
    ],
)
def test_an_address_that_is_written_is_accepted(panel: str) -> None:
    script = install_script(panel)
    assert f"PANEL='{panel.rstrip('/')}'\n" in script
    assert STARTS in run(script, "--key", KEY).stderr


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_it_is_every_shells_language(shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"NOT TESTED with {shell}: apt-get install {shell}")
    command = [shell, *(["sh"] if shell == "busybox" else []), "-n"]
    result = subprocess.run(command, input=SCRIPT, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="NOT TESTED: apt-get install shellcheck")
def test_shellcheck_finds_nothing() -> None:
    command = ["shellcheck", "-"]
    result = subprocess.run(command, input=SCRIPT, capture_output=True, text=True)
    assert result.stdout == ""


def test_a_download_that_is_cut_off_does_nothing() -> None:
    points = random.Random(1).sample(range(len(SCRIPT) - 20), 20)
    for point in (*points, *range(len(SCRIPT) - 20, len(SCRIPT) - 1)):
        result = run(SCRIPT[:point], "--key", KEY)
        is_whole = SCRIPT[:point].endswith('main "$@"')  # but for the end of the line
        assert (STARTS in result.stderr) is is_whole, point
        assert result.stdout == "", point


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "sync key is needed"),
        (("--key",), "--key needs a value"),
        (("--key", ""), "sync key is needed"),
        (("--key", "wpa_Zm9v"), "not a sync key"),
        (("--key", "mck_"), "not a sync key"),
        (("--key", f"{KEY}; reboot"), "not a sync key"),
        (("--key", f"{KEY}\nx"), "not a sync key"),
        ((KEY,), "not known"),
        ((f"--key={KEY}",), "not known"),
        (("--key", KEY, "--frobnicate"), "not known"),
        (("--key", KEY, "--key-file", "/dev/null"), "not both"),
        (("--key-file", "/nowhere/key"), "cannot be read"),
        (("--key", KEY, "--hostname", "raspberrypi"), "full name"),
        (("--key", KEY, "--hostname", "mail.example.nl|x"), "full name"),
        (("--key", KEY, "--hostname", "-mail.example.nl"), "full name"),
        (("--key", KEY, "--panel", "http://panel.example"), "must begin with https://"),
        (("--key", KEY, "--panel", "http://127.0.0.1.panel.example"), "must begin with https://"),
        (("--key", KEY, "--panel", "http://localhost.panel.example"), "must begin with https://"),
        (("--key", KEY, "--panel", "http://localhost:x@panel.example"), "address such as"),
        (("--key", KEY, "--panel", "https://panel.example/|e"), "address such as"),
        (("--key", KEY, "--panel", "https://panel.example/\nx"), "address such as"),
        (("--key", KEY, "--panel", "panel.example"), "must begin with https://"),
    ],
)
def test_it_rejects_wrong_usage(arguments: tuple[str, ...], sentence: str) -> None:
    result = run(SCRIPT, *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert KEY not in result.stderr


def test_help_tells_every_option() -> None:
    result = run(SCRIPT, "--help", path="/usr/bin:/bin")
    assert result.returncode == 0
    options = "--key --key-file --hostname --panel --no-packages --uninstall --help"
    assert all(f"  {option} " in result.stdout for option in options.split()[:-1])


def test_it_rejects_who_is_not_root() -> None:
    result = subprocess.run(
        ["/bin/sh", "-s", "--", "--key", KEY],
        input=SCRIPT,
        capture_output=True,
        text=True,
        user=65534 if os.geteuid() == 0 else None,
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert STARTS in result.stderr


@pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="NOT TESTED: apt-get install systemd"
)
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "mailcote-agent.service"
    unit.write_text((FILES / "mailcote-agent.service").read_text())
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert "mailcote-agent" not in result.stderr
