"""MCP's own conformance suite, against the production server, for each revision it knows."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Cast
from tests.mcp.parts import MODULES, lacking, node
from tests.mcp.served import serve, with_token

HERE = Path(__file__).parent
PATIENCE = 300  # seconds
RUNS = {
    "2025-11-25": ("conformance", "--requirements", "2025-11-25", "baseline-2025.yml"),
    "2026-07-28": ("conformance", "--requirements", "2026-07-28", "baseline-2026.yml"),
    "before 2026": ("conformance-before-2026", "--suite", "all", "baseline-before-2026.yml"),
}
MISSING = list(lacking())

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(bool(MISSING), reason=f"NOT TESTED. {MISSING}"),
]


@pytest.fixture(scope="module")
def address(
    tmp_path_factory: pytest.TempPathFactory, staged_panel: tuple[Path, Cast]
) -> Iterator[str]:
    """Where the suite finds the panel, as alice's assistant does."""
    folder = tmp_path_factory.mktemp("conformance")
    with serve(folder, staged_panel) as served, with_token(served, "alice") as proxy:
        yield proxy


@pytest.mark.parametrize("revision", RUNS)
def test_it_works(address: str, tmp_path: Path, revision: str) -> None:
    suite, option, value, baseline = RUNS[revision]
    command = [str(node()), str(MODULES / suite / "dist" / "index.js"), "server", "--url", address]
    done = subprocess.run(
        [*command, option, value, "--expected-failures", str(HERE / baseline)],
        cwd=tmp_path,  # it leaves its findings where it stands
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Total: " in done.stdout
    assert "dns-rebinding-protection: 2 passed, 0 failed" in done.stdout
