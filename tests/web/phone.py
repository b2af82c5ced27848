"""Somebody's phone with an authenticator app, and time that passes when it is told to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pytest
from werkzeug.test import TestResponse

from app import totp
from tests.web.conftest import Browser

PAGE = "/account/two-factor"


@dataclass
class Phone:
    """It shows a code, which is good for one step."""

    monkeypatch: pytest.MonkeyPatch
    step: int = 1000
    secret: str = ""
    recovery_codes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.monkeypatch.setattr(totp, "present_step", lambda: self.step)

    def next(self) -> str:
        """The code of the next step; half a minute passes."""
        self.step += 1
        return self.now()

    def now(self) -> str:
        """The code of this step."""
        return totp.code_at(self.secret, self.step)

    def wrong(self) -> str:
        """A code of no step near."""
        near = {totp.code_at(self.secret, self.step + drift) for drift in (-1, 0, 1)}
        return next(code for code in ("000000", "111111", "222222", "333333") if code not in near)

    def scan(self, page: TestResponse) -> None:
        """Take over the secret that a page shows."""
        shown = re.search(r'id="the-secret">([A-Z2-7 ]+)<', page.text)
        assert shown, page.text
        self.secret = shown[1].replace(" ", "")

    def set_up(self, browser: Browser) -> None:
        """Turn two-factor sign-in on, in somebody's browser."""
        browser.get(PAGE)
        self.scan(browser.post(f"{PAGE}/begin"))
        page = browser.post(f"{PAGE}/confirm", code=self.next())
        assert page.status_code == 200, page.text
        self.recovery_codes = codes_of(page)


def codes_of(page: TestResponse) -> list[str]:
    """The recovery codes that a page shows."""
    return re.findall(r"\b[a-z2-9]{4}(?:-[a-z2-9]{4}){3}\b", page.text)
