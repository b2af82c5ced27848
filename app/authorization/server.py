"""The authorization server: Authlib's, for public clients with PKCE, on what the panel keeps.

Authlib reads a request, and says what it is answered; what is asked of the database is in `tokens`.
"""

from __future__ import annotations

import logging
import secrets
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    InsecureTransportError,
    InvalidClientError,
    InvalidRequestError,
    OAuth2Payload,
    OAuth2Request,
    grants,
)
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge, create_s256_code_challenge
from werkzeug.datastructures import MultiDict

from ..credentials import ACCESS, REFRESH, make
from ..database import write_transaction
from ..extensions import settings
from ..throttle import count_wrong_credential, take_tokens
from . import clients, tokens
from .clients import Client
from .tokens import ACCESS_SECONDS, Code, Refresh
from .urls import resource

# It would write tokens into the log of who asks for all there is to know.
logging.getLogger("authlib").setLevel(logging.WARNING)

Form = MultiDict[str, str]
GRANTS = ("authorization_code", "refresh_token")


@dataclass(frozen=True)
class Answer:
    """What a program is answered: an HTTP status, a JSON object, headers."""

    status: int
    body: Any
    headers: list[tuple[str, str]]


def answer_token_request(form: Form, address: str) -> Answer:
    """Exchange a code or a refresh token (RFC 6749, sections 4.1.3 and 6). Raises TooMany, Busy.

    It is all one transaction, so of two who bring the same one, the second is a thief, or robbed.
    """
    if form.get("grant_type") not in GRANTS:
        return _refusal(400, "unsupported_grant_type", "Use authorization_code or refresh_token.")
    if any(len(texts) > 1 for _name, texts in form.lists()):
        return _refusal(400, "invalid_request", "A parameter is there more than once.")
    if form.get("resource", resource()) not in (resource(), f"{resource()}/"):
        return _refusal(400, "invalid_target", f"resource has to be {resource()}.")
    brought = form.get("code" if form["grant_type"] == GRANTS[0] else "refresh_token", "")
    whose = _assistant_of(brought, address)
    if whose is None:
        return _ask(authlib_server().create_token_response, form)
    take_tokens(whose)
    with write_transaction():
        return _ask(authlib_server().create_token_response, form)


def answer_revocation(form: Form, address: str) -> Answer:
    """Disconnect the assistant whose token this is (RFC 7009); of no other is anything told."""
    if _assistant_of(form.get("token", ""), address) is None:
        return _ask(authlib_server().create_endpoint_response, "revocation", form)
    with write_transaction():
        return _ask(authlib_server().create_endpoint_response, "revocation", form)


def _assistant_of(brought: str, address: str) -> int | None:
    """Whose this is; nobody's is counted, and no stranger holds up those who write."""
    whose = tokens.assistant_of(brought)
    if brought and whose is None:
        count_wrong_credential(address)
    return whose


def _refusal(status: int, error: str, sentence: str) -> Answer:
    return Answer(status, {"error": error, "error_description": sentence}, [])


def _ask(authlib: Callable[..., Any], *request: Any) -> Answer:
    """Authlib's answer; a panel that is reached by http from afar is refused before it looks."""
    try:
        answer: Answer = authlib(*request)
    except InsecureTransportError as error:
        return _refusal(400, "invalid_request", str(error.description))
    return answer


class _Payload(OAuth2Payload):  # type: ignore[misc]  # Authlib ships no types
    """The parameters of a request; where they stood, the face has seen to."""

    def __init__(self, values: Form) -> None:
        self._values = values

    @property
    def data(self) -> Form:
        """The first value of each."""
        return self._values

    @property
    def datalist(self) -> defaultdict[str, list[str]]:
        """All values of each."""
        return defaultdict(list, self._values.to_dict(flat=False))


class _Request(OAuth2Request):  # type: ignore[misc]
    """A request by its parameters alone. Clients have no secret, so no header matters."""

    def __init__(self, values: Form) -> None:
        super().__init__("POST", settings.public_url)
        self.payload = _Payload(values)

    @property
    def form(self) -> Form:
        """The parameters once more, by the name that some of Authlib uses."""
        form: Form = self.payload.data
        return form


