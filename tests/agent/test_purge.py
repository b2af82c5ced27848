"""Stored mail goes only by an explicit order, only out of its own folder, and first to a grave."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from app import agent

from .fake_panel import Export, FakePanel, export, users
from .mail_node import Node, is_root

ORDER, OTHER, KEPT = "0" * 32, "1" * 32, "2" * 32


@pytest.fixture
def mail(node: Node) -> Path:
    result = node.folder / "mail"
    for name in (ORDER, OTHER, KEPT):
        (result / name / "Maildir" / "new").mkdir(parents=True)
        (result / name / "Maildir" / "new" / "1").write_text("Hello.")
    return result


def ordered(*orders: str, revision: int = 1) -> Export:
    return export(users(3), revision=revision, purge=list(orders))


def graves(mail: Path) -> list[str]:
    folder = mail / ".purged"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_it_works(node: Node, panel: FakePanel, mail: Path) -> None:
    panel.publish(ordered(ORDER, OTHER))
    assert node.once("--mail", str(mail)).code == 0
    assert sorted(path.name for path in mail.iterdir()) == [".purged", KEPT]
    assert [name.partition(".")[0] for name in graves(mail)] == [ORDER, OTHER]
    assert all(abs(int(name.partition(".")[2]) - time.time()) < 60 for name in graves(mail))
    assert (mail / ".purged" / graves(mail)[0] / "Maildir" / "new" / "1").exists()
    assert panel.reports[-1]["purged"] == [ORDER, OTHER]
    panel.publish(ordered(revision=2))
    node.once("--mail", str(mail))
    assert panel.reports[-1]["purged"] == []


def test_it_is_told_again_until_the_panel_knows(node: Node, panel: FakePanel, mail: Path) -> None:
    panel.report_status = 503
    panel.publish(ordered(ORDER))
    assert node.once("--mail", str(mail)).code == 0
    panel.report_status = 204
    assert node.once("--mail", str(mail)).code == 0
    assert panel.reports[-1]["purged"] == [ORDER]


def test_thousands_are_told_of_in_several_reports(
    node: Node, panel: FakePanel, mail: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report with all of them would be refused, again and again."""
    monkeypatch.setattr(agent, "PURGED_AT_ONCE", 2)
    panel.publish(ordered(ORDER, OTHER, KEPT))
    assert node.once("--mail", str(mail)).code == 0
    assert panel.reports[-1]["purged"] == [ORDER, OTHER]
    panel.publish(ordered(KEPT, revision=2))
    assert node.once("--mail", str(mail)).code == 0
    assert panel.reports[-1]["purged"] == [KEPT]


def test_it_removes_nothing_without_an_order(node: Node, panel: FakePanel, mail: Path) -> None:
    panel.publish(export(users(9), revision=1))
    node.once("--mail", str(mail))
    panel.publish(export([], revision=2))
    assert node.once("--mail", str(mail)).code == 0
    assert graves(mail) == []
    assert len(list(mail.iterdir())) == 3


def test_it_removes_nothing_without_the_option(node: Node, panel: FakePanel, mail: Path) -> None:
    panel.publish(ordered(ORDER))
    assert node.once().code == 0
    assert (mail / ORDER).exists()
    assert panel.reports[-1]["purged"] == []


def test_it_rejects_what_is_no_folder(node: Node, panel: FakePanel, mail: Path) -> None:
    treasure = node.folder / "treasure"
    (mail / OTHER).rename(treasure)
    (mail / OTHER).symlink_to(treasure)
    (mail / ("3" * 32)).write_text("a file")
    panel.publish(ordered(ORDER, OTHER, "3" * 32))
    result = node.once("--mail", str(mail))
    assert (result.code, "not a folder" in result.err) == (0, True)
    assert (treasure / "Maildir" / "new" / "1").exists()
    assert (mail / OTHER).is_symlink()
    assert panel.reports[-1]["purged"] == [ORDER]
    assert "cannot be removed" in node.status()
    assert "cannot be removed" in panel.reports[-1]["error"]


def test_it_rejects_a_grave_that_leads_elsewhere(
    node: Node, panel: FakePanel, mail: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (mail / ".purged").symlink_to(tmp_path / "elsewhere")
    panel.publish(ordered(ORDER))
    assert "cannot be removed" in node.once("--mail", str(mail)).err
    assert (mail / ORDER).exists()
    assert panel.reports[-1]["purged"] == []


def test_a_disk_that_is_not_there_is_no_mail_that_is_gone(
    node: Node, panel: FakePanel, mail: Path
) -> None:
    panel.publish(ordered(ORDER))
    result = node.once("--mail", str(node.folder / "not-mounted"))
    assert "cannot be opened" in result.err
    assert panel.reports[-1]["purged"] == []


def test_graves_are_emptied_after_a_week(node: Node, panel: FakePanel, mail: Path) -> None:
    now = int(time.time())
    old, young, future = (f"{ORDER}.{now + days * 86400}" for days in (-8, -6, 365))
    for name in (old, young, future, "notes", "x.1"):
        (mail / ".purged" / name / "cur").mkdir(parents=True)
    outside = node.folder / "outside"
    outside.mkdir()
    (mail / ".purged" / old / "cur" / "link").symlink_to(outside)
    node.once("--mail", str(mail))
    assert graves(mail) == sorted([young, future, "notes", "x.1"])
    assert outside.exists()


def test_a_crash_at_any_step_loses_no_order(
    node: Node, panel: FakePanel, mail: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise OSError("crash")

    panel.publish(ordered(ORDER))
    for step in ("mkdir", "rename"):
        with monkeypatch.context() as broken:
            broken.setattr(os, step, crash)
            node.once("--mail", str(mail))
        assert panel.reports[-1]["purged"] == []
    assert node.once("--mail", str(mail)).code == 0
    assert re.fullmatch(rf"{ORDER}\.[0-9]+", graves(mail)[0])
    assert panel.reports[-1]["purged"] == [ORDER]


@pytest.mark.skipif(is_root(), reason="root may do everything")
def test_a_folder_that_may_not_be_moved_is_told(node: Node, panel: FakePanel, mail: Path) -> None:
    mail.chmod(0o500)
    panel.publish(ordered(ORDER))
    assert "cannot be removed" in node.once("--mail", str(mail)).err
    mail.chmod(0o700)


def test_a_clock_that_was_set_back_is_harmless(
    node: Node, panel: FakePanel, mail: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel.publish(ordered(ORDER))
    node.once("--mail", str(mail))
    year_ago = time.time() - 365 * 86400
    monkeypatch.setattr(agent, "utc_now", lambda: "2001-01-01T00:00:00Z")
    monkeypatch.setattr(time, "time", lambda: year_ago)
    panel.publish(ordered(ORDER, OTHER, revision=2))
    assert node.once("--mail", str(mail)).code == 0
    assert len(graves(mail)) == 2
    assert node.note()["contact"] == "2001-01-01T00:00:00Z"
    assert node.meta()["revision"] == "2"
