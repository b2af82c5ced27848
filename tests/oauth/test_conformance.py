"""MCP's own conformance suite for authorization servers, for each revision it knows."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from app.config import Settings
from tests.mcp.parts import MODULES, lacking, node
from tests.oauth.program import Program
from tests.oauth.served import Served, serve
from tests.processes import free_port

PATIENCE = 120  # seconds
MISSING = list(lacking())

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(bool(MISSING), reason=f"NOT TESTED. {MISSING}"),
]


@pytest.fixture
def served(settings: Settings) -> Iterator[Served]:
    """The panel."""
    with serve(settings) as panel:
        yield panel


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_it_works(served: Served, tmp_path: Path, revision: str) -> None:
    port = free_port()
    program = Program(served.app.test_client())
    program.register(redirect_uris=[f"http://127.0.0.1:{port}/callback"])
    suite = MODULES / "conformance" / "dist" / "index.js"
    issuer = ["--url", f"{served.url}/oauth", "--resource", f"{served.url}/mcp"]
    who = ["--client-id", program.client_id, "--port", str(port), "--spec-version", revision]
    with subprocess.Popen(
        [str(node()), str(suite), "authorization", *issuer, *who],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        said = _answer_its_questions(served, running)
        assert running.wait(PATIENCE) == 0, said
    assert "Total: 3 passed, 0 failed" in said, said


def _answer_its_questions(served: Served, running: subprocess.Popen[str]) -> str:
    """Open each address it prints, as the person in front of it would; all that it said."""
    said = []
    for line in running.stdout or ():
        said.append(line)
        if found := re.search(rf"{served.url}/oauth/authorize\?\S+", line):
            served.answer(found[0])
            with urlopen(served.sent_to, timeout=PATIENCE) as answer:
                answer.read()
    return "".join(said)
