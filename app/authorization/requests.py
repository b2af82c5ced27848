"""A client's request to be let in, as its person's browser brings it (RFC 6749, section 4.1.1)."""

from __future__ import annotations

from dataclasses import dataclass

from authlib.oauth2 import OAuth2Error
from werkzeug.datastructures import MultiDict

from .clients import Client, Level, level_of, resolve
from .description import UnusableClient
from .redirects import answer_at
from .server import authlib_server
from .urls import issuer, resource


class CannotAsk(Exception):
    """A request that no person is asked about; `answer` is where the client can be told so.

    Without it nobody can be told but the person: who sent them here is not who they say.
    """

    def __init__(self, sentence: str, answer: str | None = None) -> None:
        super().__init__(sentence)
        self.answer = answer


@dataclass(frozen=True)
class Asked:
    """What a client asks a person for. Its name is its own word."""

    client_id: str
    name: str
    redirect_uri: str
    scope: Level
    challenge: str
    state: str | None

    def allowed(self, code: str) -> str:
        """Where the browser goes with a code."""
        return answer_at(self.redirect_uri, code=code, state=self.state, iss=issuer())

    def refused(self, error: str = "access_denied", sentence: str | None = None) -> str:
        """Where the browser goes without one (RFC 6749, section 4.1.2.1)."""
        told = {"error": error, "error_description": sentence}
        return answer_at(self.redirect_uri, **told, state=self.state, iss=issuer())


def read_request(values: MultiDict[str, str], person_id: int) -> Asked:
    """Read and check it all. Raises CannotAsk, TooMany, Busy."""
    client = _client(values, person_id)
    redirect_uri = _only(values, "redirect_uri")
    if not redirect_uri or not client.check_redirect_uri(redirect_uri):
        raise CannotAsk("It wants its answer at an address that it did not say to be its own.")
    asked = Asked(
        client_id=client.row.client_id,
        name=client.row.name,
        redirect_uri=redirect_uri,
        scope=level_of(values.get("scope")) or "read",
        challenge=values.get("code_challenge", ""),
        state=_only(values, "state"),
    )
    if problem := _problem(values):
        error, sentence = problem
        raise CannotAsk(sentence, asked.refused(error, sentence))
    return asked


def _client(values: MultiDict[str, str], person_id: int) -> Client:
    try:
        row = resolve(_only(values, "client_id") or "", person_id)
    except UnusableClient as error:
        raise CannotAsk(str(error)) from None
    if row is None:
        raise CannotAsk("It is not known here, or no longer: connect it anew from its own side.")
    return Client(row)


def _problem(values: MultiDict[str, str]) -> tuple[str, str] | None:
    """What is wrong with a request whose client can be told, as its error and a sentence."""
    if repeated := [name for name, texts in values.lists() if len(texts) > 1]:
        is_known = repeated[0] in ("scope", "state", "resource", "response_type", "code_challenge")
        name = repeated[0] if is_known else "A parameter"
        return "invalid_request", f"{name} is there more than once."
    if values.get("response_type") != "code":
        return "unsupported_response_type", "response_type has to be code."
    if values.get("resource", resource()) not in (resource(), f"{resource()}/"):
        return "invalid_target", f"resource has to be {resource()}."
    try:
        authlib_server().get_consent_grant(values)
    except OAuth2Error as error:
        return str(error.error), str(error.description)
    return None


def _only(values: MultiDict[str, str], name: str) -> str | None:
    """A parameter that is there once."""
    texts = values.getlist(name)
    return texts[0] if len(texts) == 1 else None
