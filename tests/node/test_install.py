"""The installer as it is sent: what it carries, and what it refuses before it touches anything.

The shell that runs it here finds no programs, so that nothing can come of a fault.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import ssl
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
        (("--key", KEY, "--hostname", "192.0.2.7"), "full name"),
        (("--key", KEY, "--hostname", "a" * 64 + ".example.nl"), "full name"),
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


def functions(commands: str, *stubs: str, path: str = "/usr/sbin:/usr/bin:/sbin:/bin") -> str:
    """What some of the script's functions say, with these in the place of programs."""
    script = SCRIPT.removesuffix('main "$@"\n')
    result = run("\n".join([script, "set -eu", *stubs, commands, ""]), path=path)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def test_long_names_are_accepted() -> None:
    name = f"{'a' * 63}.{'b' * 63}.1.example.nl"
    assert STARTS in run(SCRIPT, "--key", KEY, "--hostname", name).stderr


def test_python_takes_no_module_from_where_the_installer_is_run() -> None:
    """It runs as root, perhaps in a folder that everybody may write to."""
    called = re.findall(r"(?:^|! |\|\| ?)\s*python3 (\S+)", SCRIPT, re.MULTILINE)
    assert len(called) >= 5
    assert set(called) == {"-I"}


@pytest.mark.parametrize(
    ("there", "made"),
    [
        ("", ["groupadd --gid 5000 vmail", "useradd --uid 5000 --gid vmail"]),
        ("group vmail|group 5000", ["useradd --uid 5000 --gid vmail"]),
        ("group vmail", ["useradd --uid 5000 --gid vmail"]),
        ("group 5000", ["groupadd --system vmail", "useradd --uid 5000 --gid vmail"]),
        ("passwd 5000", ["groupadd --gid 5000 vmail", "useradd --system --gid vmail"]),
        ("passwd vmail", []),
    ],
)
def test_the_mail_user_is_made_of_what_is_there(there: str, made: list[str]) -> None:
    """A run that was killed may have left the group."""
    said = functions(
        "make_mail_user",
        f'getent() {{ case "|{there}|" in *"|$*|"*) ;; *) return 2 ;; esac; }}',
        'groupadd() { echo groupadd "$@"; }',
        'useradd() { echo useradd "$@" | cut -d " " -f "1-$(($# - 5))"; }',
    )
    assert [line.strip() for line in said.splitlines()[1:]] == made


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root gives folders away")
def test_a_folder_that_was_not_given_away_yet_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    mail, state = tmp_path / "mail", tmp_path / "state"
    for folder in (mail, state):
        folder.mkdir(mode=0o755)
    functions(f"make_folder {mail} 0750 nobody nogroup; make_folder {state} 0750 root nogroup")
    assert (mail.owner(), mail.stat().st_mode & 0o777) == ("nobody", 0o750)
    assert (state.group(), state.stat().st_mode & 0o777) == ("nogroup", 0o750)
    mail.chmod(0o770)
    functions(f"make_folder {mail} 0750 nobody nogroup")
    assert mail.stat().st_mode & 0o777 == 0o770, "it is somebody's wish"


class Certificates:
    """The folder of a node's certificate, and what makes one there."""

    def __init__(self, folder: Path) -> None:
        self.key, self.certificate = folder / "etc/tls.key", folder / "etc/tls.crt"
        self.key.parent.mkdir()
        self.work = folder / "work"
        self.work.mkdir()

    def make(self, host: str = "mail.example.nl") -> subprocess.CompletedProcess[str]:
        script = SCRIPT.removesuffix('main "$@"\n')
        script = script.replace("/etc/mailcote/", f"{self.key.parent}/")
        stub = 'install() { cp "$8" "$9"; }'  # who is not root cannot give it to root
        given = f"set -eu\n{stub}\nhost={host} work={self.work}\nmake_certificate\n"
        return run(script + given, path="/usr/bin:/bin")

    def are_a_pair(self) -> bool:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key)
        return True


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    if not shutil.which("openssl"):
        pytest.skip("NOT TESTED: apt-get install openssl")
    return Certificates(tmp_path)


def test_a_certificate_is_made_once(certificates: Certificates) -> None:
    assert certificates.make().returncode == 0
    assert certificates.are_a_pair()
    before = certificates.certificate.read_bytes()
    assert certificates.make().stdout == ""
    assert certificates.certificate.read_bytes() == before


@pytest.mark.parametrize("left", ["key", "certificate", "empty files"])
def test_what_a_killed_run_left_is_no_certificate(certificates: Certificates, left: str) -> None:
    assert certificates.make().returncode == 0
    if left == "empty files":
        certificates.key.write_bytes(b"")
        certificates.certificate.write_bytes(b"")
    else:
        (certificates.certificate if left == "key" else certificates.key).unlink()
    assert certificates.make().returncode == 0
    assert certificates.are_a_pair()


def test_a_key_that_waits_for_its_certificate_stays(certificates: Certificates) -> None:
    subprocess.run(["openssl", "genrsa", "-out", certificates.key, "2048"], check=True)
    before = certificates.key.read_bytes()
    assert certificates.make().returncode == 0
    assert certificates.key.read_bytes() == before
    assert certificates.are_a_pair()


def test_a_certificate_that_lost_its_key_stays(certificates: Certificates) -> None:
    certificates.certificate.write_text("somebody's")
    result = certificates.make()
    assert (result.returncode, certificates.certificate.read_text()) == (1, "somebody's")
    assert "is missing" in result.stderr


def test_a_long_name_has_a_certificate(certificates: Certificates) -> None:
    assert certificates.make(f"{'a' * 63}.{'b' * 63}.example.nl").returncode == 0
    assert certificates.are_a_pair()
