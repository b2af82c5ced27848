"""What runs the panel: the systemd unit, the operator's command and the container file."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from app import node

DEPLOY = Path(__file__).resolve().parents[2] / "app" / "deploy"
UNITS = {
    DEPLOY / "mailcote.service": 20,
    Path(node.__file__).with_name("mailcote-agent.service"): 40,
}

needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="NOT TESTED: apt-get install systemd"
)


@needs_systemd
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """Where the panel is installed is the only thing it does not find here."""
    unit = tmp_path / "mailcote.service"
    text = (DEPLOY / "mailcote.service").read_text()
    unit.write_text(text.replace("/opt/mailcote/.venv/bin/mailcote", "/bin/true"))
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert "mailcote" not in result.stderr


@needs_systemd
@pytest.mark.parametrize(("unit", "most"), UNITS.items(), ids=lambda value: str(value)[-22:])
def test_a_unit_gives_no_more_than_is_needed(unit: Path, most: int) -> None:
    """The exposure that systemd counts, in tenths: 0 is none, 100 all."""
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={most}", str(unit)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-200:]


@pytest.mark.parametrize(
    ("there", "url", "starts"),
    [
        ([], "", True),
        (["mailcote/panel.db"], "", False),
        (["mailcote/panel.db"], "postgresql:///mailcote", True),
        (["mailcote/panel.db", "mailcote-panel/panel.db"], "", True),
        (["mailcote/users.db"], "", True),  # a node's
    ],
)
def test_no_empty_panel_is_begun_beside_older_data(
    tmp_path: Path, there: list[str], url: str, starts: bool
) -> None:
    for name in there:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    unit = (DEPLOY / "mailcote.service").read_text().replace("/var/lib", str(tmp_path))
    variables = dict(re.findall("^Environment=(.*?)=(.*)$", unit, re.M))
    command = shlex.split(re.findall("^ExecStartPre=(.*)$", unit, re.M)[0].replace("$$", "$"))
    done = subprocess.run(
        command, env={**variables, "MAILCOTE_DATABASE_URL": url}, capture_output=True, text=True
    )
    assert (done.returncode == 0) == starts
    assert ("move panel.db and secret_key" in done.stderr) == (not starts)


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="NOT TESTED: apt-get install shellcheck")
def test_the_operators_command_is_a_sound_script() -> None:
    result = subprocess.run(["shellcheck", DEPLOY / "mailcote"], capture_output=True, text=True)
    assert result.stdout == ""


def steps() -> list[tuple[str, str]]:
    """The instructions of the container file."""
    text = (DEPLOY / "Containerfile").read_text()
    return re.findall(r"^([A-Z]+) (.*)$", text, re.M)


def test_the_container_runs_nothing_as_root_and_by_no_shell() -> None:
    last = steps()[max(n for n, (word, _) in enumerate(steps()) if word == "FROM") :]
    words = dict(last)
    assert words["USER"] == "10001:10001"
    assert words["VOLUME"] == "/var/lib/mailcote"
    assert [word for word, _ in last].index("USER") > [word for word, _ in last].index("RUN")
    for word, value in steps():
        if word in ("RUN", "ENTRYPOINT", "CMD"):
            assert isinstance(json.loads(value), list), value
    health = words["HEALTHCHECK"]
    command = json.loads(health[health.index("CMD") + 3 :])
    compile(command[2], "HEALTHCHECK", "exec")
    assert "/healthz" in command[2]


def test_the_container_is_installed_by_the_lock() -> None:
    installs = [
        json.loads(value) for word, value in steps() if word == "RUN" and "install" in value
    ]
    by_pip = [command for command in installs if command[0].endswith("pip")]
    assert "--require-hashes" in by_pip[0]
    assert {"--no-index", "--no-deps"} <= set(by_pip[1])
    assert len(by_pip) == 2


def test_what_the_container_file_copies_is_there() -> None:
    for word, value in steps():
        if word == "COPY" and not value.startswith("--from"):
            for name in shlex.split(value)[:-1]:
                assert (DEPLOY.parents[1] / name).exists(), name
