"""An https server on this machine, for documents that clients keep on the web."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.authorization.documents import Reach


@dataclass
class Web:
    """What is answered at each path, and what was asked; `reach` is how a panel gets there."""

    port: int
    certificate: Path
    pages: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def reach(self) -> Reach:
        """Only this server's own address and port, and its certificate."""
        return Reach(
            is_allowed=lambda address, port: ip_address(address).is_loopback and port == self.port,
            context=lambda: ssl.create_default_context(cafile=str(self.certificate)),
        )

    def url(self, path: str) -> str:
        """The address of a page."""
        return f"https://localhost:{self.port}{path}"


@contextmanager
def https(folder: Path) -> Iterator[Web]:
    """Serve, with a certificate for localhost that nobody else trusts."""
    pem = folder / "localhost.pem"
    pem.write_bytes(_certified())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answering)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.web = Web(server.server_port, pem)  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.web  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer as the page says."""
        web: Web = self.server.web  # type: ignore[attr-defined]
        web.asked.append((self.path, dict(self.headers)))
        status, headers, content = web.pages.get(self.path, (404, {}, b""))
        if self.path == "/endless.json":
            status, headers = 200, {"Content-Type": "application/json"}
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content)
        if self.path == "/endless.json":
            self._drip()

    def _drip(self) -> None:
        """Go on until nobody listens."""
        with suppress(OSError):
            while True:
                self.wfile.write(b" ")
                time.sleep(0.05)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def _certified() -> bytes:
    """A key and its own certificate, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)
