"""The lock: every dependency of a real panel, the one the tests run with, each file by its hash."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import metadata, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "app" / "deploy"
LOCK = (DEPLOY / "requirements.lock").read_text(encoding="utf-8")
BUILDS = {"setuptools"}  # with which the panel is installed, and the tests may be with another one
_ENTRY = re.compile(r"(\S+)==(\S+)(?: ; ([^\\\n]+))?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n")
_LICENCE = "License :: OSI Approved :: "


def locked() -> dict[str, str]:
    """Versions by name."""
    return {name: number for name, number, _, _ in _ENTRY.findall(LOCK)}


def applying() -> dict[str, str]:
    """Those that are installed on a machine such as this one."""
    return {
        name: number
        for name, number, marker, _ in _ENTRY.findall(LOCK)
        if not marker or _applies(f"x; {marker}")
    }


def test_it_is_nothing_but_versions_with_hashes() -> None:
    assert _ENTRY.sub("", LOCK) == ""
    assert len(locked()) > 30


def test_it_is_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["postgres"],
    ]
    for text in asked:
        requirement = Requirement(text)
        assert locked().get(canonicalize_name(requirement.name)) is not None, text
        assert requirement.specifier.contains(locked()[canonicalize_name(requirement.name)]), text


def test_it_is_what_is_installed() -> None:
    here = {name: number for name, number in applying().items() if name not in BUILDS}
    assert {name: version(name) for name in here} == here


def test_nothing_is_missing() -> None:
    for name in applying().keys() - BUILDS:
        for text in requires(name) or ():
            needed = Requirement(text)
            if not needed.marker or _applies(text):
                found = applying()[canonicalize_name(needed.name)]
                assert needed.specifier.contains(found), f"{name} needs {text}"


def test_every_licence_is_listed() -> None:
    """As the packages themselves tell; where one has changed, read it before the list is."""
    table = (DEPLOY / "DEPENDENCIES.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\S+) \| ([^|]+) \|$", table, re.M))
    del rows["package"], rows["---"]
    assert rows.keys() == locked().keys()
    told = {name: _licence(name) for name in applying().keys() - BUILDS}
    assert {name: rows[name] for name in told} == told


def _applies(text: str) -> bool:
    marker = Requirement(text).marker
    return marker is None or marker.evaluate({"extra": ""})


def _licence(name: str) -> str:
    told = metadata(name)
    expression, short = (
        (told.get_all(key) or [""])[0] for key in ("License-Expression", "License")
    )
    named = [
        each.removeprefix(_LICENCE)
        for each in told.get_all("Classifier") or ()
        if each.startswith(_LICENCE)
    ]
    plain = short if 0 < len(short) < 60 and "\n" not in short else ", ".join(named)
    return expression or plain
