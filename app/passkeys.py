"""Passkeys: keys of somebody's device that sign them in, in place of a password and a code.

The device lets nobody use one without a finger, a face or a PIN, so it counts for both factors. It
signs a challenge of ours, together with the origin of the page that asked: what another site got
out of it is of no use here. https://www.w3.org/TR/webauthn-3/, section 7.

The library takes half a second to load, and few requests need it: what does imports it then.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit

from . import clock
from .addresses import is_ip_address
from .credentials import digest
from .errors import NotFound
from .extensions import db, settings
from .models import Passkey, PasskeyChallenge, Person

if TYPE_CHECKING:
    from fido2.server import Fido2Server
    from fido2.webauthn import AuthenticationResponse, RegistrationResponse

MOST = 20  # of one person
CHALLENGE_SECONDS = 5 * 60
_ES256, _RS256, _EDDSA = -7, -257, -8  # what devices sign with (RFC 9053)

Purpose = Literal["add", "sign-in", "proof"]
Answer = dict[str, Any]  # a PublicKeyCredential as its toJSON() gives it
Response = TypeVar("Response", "RegistrationResponse", "AuthenticationResponse")


@dataclass(frozen=True)
class Asked:
    """What a challenge is for, and the only one who may answer it: a browser or a session."""

    purpose: Purpose
    who: str

    @classmethod
    def of_session(cls, purpose: Purpose, session_id: int) -> Asked:
        """What somebody is asked who is signed in."""
        return cls(purpose, f"session {session_id}")

    @property
    def digest(self) -> str:
        """As it is kept."""
        return digest(f"{self.purpose} {self.who}")


def relying_party() -> tuple[str, str] | None:
    """The host and the origin that passkeys are for; None where browsers know none.

    They are made for names, not addresses, and by HTTPS, but for the own machine.
    """
    parsed = urlsplit(settings.public_url)
    host = parsed.hostname or ""
    is_name = "." in host and not is_ip_address(host) and parsed.scheme == "https"
    if not is_name and host != "localhost":
        return None
    usual = {"http": 80, "https": 443}[parsed.scheme]
    # As browsers write it: without the port that goes without saying (RFC 6454, section 6.2).
    port = "" if parsed.port in (None, usual) else f":{parsed.port}"
    return host, f"{parsed.scheme}://{host}{port}"


@dataclass(frozen=True)
class Used:
    """A passkey that has signed; `is_copy` if somebody else may have it, too: that is refused."""

    passkey: Passkey
    is_copy: bool


def of_person(person_id: int) -> list[Passkey]:
    """Somebody's passkeys, the oldest first."""
    query = db.select(Passkey).where(Passkey.person_id == person_id).order_by(Passkey.id)
    return list(db.session.scalars(query))


def options_to_add(person: Person, asked: Asked) -> dict[str, Any]:
    """What the browser needs to make one, within a transaction that writes.

    As PublicKeyCredential.parseCreationOptionsFromJSON() takes it. A device that has one of theirs
    makes no second.
    """
    host, _origin = _required()
    return {
        "challenge": _begin(asked),
        "rp": {"id": host, "name": "Mailcote"},
        "user": {
            "id": _text(_handle(person.id)),
            "name": person.email,
            "displayName": person.email,
        },
        "pubKeyCredParams": [
            {"type": "public-key", "alg": alg} for alg in (_ES256, _EDDSA, _RS256)
        ],
        "excludeCredentials": [_named(passkey) for passkey in of_person(person.id)],
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "required",
        },
        "attestation": "none",
        "timeout": CHALLENGE_SECONDS * 1000,
    }


def options_to_ask(asked: Asked, person_id: int | None = None) -> dict[str, Any]:
    """What the browser needs to ask for one, within a transaction that writes.

    As PublicKeyCredential.parseRequestOptionsFromJSON() takes it. Without a person it names no
    passkey, and so tells nobody whether an account has any: the device offers those it has.
    """
    host, _origin = _required()
    return {
        "challenge": _begin(asked),
        "rpId": host,
        "allowCredentials": [_named(each) for each in of_person(person_id)] if person_id else [],
        "userVerification": "required",
        "timeout": CHALLENGE_SECONDS * 1000,
    }


def made(answer: Answer, asked: Asked) -> Passkey | None:
    """The passkey that a device has just made, not yet anybody's; None if it is none.

    Within a transaction that writes; the challenge is used up, whatever comes of it.
    """
    from fido2.cose import UnsupportedKey
    from fido2.webauthn import RegistrationResponse

    response = _read(RegistrationResponse, answer)
    if response is None or not _is_ours(response.response.client_data, asked):
        return None
    try:
        data = _server().register_complete(_state(response.response.client_data), response)
        credential = data.credential_data
        if credential is None or isinstance(credential.public_key, UnsupportedKey):
            return None
        return Passkey(
            digest=_digest(credential.credential_id),
            credential=bytes(credential),
            sign_count=data.counter,
        )
    except Exception:  # noqa: BLE001 - whatever the library makes of a stranger's octets
        return None


