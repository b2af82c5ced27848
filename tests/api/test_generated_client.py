"""A client that somebody generates from the description compiles without a warning and works."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from tests.conftest import PASSWORD, Api

PACKAGE = "generated_mailcote_client"


@pytest.fixture
def url(app: Flask) -> Iterator[str]:
    """The panel on a port of this machine."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def generated(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The client's package, made by openapi-python-client from what the panel serves."""
    document = tmp_path / "openapi.json"
    document.write_bytes(api.client.get("/iapi/openapi.json").data)
    programs = Path(sys.executable).parent
    made = subprocess.run(
        [
            programs / "openapi-python-client",
            *("generate", "--fail-on-warning", "--meta", "none"),
            *("--path", document, "--output-path", tmp_path / "client" / PACKAGE),
        ],
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert "arning" not in made.stdout + made.stderr
    monkeypatch.syspath_prepend(tmp_path / "client")
    yield PACKAGE
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]


@pytest.mark.real
def test_it_works(api: Api, url: str, generated: str) -> None:
    part = _parts(generated)
    client = part("client").AuthenticatedClient(base_url=url, token=api.cast.tokens["alice"])
    with client:
        body = part("models").AddUserInput(email="info@example.nl", password=PASSWORD)
        add_user = part("api.project.add_user").sync_detailed
        added = add_user(1, client=client, body=body)
        assert added.status_code == 201
        assert added.parsed.data.user.email == "info@example.nl"
        assert added.parsed.data.user.quota_mb == 1024
        assert added.parsed.data.user.sync.nodes == 1

        again = add_user(1, client=client, body=body)
        assert again.status_code == 409
        assert isinstance(again.parsed, part("models").Failure)
        assert again.parsed.error.code == "MAILBOX_EXISTS"
        assert again.parsed.error_object.type_.value == "conflict"

        for name in ("list_users", "get_list_users"):
            list_users = part(f"api.project.{name}").sync_detailed
            values = {"body": part("models").ListUsersInput()} if name == "list_users" else {}
            listed = list_users(1, client=client, **values)
            assert listed.status_code == 200
            assert [user.email for user in listed.parsed.data.users] == ["info@example.nl"]
            assert listed.parsed.data.next_cursor is None

        gone = part("api.project.remove_user").sync_detailed(
            1,
            client=client,
            body=part("models").RemoveUserInput(email="info@example.nl", hard_delete=True),
        )
        assert gone.status_code == 200
        assert gone.parsed.data.user.removed is True


def _parts(package: str) -> Any:
    return lambda name: importlib.import_module(f"{package}.{name}")
