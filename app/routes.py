"""Routes whose addresses are written by code that is compiled when the first one is.

Werkzeug 3.1 compiles two functions for each route as it is added, which is nine tenths of the time
in which the application is made; a process writes the addresses of a few routes in all its life.
"""

from __future__ import annotations

from collections.abc import Callable

from werkzeug.routing import Rule

Writer = Callable[..., tuple[str, str]]  # takes the route and its values, gives host and path


class Route(Rule):
    """A rule that learns how to write its addresses when it is first asked for one."""

    def _compile_builder(self, append_unknown: bool = True) -> Writer:
        learn, learnt = super()._compile_builder, list[Writer]()

        def write(route: Rule, /, **values: object) -> tuple[str, str]:
            if not learnt:
                learnt.append(learn(append_unknown))
            return learnt[0](route, **values)

        return write
