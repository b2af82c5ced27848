"""Somebody's device that keeps passkeys: what a browser would bring of it, octet by octet.

https://www.w3.org/TR/webauthn-3/, sections 5.8.1 (client data), 6.1 (authenticator data), 6.5.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import secrets
import struct
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from fido2 import cbor
from werkzeug.test import TestResponse

from tests.web.conftest import Browser

HOST, ORIGIN = "localhost", "http://localhost:8000"
MINE = "/account/two-factor/passkeys"
PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


@dataclass
class Device:
    """It has one passkey, once it was asked to make it."""

    counts: bool = True
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    handle: str = ""
    count: int = 0
    # What a browser or a device that lies would do otherwise.
    origin: str = ORIGIN
    host: str = HOST
    flags: int = PRESENT | VERIFIED
    more: dict[str, Any] = field(default_factory=dict)

    def make(self, options: dict[str, Any]) -> str:
        """The answer to being asked for a new passkey."""
        self.handle = options["user"]["id"]
        public = self.key.public_key().public_numbers()
        cose = cbor.encode(
            {1: 2, 3: -7, -1: 1, -2: public.x.to_bytes(32), -3: public.y.to_bytes(32)}
        )
        attested = bytes(16) + struct.pack(">H", len(self.credential_id)) + self.credential_id
        data = self._data(ATTESTED) + attested + cose
        attestation = cbor.encode({"fmt": "none", "attStmt": {}, "authData": data})
        return self._answer(
            {
                "clientDataJSON": text(self._client_data("webauthn.create", options)),
                "attestationObject": text(attestation),
                "transports": ["internal"],
            }
        )

    def sign(self, options: dict[str, Any]) -> str:
        """The answer to being asked for the passkey."""
        client_data = self._client_data("webauthn.get", options)
        data = self._data()
        signature = self.key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(SHA256()))
        return self._answer(
            {
                "clientDataJSON": text(client_data),
                "authenticatorData": text(data),
                "signature": text(signature),
                "userHandle": self.handle,
            }
        )

    def add_to(self, browser: Browser, name: str = "Telephone") -> TestResponse:
        """Have a passkey made in somebody's browser."""
        browser.get("/account/two-factor")
        options = options_of(browser.post(f"{MINE}/begin"))
        return browser.post(MINE, name=name, passkey=self.make(options))

    def sign_in(self, browser: Browser, **more: str) -> TestResponse:
        """Sign in by it, from the sign-in page."""
        return browser.post("/sign-in/passkey", passkey=self.sign(asked(browser)), **more)

    def _data(self, flags: int = 0) -> bytes:
        self.count += self.counts
        digest = hashlib.sha256(self.host.encode()).digest()
        return digest + struct.pack(">BI", self.flags | flags, self.count)

    def _client_data(self, kind: str, options: dict[str, Any]) -> bytes:
        data = {"type": kind, "challenge": options["challenge"], "origin": self.origin}
        return json.dumps({**data, "crossOrigin": False, **self.more}).encode()

    def _answer(self, response: dict[str, Any]) -> str:
        named = text(self.credential_id)
        return json.dumps(
            {
                "id": named,
                "rawId": named,
                "type": "public-key",
                "authenticatorAttachment": "platform",
                "clientExtensionResults": {},
                "response": response,
            }
        )


def asked(browser: Browser, path: str = "/sign-in/passkey/options") -> dict[str, Any]:
    """What a browser is told to ask the device for."""
    if path.startswith("/sign-in"):
        browser.get("/sign-in")
    answer = browser.post(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    options: dict[str, Any] = answer.get_json()
    return options


def options_of(page: TestResponse) -> dict[str, Any]:
    """What a page tells the browser to have made."""
    found = re.search(r'data-options="([^"]+)"', page.text)
    assert found, page.text
    options: dict[str, Any] = json.loads(html.unescape(found[1]))
    return options


def text(octets: bytes) -> str:
    """As WebAuthn writes octets in JSON."""
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")
