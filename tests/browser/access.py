"""What axe finds on a page, and what makes a narrow one scroll sideways."""

from __future__ import annotations

from typing import Any, Literal

from playwright.sync_api import Page, ViewportSize

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = "color-contrast"  # the only rule of colours, and the slowest
PHONE = ViewportSize(width=390, height=844)
NARROW = ViewportSize(width=320, height=256)  # 1280 px at 400 % (WCAG 2.2, 1.4.10)

# What only the colours can change is looked for in the dark, everything else on a phone.
Mode = Literal["light", "dark", "phone"]
MODES: tuple[Mode, ...] = ("light", "dark", "phone")
_WANTED: dict[Mode, dict[str, Any]] = {
    "light": {"runOnly": RULES},
    "dark": {"runOnly": {"type": "rule", "values": [COLOURS]}},
    "phone": {"runOnly": RULES, "rules": {COLOURS: {"enabled": False}}},
}
_RUN = """async wanted => (await axe.run(
  {exclude: ["tbody tr:nth-child(n + 21)"]},  // what a list has in 20 rows, it has in all
  {...wanted, resultTypes: ["violations"]})).violations"""

# The distances that everybody may set for themselves (WCAG 2.2, 1.4.12).
_SPACE = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: .12em !important;
    word-spacing: .16em !important; } p { margin-bottom: 2em !important; }`);
  document.adoptedStyleSheets.push(sheet);
}"""
_WIDE = """() => {
  const limit = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= limit) return [];
  return [...document.querySelectorAll("body *")]
    .filter(element => element.getBoundingClientRect().right > limit + 1)
    .map(element => `wider than ${limit} px: ${element.outerHTML.slice(0, 100)}`);
}"""

# Where the layout changes, there is least room: the narrowest of each (static/app.css).
_NARROWEST = (768, 1024, 1152)
_CUT_OFF = """() => [...document.querySelectorAll(".card, .banner, .secret, .table")]
  .filter(box => box.checkVisibility() && box.scrollWidth > box.clientWidth + 1)
  .map(box => `at ${innerWidth} px cut off or past its edge: ${box.outerHTML.slice(0, 100)}`)"""


def violations(page: Page, mode: Mode) -> list[str]:
    """What axe finds by day, by night, or on a phone; in words."""
    if mode == "phone":
        page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme="dark" if mode == "dark" else "light")
    return [
        f"{mode}: {rule['id']}: {node['html'][:120]} {node['failureSummary']}"
        for rule in page.evaluate(_RUN, _WANTED[mode])
        for node in rule["nodes"]
    ]


def what_does_not_fit(page: Page) -> list[str]:
    """What makes a page of 320 px scroll sideways, as it is and with its text spaced out."""
    page.set_viewport_size(NARROW)
    wide = page.evaluate(_WIDE) + page.evaluate(_CUT_OFF)
    page.evaluate(_SPACE)
    return [*wide, *page.evaluate(_WIDE)]


def what_is_cut_off(page: Page) -> list[str]:
    """What is too wide for its card on tablets and small desktops: a card shows no more of it."""
    cut: list[str] = []
    for width in _NARROWEST:
        page.set_viewport_size(ViewportSize(width=width, height=800))
        cut += page.evaluate(_CUT_OFF)
    return cut
