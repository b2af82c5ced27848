"""Why somebody is not let in; never which of the things they brought was wrong."""

from __future__ import annotations

from ..errors import OperationError


class WrongPassword(OperationError):
    """The address or the password is wrong; which of the two is never told."""

    type = "unauthorized"
    status = 422

    def __init__(self) -> None:
        super().__init__("WRONG_PASSWORD", "The address or the password is wrong.")


class WrongCode(OperationError):
    """The code is wrong, was used before, or is over."""

    type = "unauthorized"
    status = 422

    def __init__(self) -> None:
        super().__init__(
            "WRONG_CODE",
            "This code is wrong, or was used already. Wait for the next one in your app, or take "
            "another recovery code.",
            field="code",
        )


class WrongProof(OperationError):
    """Neither their password nor the present code."""

    type = "unauthorized"
    status = 422

    def __init__(self) -> None:
        super().__init__(
            "WRONG_PROOF", "This is neither your password nor the present code.", field="proof"
        )


class WrongPasskey(OperationError):
    """The passkey is none of the panel's or theirs, or answers what was not asked, or too late."""

    type = "unauthorized"
    status = 422

    def __init__(self) -> None:
        super().__init__(
            "WRONG_PASSKEY", "This passkey does not work here. Try again, or use your password."
        )


class HalfOver(OperationError):
    """The password was typed too long ago, or has changed since."""

    type = "unauthorized"
    status = 401

    def __init__(self) -> None:
        super().__init__("SIGN_IN_OVER", "This took too long; sign in again.")
