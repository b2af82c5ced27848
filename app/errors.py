"""What can go wrong with an operation: one family, with a code, a sentence and an HTTP status.

Every error carries a sentence that the reader can act on; none repeats a secret that came in.
"""

from __future__ import annotations


class OperationError(Exception):
    """A refusal. `type` is one of the contract's error types, `status` the HTTP status.

    `field` names the input that was wrong; `recovery` says what to do next, where that is not
    plain from the message; `retry_after` is in seconds.
    """

    type = "server"
    status = 500

    def __init__(
        self,
        code: str,
        message: str,
        *,
        field: str | None = None,
        recovery: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.recovery = recovery
        self.retry_after = retry_after


class Invalid(OperationError):
    """A value that cannot be used; `field` names it."""

    type = "validation"
    status = 422

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__("INVALID_INPUT", message, field=field)


class Malformed(OperationError):
    """A request that cannot be read at all (RFC 9110, section 15.5.1)."""

    type = "validation"
    status = 400

    def __init__(self, message: str) -> None:
        super().__init__("MALFORMED_JSON", message)


class TooLarge(OperationError):
    """A request body over the limit (RFC 9110, section 15.5.14)."""

    type = "validation"
    status = 413

    def __init__(self) -> None:
        super().__init__("BODY_TOO_LARGE", "The request body is too large.")


class UnsupportedType(OperationError):
    """A request body of a type or encoding that is not read here."""

    type = "validation"
    status = 415

    def __init__(self, message: str) -> None:
        super().__init__("UNSUPPORTED_MEDIA_TYPE", message)


class NotFound(OperationError):
    """Absent, or not yours: the two are never told apart."""

    type = "not_found"
    status = 404


class NoLongerYours(NotFound):
    """What somebody acted in was taken from them while they asked."""

    def __init__(self) -> None:
        super().__init__("PROJECT_NOT_FOUND", "There is no such project.")


class Conflict(OperationError):
    """The input is fine, but the present state does not allow it."""

    type = "conflict"
    status = 409


class StillInUse(Conflict):
    """Something cannot go while active mailboxes depend on it."""

    def __init__(self, domain: str, count: int) -> None:
        mailboxes = "1 active mailbox" if count == 1 else f"{count} active mailboxes"
        super().__init__(
            "MAILBOXES_EXIST",
            f"{domain} still has {mailboxes}.",
            field="domain",
            recovery="Remove the mailboxes of the domain first (remove-user), then try again.",
        )


class Forbidden(OperationError):
    """The credential is good, but does not reach this operation."""

    type = "forbidden"
    status = 403

    def __init__(self, message: str) -> None:
        super().__init__("FORBIDDEN", message)


class Unauthorized(OperationError):
    """No credential, or one that does not count; which of the two is never told."""

    type = "unauthorized"
    status = 401
    message = "A valid token is needed."
    recovery = "Send the header 'Authorization: Bearer' with a token of this project."

    def __init__(self) -> None:
        super().__init__("UNAUTHORIZED", self.message, recovery=self.recovery)


class UnknownKey(Unauthorized):
    """As above, of a node's sync key."""

    message = "A valid sync key is needed, from an address where it may be used."
    recovery = "The node's page in the panel says from where its key works, and gives it a new one."


class TooMany(OperationError):
    """More requests than the limit allows."""

    type = "rate_limit"
    status = 429

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__("RATE_LIMITED", message, retry_after=retry_after)


class Busy(OperationError):
    """The panel cannot do it now; the same request may succeed later."""

    status = 503

    def __init__(self, message: str, *, retry_after: int = 5) -> None:
        super().__init__("TRY_LATER", message, retry_after=retry_after)


def nameable(field: str) -> str:
    """The name of a field as an error may repeat it: an unknown one came from outside as well."""
    return field if len(field) <= 64 and field.isprintable() else "?"