class _S256(CodeChallenge):  # type: ignore[misc]
    """PKCE, always, and in no other way than S256 (OAuth 2.1, section 4.1.1)."""

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]

    def __init__(self) -> None:
        super().__init__(required=True)
        self.CODE_CHALLENGE_METHODS = {"S256": _is_verified}

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        """Refuse a request without a challenge, which Authlib by itself would accept."""
        values = grant.request.payload.data
        if values.get("code_challenge_method") != "S256":
            raise InvalidRequestError("code_challenge_method has to be S256.")
        if len(values.get("code_challenge", "")) != 43:  # SHA-256 in base64url
            raise InvalidRequestError("code_challenge has to be there, 43 characters long.")
        super().validate_code_challenge(grant, redirect_uri)


def _is_verified(verifier: str, challenge: str) -> bool:
    return secrets.compare_digest(create_s256_code_challenge(verifier), challenge)


class _CodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
    """A code is what a person's consent is handed on as; they make it in the dashboard."""

    TOKEN_ENDPOINT_AUTH_METHODS = ["none"]

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        """The code, if it is this client's, was never used, and its person still may."""
        return tokens.code(code, client.row.id)

    def authenticate_user(self, code: Code) -> Any:
        """The person who consented."""
        return code.person

    def delete_authorization_code(self, code: Code) -> None:
        """It stays, used up, to be known when it returns."""
        code.use_up()


class _RefreshGrant(grants.RefreshTokenGrant):  # type: ignore[misc]
    """A refresh token works once, and its client gets another (OAuth 2.1, section 4.3.1)."""

    TOKEN_ENDPOINT_AUTH_METHODS = ["none"]
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> Refresh | None:
        """The token, unless it was used before or its person no longer may."""
        return tokens.refresh(refresh_token)

    def authenticate_user(self, refresh_token: Refresh) -> Any:
        """The person who consented."""
        return refresh_token.person

    def revoke_old_credential(self, refresh_token: Refresh) -> None:
        """Used up."""
        refresh_token.use_up()


class _Revocation(RevocationEndpoint):  # type: ignore[misc]
    """Any of an assistant's tokens ends them all: whoever gives one back is done."""

    CLIENT_AUTH_METHODS = ["none"]

    def query_token(self, token_string: str, _hint: str | None) -> tokens.Held | None:
        """A token of either kind."""
        return tokens.held(token_string)

    def revoke_token(self, token: tokens.Held, _request: Any) -> None:
        """Disconnect."""
        tokens.disconnect(token)


class _Server(AuthorizationServer):  # type: ignore[misc]
    def query_client(self, client_id: str) -> Client | None:
        row = clients.find(client_id)
        return Client(row) if row else None

    def authenticate_client(self, request: Any, methods: Any, endpoint: str = "token") -> Any:
        """401 rather than 400: to clients that says that they should register anew."""
        try:
            return super().authenticate_client(request, methods, endpoint)
        except InvalidClientError as error:
            error.status_code = 401
            raise

    def save_token(self, token: dict[str, Any], request: Any) -> None:
        proven = request.authorization_code or request.refresh_token
        tokens.keep(proven.assistant, token, clients.level_of(token["scope"]) or "read")

    def create_oauth2_request(self, request: Form) -> _Request:
        return _Request(request)

    def handle_response(self, status: int, body: Any, headers: list[tuple[str, str]]) -> Answer:
        return Answer(status, body, headers)

    def send_signal(self, *_arguments: Any, **_values: Any) -> None:
        """Nobody listens."""


@cache
def authlib_server() -> Any:
    """The one server; it keeps nothing."""
    server = _Server()
    server.register_grant(_CodeGrant, [_S256()])
    server.register_grant(_RefreshGrant)
    server.register_endpoint(_Revocation)
    server.register_token_generator(
        "default",
        BearerTokenGenerator(
            lambda **_: make(ACCESS), lambda **_: make(REFRESH), lambda *_: ACCESS_SECONDS
        ),
    )
    return server
