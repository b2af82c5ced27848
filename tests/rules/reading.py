"""What rules read: one file's syntax tree, and what is often asked of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Source:
    """A file of the application. `path` is the one below app/, without its ending: web/access."""

    path: str
    text: str
    nodes: list[ast.AST] = field(init=False)
    _around: dict[ast.AST, ast.AST] = field(init=False)

    def __post_init__(self) -> None:
        self.nodes, self._around = [ast.parse(self.text)], {}
        for node in self.nodes:  # which grows as it is walked
            children = list(ast.iter_child_nodes(node))
            self.nodes += children
            self._around |= dict.fromkeys(children, node)

    @property
    def room(self) -> str:
        """The module or package directly under app/."""
        return self.path.partition("/")[0]

    def calls(self) -> Iterator[ast.Call]:
        """Every call in it."""
        return iter(self._calls)

    @cached_property
    def _calls(self) -> list[ast.Call]:
        return [node for node in self.nodes if isinstance(node, ast.Call)]

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """What a node stands in, the nearest first."""
        while node in self._around:
            node = self._around[node]
            yield node

    def function(self, node: ast.AST) -> Function | None:
        """The function a node is in, the outermost one that is no class."""
        found = [one for one in self.around(node) if isinstance(one, Function)]
        return found[-1] if found else None

    def place(self, node: ast.AST) -> str:
        """Where it stands, as exceptions name it: web/access.require_access."""
        function = self.function(node)
        return f"{self.path}.{function.name}" if function else self.path


def sources(app: Path) -> list[Source]:
    """Every file of the application."""
    return [
        Source(path.relative_to(app).with_suffix("").as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted(app.rglob("*.py"))
    ]


def dotted(node: ast.AST) -> str:
    """A name as it is written: `db.session.execute`; of what is called or indexed its name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    if isinstance(node, ast.Call):
        return dotted(node.func)
    if isinstance(node, ast.Subscript):
        return dotted(node.value)
    return ""


def last(node: ast.AST) -> str:
    """The last part of such a name."""
    return dotted(node).rpartition(".")[2]


def names_in(node: ast.AST) -> set[str]:
    """Every name and attribute that is mentioned in it."""
    named = (one for one in ast.walk(node) if isinstance(one, ast.Name | ast.Attribute))
    return {one.id if isinstance(one, ast.Name) else one.attr for one in named}


def is_put_together(node: ast.AST) -> bool:
    """Whether a text is made of parts, so that a value could be among them."""
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) for part in node.values)
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Add | ast.Mod)
    return isinstance(node, ast.Call) and last(node) in ("format", "join", "replace")
