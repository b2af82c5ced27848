"""The installer, as a node downloads it: with this panel's own address in it."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import pytest

from app import create_app
from app.config import Settings
from tests.applications import let_go

URL = "/sync/v1/install.sh"

needs_the_script = pytest.mark.skipif(
    find_spec("app.node") is None, reason="NOT TESTED: this version has no installer"
)


@needs_the_script
@pytest.mark.parametrize(
    ("public_url", "host", "address"),
    [
        ("https://panel.example.nl", "localhost", "https://panel.example.nl"),
        (Settings.public_url, "localhost:8001", "http://localhost:8001"),
        (Settings.public_url, "[::1]:8001", "http://[::1]:8001"),
    ],
)
def test_it_works(settings: Settings, public_url: str, host: str, address: str) -> None:
    app = create_app(replace(settings, public_url=public_url))
    answer = app.test_client().get(URL, headers={"Host": host})
    assert answer.status_code == 200
    assert answer.mimetype == "text/x-shellscript"
    assert answer.text.startswith("#!/bin/sh")
    assert address in answer.text
    assert "@PANEL@" not in answer.text
    tag = answer.headers["ETag"]
    again = app.test_client().get(URL, headers={"Host": host, "If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    let_go(app)


@pytest.mark.parametrize("host", ["localhost;id", "localhost$(id)", "evil.example", "x y", "'"])
def test_it_names_no_host_that_somebody_made_up(settings: Settings, host: str) -> None:
    app = create_app(settings)
    assert app.test_client().get(URL, headers={"Host": host}).status_code == 400
    let_go(app)
