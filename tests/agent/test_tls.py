"""The key goes to nobody who cannot prove to be the panel."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from .fake_panel import FakePanel
from .mail_node import Node

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")


@pytest.fixture
def certificate(tmp_path: Path, panel: FakePanel) -> Path:
    """The panel speaks TLS from now on, under a certificate that nobody knows."""
    path, key = tmp_path / "panel.pem", tmp_path / "panel.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-days", "2", "-keyout", str(key), "-out", str(path)),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key)
    panel.speak_tls(context)
    return path


def test_it_refuses_a_certificate_nobody_vouches_for(
    node: Node, panel: FakePanel, certificate: Path
) -> None:
    result = node.once()
    assert result.code == 1
    assert "certificate is not trusted" in result.err
    assert panel.requests == []


def test_it_works_with_one_that_is_trusted(
    node: Node, panel: FakePanel, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert node.once().code == 0
    assert node.once().code == 0


def test_it_refuses_a_certificate_for_another_name(
    node: Node, panel: FakePanel, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    url = panel.url.replace("127.0.0.1", "localhost")
    result = node.once("--panel", url)
    assert result.code == 1
    assert "certificate is not trusted" in result.err
    assert panel.requests == []


def test_it_refuses_a_panel_without_tls(node: Node, panel: FakePanel) -> None:
    result = node.once("--panel", panel.url.replace("http:", "https:"))
    assert result.code == 1
    assert "no TLS connection" in result.err
    assert panel.requests == []
