"""The alerts for Prometheus: about figures that there are, and fired when they should be."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from app import heartbeats
from app.extensions import db
from app.figures import NODE_STATES
from tests.conftest import Cast
from tests.test_figures import LOCAL, act

RULES = Path(__file__).resolve().parents[2] / "app" / "deploy" / "alerts.yml"
FACES = {"pages", "api", "mcp", "oauth", "sync", "health"}
PROMETHEUS_OWN = {"up"}

needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="NOT TESTED: apt-get install prometheus"
)


def expressions() -> list[str]:
    """What each alert looks at."""
    text = re.sub(r">-\n\s+(.*)\n\s+(.*)\n", r"\1 \2\n", RULES.read_text())
    found = re.findall(r"^ +expr: (.*)$", text, re.M)
    assert len(found) == text.count("- alert:") > 10
    return found


def test_every_figure_and_label_is_one_that_is_told(app: Flask, core: Cast) -> None:
    act(core)
    app.test_cli_runner().invoke(args=["backup", f"{app.instance_path}/backup"])
    heartbeats.rest("zones")
    app.test_client().get("/healthz", **LOCAL)  # so that one was answered, and took its time
    answer = app.test_client().get("/metrics", **LOCAL)
    told = {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    for expression in expressions():
        names = set(re.findall(r"\bmailcote_\w+|\bup\b", expression))
        assert names, expression
        assert names <= told.keys() | PROMETHEUS_OWN, expression
        for name, matchers in re.findall(r"\b(mailcote_\w+)\{([^}]*)\}", expression):
            labels = dict(re.findall(r'(\w+)(?:=~|!=|=)"([^"]*)"', matchers))
            assert labels.keys() <= told[name] | {"le"}, expression
            if name == "mailcote_nodes":
                assert labels["state"] in NODE_STATES
            assert set(labels.get("face", "api").split("|")) <= FACES
            assert set(labels.get("thread", "ear").split("|")) <= heartbeats.PATIENCE.keys()
        for label in re.findall(r"by \(([^)]*)\)", expression):
            assert set(label.split(", ")) <= {"face", "le"}


def test_each_alert_says_how_much_it_matters() -> None:
    text = RULES.read_text()
    assert len(re.findall(r"severity: (?:page|ticket)\}", text)) == text.count("- alert:")
    assert text.count("summary: ") == text.count("- alert:")


def test_a_fault_is_counted_from_nought(app: Flask, core: Cast) -> None:
    """Prometheus sees no increase in a series that begins with 1."""
    db.session.rollback()
    answer = app.test_client().get("/metrics", **LOCAL)
    seen = {
        (sample.labels["face"], sample.labels["status"])
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name == "mailcote_requests_total"
    }
    for face in FACES - {"health"}:
        assert {(face, "500"), (face, "503")} <= seen


@needs_promtool
@pytest.mark.real
@pytest.mark.parametrize("arguments", [("check", str(RULES)), ("test", "alerts.test.yml")])
def test_prometheus_fires_them_when_it_should(arguments: tuple[str, str]) -> None:
    verb, file = arguments
    command = ["promtool", verb, "rules", file]
    here = Path(__file__).parent
    ran = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