def used(
    answer: Answer, asked: Asked, *, address: str, person_id: int | None = None
) -> Used | None:
    """The passkey that has signed the challenge, of this person if one is named; else None.

    Within a transaction that writes; the challenge is used up, whatever comes of it. A count of
    signatures that does not grow is that of a copy (section 6.1.1): it is noted, for its owner to
    be told. Those that always count 0 do not count.
    """
    from fido2.webauthn import AttestedCredentialData, AuthenticationResponse

    response = _read(AuthenticationResponse, answer)
    if response is None or not _is_ours(response.response.client_data, asked):
        return None
    passkey = _locked(response.raw_id)
    if passkey is None or person_id not in (None, passkey.person_id):
        return None
    handle, count = response.response.user_handle, response.response.authenticator_data.counter
    if handle and handle != _handle(passkey.person_id):
        return None
    try:
        _server().authenticate_complete(
            _state(response.response.client_data),
            [AttestedCredentialData(passkey.credential)],
            response,
        )
    except Exception:  # noqa: BLE001 - whatever the library makes of a stranger's octets
        return None
    if (count or passkey.sign_count) and count <= passkey.sign_count:
        passkey.copied_at, passkey.copied_from = clock.now(), address[:64]
        return Used(passkey, is_copy=True)
    passkey.sign_count, passkey.used_at = count, clock.now()
    return Used(passkey, is_copy=False)


def _locked(credential_id: bytes) -> Passkey | None:
    """The passkey of this id; the order of locks is person, then passkey."""
    found = db.select(Passkey).where(Passkey.digest == _digest(credential_id))
    passkey: Passkey | None = db.session.scalar(found)
    if passkey is None:
        return None
    db.session.get(Person, passkey.person_id, with_for_update=True)
    locked: Passkey | None = db.session.scalar(
        found.with_for_update().execution_options(populate_existing=True)
    )
    return locked


def _begin(asked: Asked) -> str:
    """A new challenge, kept as its digest; those that are over go."""
    over = clock.from_now(seconds=-CHALLENGE_SECONDS)
    db.session.execute(db.delete(PasskeyChallenge).where(PasskeyChallenge.created_at < over))
    challenge = secrets.token_bytes(32)
    db.session.add(PasskeyChallenge(digest=_digest(challenge), asked=asked.digest))
    return _text(challenge)


def _is_ours(client_data: Any, asked: Asked) -> bool:
    """Whether this answers a challenge of ours that nobody has answered yet; it is used up."""
    over = clock.from_now(seconds=-CHALLENGE_SECONDS)
    found = db.delete(PasskeyChallenge).where(
        PasskeyChallenge.digest == _digest(client_data.challenge),
        PasskeyChallenge.asked == asked.digest,
        PasskeyChallenge.created_at >= over,
    )
    is_open = bool(db.session.execute(found.returning(PasskeyChallenge.id)).all())
    return is_open and not client_data.cross_origin


def _read(kind: type[Response], answer: Answer) -> Response | None:
    try:
        return kind.from_dict(answer)
    except Exception:  # noqa: BLE001 - whatever the library makes of a stranger's octets
        return None


def _server() -> Fido2Server:
    from fido2.server import Fido2Server
    from fido2.webauthn import PublicKeyCredentialRpEntity

    host, origin = _required()
    party = PublicKeyCredentialRpEntity(id=host, name="Mailcote")
    return Fido2Server(party, verify_origin=lambda claimed: claimed == origin)


def _state(client_data: Any) -> dict[str, Any]:
    """The library's own; that the challenge is one of ours has been seen in the database."""
    return {"challenge": _text(client_data.challenge), "user_verification": "required"}


def _required() -> tuple[str, str]:
    """The same. Raises NotFound."""
    party = relying_party()
    if party is None:
        raise NotFound("PASSKEYS_NOT_OFFERED", "Passkeys are not offered at this address.")
    return party


def _named(passkey: Passkey) -> dict[str, str]:
    from fido2.webauthn import AttestedCredentialData

    credential = AttestedCredentialData(passkey.credential)
    return {"type": "public-key", "id": _text(credential.credential_id)}


def _handle(person_id: int) -> bytes:
    """What a device keeps of whose a passkey is: a number, for it may tell others."""
    return f"person {person_id}".encode()


def _digest(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")
