"""Who each route is for: every one says so, and one that does not answers nobody.

Pages say it with `web.access`, which also lets in; routes for programs with `opens_to`, and look at
the credential they name themselves. That they do is what tests/access walks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from flask import current_app, request

# What opens a route: nothing at all, a token of the API (or, at /mcp, an assistant's), a node's
# key, what a client of OAuth has been given, or being the operator.
Credential = Literal["nothing", "token", "node key", "oauth", "operator"]
View = TypeVar("View", bound=Callable[..., Any])


def opens_to(credential: Credential) -> Callable[[View], View]:
    """Say what opens a route for programs."""

    def mark(view: View) -> View:
        view.access = credential  # type: ignore[attr-defined]
        return view

    return mark


def refuse_undeclared() -> None:
    """Before each request: a route about which nobody decided is closed."""
    endpoint = request.endpoint
    if endpoint and getattr(current_app.view_functions[endpoint], "access", None) is None:
        raise RuntimeError(f"{endpoint} does not say who it is for")
